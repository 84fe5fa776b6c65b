"""Pictures of any size and prompts in, results in the caller's pixels out: a class for each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # a loaded network: its class is known to the registry alone

import torch

from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict.adaptation_card import AdaptationCard, is_card, read_card
from likewise.predict.counter import Counter, device_of
from likewise.predict.densities import NO_EXEMPLARS, ReferenceExemplars
from likewise.predict.named import NamedCounter
from likewise.predict.naming import Namer
from likewise.predict.prepared_image import Picture, PreparedImage
from likewise.predict.recognizer import Recognizer
from likewise.predict.segmenter import EncodedImage, Segmenter, Support
from likewise.predict.session import Session
from likewise.predict.taught import Taught
from likewise.predict.taught_names import taught_names_of
from likewise.registry import load_model, model_names

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

#: The method whose networks name places, and what finds the boxes of what they name, and counts it.
PLACE_NAMER, COUNTER_BY_NAME = "cam", "countx-lite"


def load(
    name_or_path: str | Path, *, device: str | torch.device | None = None
) -> Counter | NamedCounter | Recognizer | Segmenter:
    """A model, ready to use: one that ships with the package, by name, or a ``.safetensors`` file.

    Args:
        name_or_path: ``likewise models`` lists the names. A file may hold weights, or what ``likewise adapt`` taught a
            counter: that counter is loaded, and changed.
        device: None: a GPU where there is one, else the CPU.

    Raises:
        LikewiseError: an unknown name (the nearest is given), a model without weights, an unreadable file, or what was
            taught to other weights than are here.

    Example:
        >>> import likewise as lw
        >>> lw.load("spdcn-lite").prompts
        ('exemplars', 'negatives')
    """
    if (path := Path(name_or_path)).suffix == ".safetensors" and is_card(path):
        return _taught(path, device, scale_steps=0)
    name, model = load_model(name_or_path)
    if model.task == "count":
        return _counter(name, model, device, scale_steps=0)
    if model.task == "segment":
        return Segmenter(model, name, device=device)
    return Recognizer(model, name, device=device, taught=taught_names_of(path))


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
    if (path := Path(name_or_path)).suffix == ".safetensors" and is_card(path):
        return _taught(path, device, scale_steps)
    name, model = load_model(name_or_path)
    if model.method == PLACE_NAMER:
        _, finder = load_model(COUNTER_BY_NAME, task="count")
        return _joined(finder, name, device, scale_steps, namer=model)
    if model.task != "count":
        load_model(name_or_path, task="count")  # says what it is there for
    return _counter(name, model, device, scale_steps)


def _counter(
    name: str, model: Any, device: str | torch.device | None, scale_steps: int, card: AdaptationCard | None = None
) -> Counter | NamedCounter:
    """A network that counts, joined to the one that counts what it finds where its weights say so."""
    taught, inference = (None, None) if card is None else (card.taught, card.inference)
    if not model.config.inference.counted_by:
        examples = NO_EXEMPLARS if card is None else card.examples(model, device_of(device))
        return Counter(
            model,
            name,
            device=device,
            inference=inference,
            scale_steps=scale_steps,
            examples=examples,
            by_examples=None if card is None else card.by_examples,
            taught=taught,
        )
    by = model.config.inference.named_by
    namer = load_model(by, task="recognize")[1] if by else None
    return _joined(model, name, device, scale_steps, namer=namer, inference=inference, taught=taught)


def _joined(
    finder: Any,
    name: str,
    device: str | torch.device | None,
    scale_steps: int,
    *,
    namer: Any,
    inference: InferenceConfig | None = None,
    taught: Taught | None = None,
) -> NamedCounter:
    """A network that finds by name, the one that counts what it finds, and the one that names photographs."""
    found, network = load_model(finder.config.inference.counted_by, task="count")
    counter = Counter(network, found, device=device, scale_steps=scale_steps)
    naming = None if namer is None else Namer(namer, counter.device)
    return NamedCounter(finder, counter, name, namer=naming, inference=inference, taught=taught)


def _taught(path: Path, device: str | torch.device | None, scale_steps: int) -> Counter | NamedCounter:
    """The counter that a card's base model becomes by it."""
    card = read_card(path)
    _, model = load_model(_base_of(card), task="count")
    card.check_base(model)
    card.change(model)
    return _counter(path.stem, model, device, scale_steps, card)


def _base_of(card: AdaptationCard) -> str | Path:
    """Where the model is that a card changes: in a file beside it, or among those that ship."""
    name = card.taught.base
    file = f"{name[:80]}.safetensors"
    beside = card.path.parent / file
    if Path(file).name == file and beside != card.path and beside.is_file():  # a name, and no way to elsewhere
        return beside
    if name in model_names():
        return name
    raise LikewiseError(f"{card.path} was taught to {name[:80]!r}; put {file} beside it")
