"""Recognising a whole data set and comparing with the truth, and how the engine trains and validates recognisers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from likewise.data.classification.dataset import NamedPictures, NamedSample, collate_named
from likewise.errors import LikewiseError
from likewise.metrics import Ranks
from likewise.types import ClassBatch


class Recognizes(Protocol):
    """What `evaluate` needs of a recogniser: `likewise.predict.Recognizer` has it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes it knows."""

    def recognize(self, image: Any) -> Any:
        """A result with ``label``, ``known``, ``probabilities`` and ``seconds``."""


@dataclass(frozen=True)
class Recognized:
    """One picture: its name, what it shows, what was found, how sure, and how many classes were found more probable.

    ``known`` is whether it was taken for one of the classes; the rank does not depend on it.
    """

    image: str
    truth: str
    label: str
    probability: float
    rank: int
    seconds: float
    known: bool = True


@dataclass(frozen=True)
class RecognizeReport:
    """How well a recogniser knows a data set.

    Attributes:
        per_image: what was found, in the data set's order.
        errors: (picture, reason) of what could not be read.
    """

    per_image: tuple[Recognized, ...]
    errors: tuple[tuple[str, str], ...] = ()

    def summary(self) -> dict[str, float]:
        """``images``, ``top1``, ``top5`` and ``accepted`` as fractions, ``seconds_per_image``; NaN where nothing is."""
        ranks = Ranks([p.rank for p in self.per_image])
        seconds = sum(p.seconds for p in self.per_image) / len(self.per_image) if self.per_image else math.nan
        accepted = sum(p.known for p in self.per_image) / len(self.per_image) if self.per_image else math.nan
        return {"images": len(ranks), **ranks.summary(), "accepted": accepted, "seconds_per_image": seconds}

    def per_class(self) -> dict[str, float]:
        """Top-1 of the pictures of each class that has any, the worst first."""
        ranks: dict[str, Ranks] = defaultdict(Ranks)
        for picture in self.per_image:
            ranks[picture.truth].add(picture.rank)
        return dict(sorted(((label, r.top(1)) for label, r in ranks.items()), key=lambda pair: (pair[1], pair[0])))

    def to_dict(self) -> dict[str, Any]:
        """The summary, ``per_class``, ``per_image`` and ``errors`` as JSON values."""
        return {
            **{name: value if math.isfinite(value) else None for name, value in self.summary().items()},
            "per_class": self.per_class(),
            "per_image": [vars(p) for p in self.per_image],
            "errors": [{"image": image, "error": error} for image, error in self.errors],
        }


def evaluate(
    recognizer: Recognizes,
    dataset: NamedPictures,
    limit: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> RecognizeReport:
    """Recognise every picture of a data set.

    A picture that cannot be read is reported, not fatal.

    Args:
        recognizer: what recognises; its classes are matched with the data set's by name.
        dataset: pictures with their names, such as `likewise.data.open_dataset.open_named` gives.
        limit: only this many pictures, the first ones.
        progress: called after each picture with how many are done and how many there are.

    Raises:
        LikewiseError: a limit below 1, or a class of the data set that the recogniser does not know.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import likewise as lw
        >>> from PIL import Image
        >>> recognizer = lw.load("s3n-lite")
        >>> with tempfile.TemporaryDirectory() as name:
        ...     Image.new("RGB", (90, 90), "green").save(Path(name) / "1.png")
        ...     report = evaluate(recognizer, NamedPictures(Path(name), ["1.png"], [0], recognizer.labels))
        >>> report.summary()["images"], report.errors
        (1, ())
    """
    if limit is not None and limit < 1:
        raise LikewiseError(f"limit = {limit}: expected at least 1")
    known = dataset.relabelled(recognizer.labels)
    total = len(known) if limit is None else min(limit, len(known))
    found: list[Recognized] = []
    errors: list[tuple[str, str]] = []
    for index in range(total):
        try:
            found.append(_recognized(recognizer, known, index))
        except LikewiseError as error:
            errors.append((known.names[index], str(error)))
        if progress is not None:
            progress(index + 1, total)
    return RecognizeReport(tuple(found), tuple(errors))


def _recognized(recognizer: Recognizes, data: NamedPictures, index: int) -> Recognized:
    result = recognizer.recognize(data.root / data.names[index])
    probabilities = np.asarray(result.probabilities)
    target = data.targets[index]
    return Recognized(
        image=data.names[index],
        truth=data.labels[target],
        label=result.label,
        probability=float(probabilities.max()),
        rank=int((probabilities > probabilities[target]).sum()),
        seconds=float(result.seconds),
        known=bool(result.known),
    )


class HasLogits(Protocol):
    """What a recogniser gives."""

    logits: Tensor


class Recognizing:
    """The contract of recognisers: ``model(image)`` gives something with ``logits`` (B, C).

    Args:
        model: nothing of it is asked.
    """

    def __init__(self, model: nn.Module) -> None:
        del model

    def collate(self, samples: Sequence[NamedSample]) -> ClassBatch:
        """`likewise.data.classification.dataset.collate_named`."""
        return collate_named(samples)

    def output(self, model: nn.Module, batch: ClassBatch, layout: torch.memory_format) -> Any:
        """What the model gives, logits (B, C) among it."""
        return model(batch.image.contiguous(memory_format=layout))

    def meter(self) -> RankMeter:
        """A new one."""
        return RankMeter()


class RankMeter:
    """How often the truth is the answer, or among the first five."""

    def __init__(self) -> None:
        self.ranks = Ranks()

    def add(self, output: HasLogits, batch: ClassBatch) -> None:
        """Logits (B, C) and the batch they are of."""
        for logits, target in zip(output.logits.float(), batch.target.tolist(), strict=True):
            self.ranks.add(int((logits > logits[target]).sum()))

    def summary(self) -> dict[str, float]:
        """Top-1 first, then top-5."""
        return self.ranks.summary()
