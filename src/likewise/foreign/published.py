"""The state dict of a file that a method's authors published, whatever else lies in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.foreign import Foreign, check_archive, read_inert, unwrapped
from likewise.foreign.tflite import read_tflite


def look_into_foreign(path: Path) -> Foreign:
    """Read the state dict of a published ``.pth`` (or safetensors) file, out of its wrapping where it has one.

    A TensorFlow Lite file (``.tflite``) has layers in their order in its place: see `likewise.foreign.tflite`.

    Wrappings known: ``{"model": state}``, ``{"state_dict": state}`` and names that begin with ``module.``. Other things
    in the file, such as settings and an optimiser's state, are not taken; classes among them that PyTorch's own
    reader of plain weights stops at are named in `Foreign.refused` and never executed.

    Raises:
        LikewiseError: the file is missing, unreadable without executing code, or holds no tensors.
    """
    if not path.is_file():
        raise LikewiseError(f"no checkpoint at {path}")
    found = _read_any(path)
    if not found.state and found.refused:
        raise LikewiseError(
            f"{path} cannot be read as plain weights, without executing code: it holds no state dict but "
            f"{named_briefly(found.refused)}"
        )
    if not found.state:
        raise LikewiseError(f"{path} holds no state dict; expected names and tensors, bare or under 'model'")
    return Foreign({k.removeprefix("module."): _whole(k, v, path) for k, v in found.state.items()}, found.refused)


def named_briefly(names: Sequence[str], most: int = 5) -> str:
    """Names out of a file as a list for a message: not too many, not too long, and nothing that a terminal obeys."""
    shown = ["".join(c if c.isprintable() else "?" for c in name[:60]) for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _read_any(path: Path) -> Foreign:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return Foreign({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  # not a mapping
        if path.suffix == ".tflite":
            return Foreign(read_tflite(path))
        check_archive(path)
        return _read_plain(path) or read_inert(path)
    except Exception as error:  # a damaged file fails in any way it likes
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LikewiseError(f"{path} cannot be read as plain weights, without executing code: {first}") from error


def _read_plain(path: Path) -> Foreign | None:
    """What PyTorch's own reader of plain weights makes of a file; None where it stops."""
    try:
        held = unwrapped(torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # noqa: BLE001  # at anything but weights, and at what is damaged, in any way it likes
        return None
    found = held.items() if isinstance(held, Mapping) else ()
    return Foreign({k: v for k, v in found if isinstance(k, str) and isinstance(v, Tensor)})


def _whole(name: str, tensor: Tensor, path: Path) -> Tensor:
    """The tensor, whose numbers are all in the file: of one that is one number seen many times, none would be."""
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    if not dense or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise LikewiseError(f"{path} does not hold all numbers of {named_briefly([name])}")
    return tensor
