"""Published checkpoints, as their authors wrote them, become files that likewise loads."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from likewise.errors import LikewiseError
from likewise.registry import preset
from likewise.weights import Configured, load_strict, read_foreign, save_checkpoint


def convert(method: str, checkpoint: Path, out: Path) -> Path:
    """Read a published checkpoint, load it strictly into its method's network, and save that with its config.

    The file is read without executing code; every tensor must find its place and every place its tensor.

    Args:
        method: name of the model with the published configuration, such as ``"spdcn"``.
        checkpoint: the authors' file: a state dict, bare or under ``"model"`` or ``"state_dict"``.
        out: where to write; must end in ``.safetensors``.

    Returns:
        ``out``.

    Raises:
        LikewiseError: an unknown method (the nearest is named), a file that is missing, unreadable or of another
            method (the names that do not fit are named), or an ``out`` that could not be loaded again. Nothing is
            written then.
    """
    if out.suffix != ".safetensors":
        raise LikewiseError(
            f"cannot write {out}: expected a name that ends in .safetensors, such as {method}.safetensors"
        )
    found = preset(method)
    module = importlib.import_module(found.model.__module__)
    if not hasattr(module, "convert_keys"):
        raise LikewiseError(f"{method} is published here only, so there is nothing to convert; load it as {method!r}")
    state = module.convert_keys(read_foreign(checkpoint))
    # some methods are published in several sizes, such as for other numbers of classes
    fitted = getattr(module, "config_for", lambda config, _: config)
    network = found.model(fitted(found.config, state))
    load_strict(network, state, str(checkpoint))
    return save_checkpoint(out, cast("Configured", network))
