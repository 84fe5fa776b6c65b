"""Published checkpoints, as their authors wrote them, become files that likewise loads."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast  # a method's config: its class is known to the method alone

from likewise.errors import LikewiseError
from likewise.foreign.published import look_into_foreign, named_briefly
from likewise.registry import preset
from likewise.weights import Configured, network_of, save_checkpoint


def convert(
    method: str,
    checkpoint: Path,
    out: Path,
    say: Callable[[str], object] | None = None,
    *,
    labels: Path | None = None,
) -> Path:
    """Read a published checkpoint, load it strictly into its method's network, and save that with its config.

    The file is read without executing code; every tensor must find its place and every place its tensor. Objects beside
    the weights, such as a training script's settings, are left alone.

    Args:
        method: name of the model with the published configuration, such as ``"spdcn"``.
        checkpoint: the authors' file: a state dict, bare or under ``"model"`` or ``"state_dict"``; of some recognisers
            a TensorFlow Lite file.
        out: where to write; must end in ``.safetensors``.
        say: is told what was taken and what was left alone, where the file holds more than weights.
        labels: a text file with the name of a recogniser's class a line, for files that do not hold them.

    Returns:
        ``out``.

    Raises:
        LikewiseError: an unknown method (the nearest is named), a file that is missing, unreadable or of another
            method (the names that do not fit are named), or an ``out`` that could not be loaded again. Nothing is
            written then.

    Example:
        >>> import tempfile
        >>> import torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     published = Path(folder) / "published.pth"
        ...     torch.save(preset("spdcn-lite").build().state_dict(), published)
        ...     convert("spdcn-lite", published, Path(folder) / "mine.safetensors").name
        'mine.safetensors'
    """
    if out.suffix != ".safetensors":
        raise LikewiseError(
            f"cannot write {out}: expected a name that ends in .safetensors, such as {method}.safetensors"
        )
    found = preset(method)
    module = importlib.import_module(found.model.__module__)
    if not hasattr(module, "convert_keys"):
        raise LikewiseError(f"{method} is published here only, so there is nothing to convert; load it as {method!r}")
    held = look_into_foreign(checkpoint)
    state = module.convert_keys(held.state)
    # some methods are published in several sizes, such as for other numbers of classes
    fitted = getattr(module, "config_for", lambda config, _: config)
    config = fitted(found.config, state)
    if labels is not None:
        config = _labelled(config, labels)
    network = network_of(lambda: found.model(config), state, str(checkpoint))
    if say is not None and held.refused:
        say(f"took {len(held.state)} tensors from {checkpoint}; left alone, unread: {named_briefly(held.refused)}")
    return save_checkpoint(out, cast("Configured", network))


def _labelled(config: Any, labels: Path) -> Any:
    """A recogniser's config with the names in a file.

    Raises:
        LikewiseError: it has no classes, the file cannot be read, or does not have a name for each.
    """
    if not hasattr(config, "labels"):
        raise LikewiseError(f"labels are for what recognises; this model has no classes to name after {labels}")
    try:
        names = tuple(line.strip() for line in labels.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeError) as error:
        raise LikewiseError(f"{labels} cannot be read: {error}") from error
    return dataclasses.replace(config, labels=names)
