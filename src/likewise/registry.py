"""Every model by name: a literal table of strings, imported only when asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from torch import nn

from likewise.data.names import nearest
from likewise.types import LikewiseError
from likewise.weights import Checkpoint, Preset, config_from, load_strict, read_checkpoint

#: Model name -> its preset.
MODELS = {
    "spdcn": "likewise.methods.spdcn:SPDCN_PAPER",
    "spdcn-lite": "likewise.methods.spdcn:SPDCN_LITE",
    "vlcounter": "likewise.methods.vlcounter:VLCOUNTER",
    "countx": "likewise.methods.countx:COUNTX_PAPER",
}

#: Method name, as written in checkpoints -> its network class, beside which stand ``Config`` and ``convert_keys``.
METHODS = {
    "spdcn": "likewise.methods.spdcn:SPDCN",
    "vlcounter": "likewise.methods.vlcounter:VLCounter",
    "countx": "likewise.methods.countx:CounTX",
}


def model_names() -> list[str]:
    """Names of all presets, in the order of the table."""
    return list(MODELS)


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        LikewiseError: no such model; the nearest names are given.
    """
    found: Preset = _look_up(MODELS, name, "model")
    return found


def method_class(name: str) -> Any:
    """The network class of a method.

    Raises:
        LikewiseError: no such method; the nearest names are given.
    """
    return _look_up(METHODS, name, "method")


def build(checkpoint: Checkpoint, source: str) -> nn.Module:
    """The network of a checkpoint, with its weights, in eval mode.

    Raises:
        LikewiseError: an unknown method or config field, or weights that do not fit.
    """
    network = method_class(checkpoint.method)
    config = importlib.import_module(network.__module__).Config
    model: nn.Module = network(config_from(config, checkpoint.config))
    load_strict(model, checkpoint.state, source)
    return model.eval()


def load_model(name_or_path: str | Path) -> tuple[str, nn.Module]:
    """A model ready to run, by preset name (bundled weights) or checkpoint file: its name and the network.

    Raises:
        LikewiseError: an unknown name, a preset without bundled weights (the message says how to get them), or
            an unreadable file.
    """
    path = Path(name_or_path)
    if path.suffix == ".safetensors":
        return path.stem, build(read_checkpoint(path), str(path))
    found = preset(str(name_or_path))
    if found.card.path is None:
        raise LikewiseError(f"{found.name} ships without weights: {found.card.how_to}")
    return found.name, build(read_checkpoint(found.card.path), found.name)


def _look_up(table: dict[str, str], name: str, what: str) -> Any:
    if name not in table:
        raise LikewiseError(f"no {what} named {name!r}{nearest(name, table)}")
    module, attribute = table[name].split(":")
    return getattr(importlib.import_module(module), attribute)
