"""Weight files: cards that say everything needed to use them, and checkpoints that carry their config.

A likewise checkpoint is one safetensors file whose metadata names the method and holds its config as JSON.
Foreign ``.pth`` files are read with ``weights_only=True``, and those that hold other objects beside the weights by
`likewise.foreign`: a checkpoint can never execute code.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
import threading
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from likewise.errors import LikewiseError, nearest
from likewise.field_types import fits, type_name
from likewise.foreign.published import look_into_foreign, named_briefly
from likewise.json_text import json_text
from likewise.types import Task

T = TypeVar("T")
ASSETS = Path(__file__).parent / "assets"
#: A network's constructor may make, of what it needs and of what it leaves out, so many times as many parameters.
_PARTS = 8


class Configured(Protocol):
    """What `save_checkpoint` needs of a model besides its weights."""

    method: str
    config: Any

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by name."""


@dataclass(frozen=True)
class RemovedField:
    """A field that configs had in older versions, for their ``OLD_FIELDS``: see `config_from`.

    Attributes:
        only: the one value with which the network is still built; None: the value makes no difference.
    """

    only: object = None


#: What configs say of the fields that they had in older versions; see `config_from`.
OldFields = Mapping[str, str | RemovedField | Callable[[Any], dict[str, Any]]]


@dataclass(frozen=True)
class WeightCard:
    """Everything needed to use a model's weights, and to judge them.

    Attributes:
        licence: of the weights.
        data: what they were trained on.
        file: name of the bundled file; None: not bundled.
        sha256: of that file.
        source: where the weights come from: a download page, or the recipe's command.
        how_to: one line that gets them, for weights that are not bundled.
        paper: reference of the method.
        scores: measured score by data set and split, as printed by ``likewise eval``.
        notes: limits and surprises, a sentence each.
    """

    licence: str
    data: str
    file: str | None = None
    sha256: str | None = None
    source: str = ""
    how_to: str = ""
    paper: str = ""
    scores: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path | None:
        """Where the bundled file lies; None where the weights are not bundled."""
        return None if self.file is None else ASSETS / self.file


@dataclass(frozen=True)
class Preset:
    """A model with a name: a method's network with certain numbers, and the card of its weights.

    Attributes:
        name: as typed by the user.
        model: the method's network class, called with ``config``; its ``task`` says what it is for.
        config: the method's numbers.
        card: of its weights.
    """

    name: str
    model: Any
    config: Any
    card: WeightCard

    @property
    def task(self) -> Task:
        """What the model is for."""
        found: Task = self.model.task
        return found

    @property
    def prompts(self) -> tuple[str, ...]:
        """The kinds of prompt it takes: its config's ``prompts`` where that has any, else its network's."""
        return tuple(getattr(self.config, "prompts", getattr(self.model, "prompts", ())))

    def build(self) -> nn.Module:
        """The network with fresh random weights."""
        network: nn.Module = self.model(self.config)
        return network


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: the method's name, its config as plain values, and its tensors."""

    method: str
    config: dict[str, Any]
    state: dict[str, Tensor]


def save_checkpoint(
    path: Path, model: Configured, *, half: bool = False, notes: Mapping[str, str] | None = None
) -> Path:
    """Write a model's weights and config as safetensors; ``half`` stores floats as float16.

    The file appears under its name only when it is complete.

    Args:
        path: of the file.
        model: whose weights.
        half: see above.
        notes: what else its metadata says, by name.

    Example:
        >>> import tempfile
        >>> from likewise.registry import preset
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_checkpoint(Path(folder) / "mine.safetensors", preset("spdcn-lite").build(), half=True)
        ...     read_checkpoint(path).method
        'spdcn'
    """
    config = json_text(dataclasses.asdict(model.config), what="the config")
    metadata = {**(notes or {}), "method": model.method, "config": config}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.touch()
    mode = unfinished.stat().st_mode  # of any new file: safetensors would let only the owner read it
    save_file({name: _stored(each, half) for name, each in model.state_dict().items()}, unfinished, metadata=metadata)
    unfinished.chmod(mode)
    unfinished.replace(path)
    return path


def half_is_exact(model: nn.Module) -> bool:
    """Whether weights can be kept in 16 bits without a loss, as bundled ones are."""
    state = model.state_dict()
    return all(bool((t.half().float() == t).all()) for t in state.values() if t.is_floating_point())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file written by `save_checkpoint`; floats come back as float32.

    Raises:
        LikewiseError: the file is missing, no safetensors, or carries no config.

    Example:
        >>> read_checkpoint(ASSETS / "spdcn-lite.safetensors").config["trunk"]
        'mobilenetv2'
    """
    if not path.is_file():
        raise LikewiseError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: _computed(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except Exception as error:  # a damaged file, or a kind of number that this torch does not know
        raise LikewiseError(f"{path} is not a complete safetensors file: {error}") from error
    if "method" not in metadata or "config" not in metadata:
        raise LikewiseError(
            f"{path} carries no likewise config; weights published elsewhere are brought in with "
            "'likewise convert METHOD CHECKPOINT -o FILE'"
        )
    return Checkpoint(metadata["method"], _plain_config(metadata["config"], path), state)


def read_foreign(path: Path) -> dict[str, Tensor]:
    """The state dict of a published ``.pth`` (or safetensors) file; see `look_into_foreign`."""
    return look_into_foreign(path).state


def renamed(name: str, renames: Sequence[tuple[str, str]]) -> str:
    """A parameter's name after the first (pattern, replacement) that fits its beginning; else as it is."""
    for pattern, new in renames:
        if re.match(pattern, name):
            return re.sub(pattern, new, name)
    return name


def load_strict(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict whose names and shapes must all agree.

    Raises:
        LikewiseError: names the first missing, unexpected and misshapen entries.
    """
    _check_fits(model, state, source)
    model.load_state_dict(dict(state), strict=True)


def network_of(make: Callable[[], nn.Module], state: Mapping[str, Tensor], source: str) -> nn.Module:
    """The network that a config describes, with the weights of a file.

    It is first made without memory, on the meta device, and compared with the tensors: a config that describes another
    network than the file holds costs nothing, however large that would be. Then it takes the tensors as they are.

    Args:
        make: makes the network, with any weights; buffers that it does not save have to name their device.
        state: the tensors of the file, which the network owns afterwards.
        source: of the weights, for messages.

    Raises:
        LikewiseError: a config that describes no network, or not this one; numbers that are not finite.
    """
    try:
        with torch.device("meta"), _at_most(_PARTS * (len(state) + _PARTS)):
            model = make()
    except LikewiseError as error:
        raise LikewiseError(f"{source}: {error}") from error
    except Exception as error:  # whatever a constructor makes of numbers that mean nothing
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LikewiseError(f"{source} has a config that describes no network: {reason:.200}") from error
    _check_fits(model, state, source)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise LikewiseError(f"{source}: {name} holds numbers that are not finite")
    expected = model.state_dict()
    model.load_state_dict({name: t.to(expected[name].dtype) for name, t in state.items()}, strict=True, assign=True)
    return model


def config_from(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build a (nested) config dataclass from plain values, as read from JSON.

    A config whose fields were once others says so in a class variable ``OLD_FIELDS``: the old name -> the new one,
    with a dot where it is now a field of a field; or a function from the old value to new names and values; or
    `RemovedField`. So files of older versions are read as they are meant.

    A field that is not among them has its default, or the value under "absent" of its metadata: what files that were
    written before there was such a field mean.

    Raises:
        LikewiseError: an unknown key (the nearest valid one is named), a value of another kind than the field's, or a
            network that is no longer built.

    Example:
        >>> config_from(WeightCard, {"licence": "CC0", "data": "coins"}).licence
        'CC0'
    """
    hints = typing.get_type_hints(cls)
    known = dataclasses.fields(typing.cast(Any, cls))
    names = [field.name for field in known]
    values = _migrated(cls, values)
    for key in values:
        if key not in names:
            raise LikewiseError(f"{cls.__name__} has no field {key!r}{nearest(key, names)}")
    typed = {key: _typed(hints[key], value) for key, value in values.items()}
    for key, value in typed.items():
        if not fits(hints[key], value):
            raise LikewiseError(f"{cls.__name__}: {key} = {value!r:.60}, expected {type_name(hints[key])}")
    absent = {field.name: field.metadata["absent"] for field in known if "absent" in field.metadata}
    return cls(**{**absent, **typed})


def bundled_config(cls: type[T], file: str, otherwise: T) -> T:
    """The config in a bundled file, so that what weights were trained with is written once.

    Args:
        cls: the method's config.
        file: name of the bundled file.
        otherwise: what is given where the file is missing, so that an installation without it can still be examined.
    """
    path = ASSETS / file
    if not path.is_file():
        return otherwise
    with safe_open(path, framework="pt") as held:
        return config_from(cls, json.loads(held.metadata()["config"]))


def file_sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _migrated(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values under the names that a config's fields have today."""
    old: OldFields = getattr(cls, "OLD_FIELDS", {})
    try:
        return _under_new_names(old, values)
    except LikewiseError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # a value that no version ever wrote
        raise LikewiseError(f"{cls.__name__} cannot be read from these values: {error}") from error


def _under_new_names(old: OldFields, values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        now = old.get(key, key)
        if isinstance(now, RemovedField):
            if now.only is not None and value != now.only:
                raise LikewiseError(f"{key} = {value!r}: such a network is no longer built; expected {now.only!r}")
            continue
        for name, given in ({now: value} if isinstance(now, str) else now(value)).items():
            outer, _, inner = name.partition(".")
            found[outer] = {**found.get(outer, {}), inner: given} if inner else given
    return found


def _check_fits(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    expected = model.state_dict()
    problems = [f"missing: {name}" for name in expected if name not in state]
    problems += [f"unexpected: {named_briefly([name])}" for name in state if name not in expected]
    for name, tensor in expected.items():
        found = state.get(name, tensor)
        if found.shape != tensor.shape:
            problems.append(f"{name} has shape {tuple(found.shape)}, expected {tuple(tensor.shape)}")
        elif found.is_floating_point() != tensor.is_floating_point() or found.is_complex():
            problems.append(f"{name} holds {found.dtype}, expected {tensor.dtype}")
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise LikewiseError(f"{source} does not fit this model: {'; '.join(problems[:5])}{more}")


@contextmanager
def _at_most(parts: int) -> Iterator[None]:
    """No more parameters than so many are made here: a config may ask for a million layers."""
    made, thread = itertools.count(1), threading.get_ident()

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if threading.get_ident() == thread and next(made) > parts:
            raise LikewiseError("it describes many more layers than there are tensors")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _typed(hint: Any, value: Any) -> Any:
    kinds = [part for part in typing.get_args(hint) if dataclasses.is_dataclass(part)]
    hint = kinds[0] if isinstance(value, Mapping) and len(kinds) == 1 else hint  # of `Trust | None`
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return config_from(typing.cast(type, hint), value)
    if isinstance(value, list):
        return tuple(_typed(None, v) for v in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise LikewiseError(f"a config holds {value}; expected finite numbers")
    return value


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() else tensor


def _computed(tensor: Tensor) -> Tensor:
    # a copy in any case: the reader's own tensors lie in the file, which may change
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.clone()


def _plain_config(text: str, path: Path) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LikewiseError(f"{path} carries a config that is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise LikewiseError(f"{path} carries a config that is no table of names and values")
    return config
