"""Every model by name: a literal table of strings, imported only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from likewise.errors import LikewiseError, nearest
from likewise.lazy import resolve
from likewise.types import Task
from likewise.weights import Checkpoint, Preset, config_from, network_of, read_checkpoint

#: Model name -> its preset.
MODELS = {
    "spdcn": "likewise.methods.spdcn:SPDCN_PAPER",
    "spdcn-lite": "likewise.methods.spdcn:SPDCN_LITE",
    "vlcounter": "likewise.methods.vlcounter:VLCOUNTER",
    "countx": "likewise.methods.countx:COUNTX_PAPER",
    "countx-lite": "likewise.methods.countx.lite:COUNTX_LITE",
    "fwb": "likewise.methods.fwb:FWB_PAPER",
    "fwb-vgg16": "likewise.methods.fwb:FWB_VGG16",
    "fwb-lite": "likewise.methods.fwb:FWB_LITE",
    "s3n": "likewise.methods.s3n:S3N_PAPER",
    "s3n-lite": "likewise.methods.s3n:S3N_LITE",
    "cam-lite": "likewise.methods.cam:CAM_LITE",
}

#: Method name, as written in checkpoints -> its network class, beside which stands ``Config``, and, where weights are
#: published elsewhere, ``convert_keys``.
METHODS = {
    "spdcn": "likewise.methods.spdcn:SPDCN",
    "vlcounter": "likewise.methods.vlcounter:VLCounter",
    "countx": "likewise.methods.countx:CounTX",
    "countx-lite": "likewise.methods.countx.lite:CounTXLite",
    "fwb": "likewise.methods.fwb:FWB",
    "s3n": "likewise.methods.s3n:S3N",
    "cam": "likewise.methods.cam:CAM",
}

#: Files of older versions that have another method today: (method in the file, field of its config, value) -> today's.
FORMER_METHODS = {("countx", "image_tower", "mobilenetv2"): "countx-lite"}


def model_names() -> list[str]:
    """Names of all presets, in the order of the table.

    Example:
        >>> [name for name in model_names() if name.endswith("-lite")]
        ['spdcn-lite', 'countx-lite', 'fwb-lite', 's3n-lite', 'cam-lite']
    """
    return list(MODELS)


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        LikewiseError: no such model; the nearest names are given.

    Example:
        >>> found = preset("spdcn-lite")
        >>> found.task, found.prompts, found.card.licence
        ('count', ('exemplars', 'negatives'), 'Apache-2.0')
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
        LikewiseError: an unknown method or config field, or weights that do not fit, which is found out before memory
            is taken for the network.
    """
    network = method_class(_method_of(checkpoint))
    numbers = config_from(resolve(f"{network.__module__}:Config"), checkpoint.config)
    return network_of(lambda: network(numbers), checkpoint.state, source).eval()


def _method_of(checkpoint: Checkpoint) -> str:
    """The method that a file is of today."""
    for (method, field, value), today in FORMER_METHODS.items():
        if checkpoint.method == method and checkpoint.config.get(field) == value:
            return today
    return checkpoint.method


def load_model(name_or_path: str | Path, task: Task | None = None) -> tuple[str, Any]:
    """A model ready to run, by preset name (bundled weights) or checkpoint file: its name and the network.

    Args:
        name_or_path: ``likewise models`` lists the names.
        task: what it must be for; None: anything.

    Raises:
        LikewiseError: an unknown name, a preset without bundled weights (the message says how to get them), an
            unreadable file, or a model for another task (those for this one are named).
    """
    name, model = _loaded(name_or_path)
    if task is not None and model.task != task:
        others = [each.name for each in map(preset, MODELS) if each.task == task]
        raise LikewiseError(f"{name} is there to {model.task}; to {task}, name one of {', '.join(others)}")
    return name, model


def _loaded(name_or_path: str | Path) -> tuple[str, Any]:
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
    return resolve(table[name])
