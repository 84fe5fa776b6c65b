"""Pictures of any size and prompts in, results in the caller's pixels out: a class for each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # a loaded network: its class is known to the registry alone

import torch

from likewise.predict.counter import Counter
from likewise.predict.densities import ReferenceExemplars
from likewise.predict.named import NamedCounter
from likewise.predict.prepared_image import Picture, PreparedImage
from likewise.predict.recognizer import Recognizer
from likewise.predict.segmenter import EncodedImage, Segmenter, Support
from likewise.predict.session import Session
from likewise.registry import load_model

__all__ = [
    "Counter",
    "EncodedImage",
    "NamedCounter",
    "Picture",
    "PreparedImage",
    "Recognizer",
    "ReferenceExemplars",
    "Segmenter",
    "Session",
    "Support",
    "load",
    "load_counter",
]


def load(
    name_or_path: str | Path, *, device: str | torch.device | None = None
) -> Counter | NamedCounter | Recognizer | Segmenter:
    """A model, ready to use: one that ships with the package, by name, or a ``.safetensors`` file.

    Args:
        name_or_path: ``likewise models`` lists the names.
        device: None: a GPU where there is one, else the CPU.

    Raises:
        LikewiseError: an unknown name (the nearest is given), a model without weights, or an unreadable file.

    Example:
        >>> import likewise as lw
        >>> lw.load("spdcn-lite").prompts
        ('exemplars', 'negatives')
    """
    name, model = load_model(name_or_path)
    if model.task == "count":
        return _counter(name, model, device, scale_steps=0)
    return {"recognize": Recognizer, "segment": Segmenter}[model.task](model, name, device=device)


def load_counter(
    name_or_path: str | Path, *, device: str | torch.device | None = None, scale_steps: int = 0
) -> Counter | NamedCounter:
    """`load` for what counts, and nothing else.

    Args:
        name_or_path: as of `load`.
        device: as of `load`.
        scale_steps: as of `Counter`.

    Raises:
        LikewiseError: as `load` does, or a model for another task.
    """
    name, model = load_model(name_or_path, task="count")
    return _counter(name, model, device, scale_steps)


def _counter(name: str, model: Any, device: str | torch.device | None, scale_steps: int) -> Counter | NamedCounter:
    """A network that counts, joined to the one that counts what it finds where its weights say so."""
    partner = model.config.inference.counted_by
    if not partner:
        return Counter(model, name, device=device, scale_steps=scale_steps)
    found, network = load_model(partner, task="count")
    return NamedCounter(model, Counter(network, found, device=device, scale_steps=scale_steps), name)
