"""Pictures of any size and prompts in, results in the caller's pixels out: a class for each task."""

from __future__ import annotations

from pathlib import Path

import torch

from likewise.predict.counter import Counter
from likewise.predict.densities import Likeness
from likewise.predict.pictures import Picture
from likewise.predict.recognizer import Recognizer
from likewise.predict.seen import Seen
from likewise.predict.segmenter import Segmenter, Support
from likewise.registry import load_model

__all__ = ["Counter", "Likeness", "Picture", "Recognizer", "Seen", "Segmenter", "Support", "load"]

#: What is made of a network, by its task.
FOR_TASK = {"count": Counter, "recognize": Recognizer, "segment": Segmenter}


def load(name_or_path: str | Path, *, device: str | torch.device | None = None) -> Counter | Recognizer | Segmenter:
    """A model, ready to use: one that ships with the package, by name, or a ``.safetensors`` file.

    Args:
        name_or_path: ``likewise models`` lists the names.
        device: None: a GPU where there is one, else the CPU.

    Raises:
        LikewiseError: an unknown name (the nearest is given), a model without weights, or an unreadable file.
    """
    name, model = load_model(name_or_path)
    return FOR_TASK[model.task](model, name, device=device)
