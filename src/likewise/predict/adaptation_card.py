"""What a counter was taught, as a small file: the difference to the model that it was taught to, and how that came.

The file is safetensors. It holds the tensors that changed, what the examples look like, how the weights are used now,
and the record of what was learnt (`likewise.predict.taught`). It names its base model and the hash of that model's
tensors, and is of no use with any other. Like all weights it is read without executing anything, and compared with the
model that it changes before anything is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.foreign.published import named_briefly
from likewise.inference import InferenceConfig
from likewise.predict.densities import NO_EXEMPLARS, ReferenceExemplars
from likewise.predict.taught import CandidateError, Taught, TaughtPicture
from likewise.types import Box, Prompt
from likewise.weights import config_from, read_checkpoint, save_checkpoint

#: What a card says instead of a method.
METHOD = "adaptation"
#: Changes when older versions could not read a card any more.
FORMAT = 1
#: Beginnings of names in the file: of tensors that take the place of the model's, and of what the examples look like.
CHANGED, EXAMPLES = "changed/", "examples/"


@dataclass(frozen=True)
class CardContent:
    """The numbers of a card, as its file holds them; see `likewise.predict.taught.Taught`."""

    format: int
    base: str
    sha256: str
    chosen: str
    candidates: tuple[tuple[str, float, float], ...]
    pictures: tuple[tuple[str, float, float, float, str], ...]
    changed: tuple[str, ...]
    seed: int
    version: str
    stopped: str
    inference: InferenceConfig
    by_examples: InferenceConfig | None
    without_boxes: tuple[tuple[str, float, float], ...]
    exemplars: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, eq=False)
class AdaptationCard:
    """A card as read.

    Attributes:
        path: of its file.
        taught: what was learnt.
        inference: how the weights are used ...
        by_examples: ... and where pictures are counted by the examples; None: likewise.
        exemplars: boxes of the examples, in pixels of their pictures.
        tensors: by their names in the file.
    """

    path: Path
    taught: Taught
    inference: InferenceConfig
    by_examples: InferenceConfig | None
    exemplars: tuple[Box, ...]
    tensors: Mapping[str, Tensor]

    def check_base(self, model: nn.Module) -> None:
        """See that a model is the one that was taught.

        Raises:
            LikewiseError: it is another one.
        """
        there = tensors_sha256(model)
        if there != self.taught.sha256:
            raise LikewiseError(
                f"{self.path} was taught to {self.taught.base} with the hash {self.taught.sha256[:12]}..., and "
                f"{self.taught.base} here has {there[:12]}...: the weights are others; teach these with likewise adapt"
            )

    def change(self, model: nn.Module) -> None:
        """Put the changed tensors into the model that was taught.

        Raises:
            LikewiseError: it has no such tensors, or of another shape; numbers that are not finite.
        """
        there = model.state_dict()
        for name, tensor in self._part(CHANGED).items():
            if name not in there:
                raise LikewiseError(f"{self.path} changes {named_briefly([name])}, which {self.taught.base} has not")
            old = there[name]
            if old.shape != tensor.shape or old.is_floating_point() != tensor.is_floating_point():
                shapes = f"{tensor.dtype} {tuple(tensor.shape)}, expected {old.dtype} {tuple(old.shape)}"
                raise LikewiseError(f"{self.path}: {name} is {shapes}")
            _check_finite(name, tensor, self.path)
            with torch.no_grad():
                old.copy_(tensor)

    def examples(self, model: Any, device: torch.device) -> ReferenceExemplars:
        """What the examples look like to a counter by example, on its device.

        Raises:
            LikewiseError: the model takes no examples, or they are not what it makes of any.
        """
        parts = self._part(EXAMPLES)
        if not parts:
            return NO_EXEMPLARS
        if "exemplars" not in model.prompts:
            raise LikewiseError(f"{self.path} holds examples, which {self.taught.base} does not take")
        for name, tensor in parts.items():
            _check_finite(name, tensor, self.path)
        try:
            features = model.features_of({name: tensor.to(device) for name, tensor in parts.items()})
            return ReferenceExemplars((features,), Prompt(self.exemplars).exemplars)
        except LikewiseError as error:
            raise LikewiseError(f"{self.path}: {error}") from error

    def _part(self, beginning: str) -> dict[str, Tensor]:
        return {k.removeprefix(beginning): v for k, v in self.tensors.items() if k.startswith(beginning)}


def is_card(path: Path) -> bool:
    """Whether a file is a card; what cannot be read is none, for whoever reads it next to say why."""
    try:
        with safe_open(path, framework="pt") as file:
            return bool((file.metadata() or {}).get("method") == METHOD)
    except (OSError, SafetensorError):
        return False


def read_card(path: Path) -> AdaptationCard:
    """Read a file that `save_card` wrote.

    Raises:
        LikewiseError: it is damaged, of a later version, or says what cannot be.
    """
    checkpoint = read_checkpoint(path)
    if checkpoint.method != METHOD:
        raise LikewiseError(f"{path} holds weights of {checkpoint.method}; expected what 'likewise adapt' wrote")
    if checkpoint.config.get("format") != FORMAT:
        raise LikewiseError(f"{path} has format {checkpoint.config.get('format')!r:.20}; this version reads {FORMAT}")
    try:
        content = config_from(CardContent, checkpoint.config)
        taught = _taught_of(content)
    except (LikewiseError, TypeError) as error:
        raise LikewiseError(f"{path} is no card: {error}") from error
    names = [name.removeprefix(CHANGED) for name in checkpoint.state if name.startswith(CHANGED)]
    others = [name for name in checkpoint.state if not name.startswith((CHANGED, EXAMPLES))]
    if others or sorted(names) != sorted(content.changed):
        raise LikewiseError(f"{path} is no card: its tensors are not those that it says it changes")
    return AdaptationCard(path, taught, content.inference, content.by_examples, content.exemplars, checkpoint.state)


def save_card(
    path: Path,
    model: Any,
    used: tuple[InferenceConfig, InferenceConfig | None],
    taught: Taught | None,
    examples: ReferenceExemplars,
) -> Path:
    """Write a card; the file appears under its name only when it is complete.

    Args:
        path: of the file.
        model: the network with the changed tensors.
        used: how its weights are used, and how where it counts by the examples.
        taught: what was learnt.
        examples: that it counts by where it is shown none.

    Raises:
        LikewiseError: nothing was taught, or a name that does not end in ``.safetensors``.
    """
    if taught is None:
        raise LikewiseError("this counter was taught nothing; expected one that likewise.adapt gave")
    if path.suffix != ".safetensors":
        raise LikewiseError(f"{path}: expected a name that ends in .safetensors, so that it is known for a model")
    state = model.state_dict()
    tensors = {CHANGED + name: state[name].half() for name in taught.changed}
    for features in examples.features[:1]:
        tensors |= {EXAMPLES + name: tensor.clone() for name, tensor in features.to_tensors().items()}
    content = CardContent(
        format=FORMAT,
        base=taught.base,
        sha256=taught.sha256,
        chosen=taught.chosen,
        candidates=tuple(cast(Any, astuple(each)) for each in taught.candidates),
        pictures=tuple(cast(Any, astuple(each)) for each in taught.pictures),
        changed=taught.changed,
        seed=taught.seed,
        version=taught.version,
        stopped=taught.stopped,
        inference=used[0],
        by_examples=used[1],
        without_boxes=tuple(cast(Any, astuple(each)) for each in taught.without_boxes),
        exemplars=examples.exemplars,
    )
    return save_checkpoint(path, _Written(content, tensors))


def tensors_sha256(model: Any) -> str:
    """A hash of everything in a network's state: the same however its file was written."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        found.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        found.update(plain.view(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
    return found.hexdigest()


class _Written:
    """What `save_checkpoint` takes for a model."""

    method = METHOD

    def __init__(self, config: CardContent, tensors: dict[str, Tensor]) -> None:
        self.config, self.tensors = config, tensors

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors."""
        return self.tensors


def _taught_of(content: CardContent) -> Taught:
    return Taught(
        base=content.base,
        sha256=content.sha256,
        chosen=content.chosen,
        candidates=tuple(CandidateError(*each) for each in content.candidates),
        pictures=tuple(TaughtPicture(*each) for each in content.pictures),
        without_boxes=tuple(CandidateError(*each) for each in content.without_boxes),
        changed=content.changed,
        seed=content.seed,
        version=content.version,
        stopped=content.stopped,
    )


def _check_finite(name: str, tensor: Tensor, path: Path) -> None:
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise LikewiseError(f"{path}: {named_briefly([name])} holds numbers that are not finite")
