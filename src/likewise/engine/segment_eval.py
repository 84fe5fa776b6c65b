"""Segmenting episode after episode and comparing with the truth, and how the engine trains and validates segmenters."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.data.fewshot.crops import collate_episodes
from likewise.data.fewshot.episodes import Episode, Episodes
from likewise.data.masks import Marking, mark_thing
from likewise.errors import LikewiseError
from likewise.metrics import Overlaps, boundaries
from likewise.predict.segmenter import EncodedImage, Segmenter
from likewise.types import SegmentBatch

#: Bytes of pictures, as the network saw them, that are kept because they will come again.
KEPT_BYTES = 1 << 29


@dataclass(frozen=True)
class Segmented:
    """One episode: its query, its examples, its class, the intersection over union, and the model's time."""

    image: str
    support: tuple[str, ...]
    kind: str
    iou: float
    seconds: float


@dataclass(frozen=True)
class SegmentReport:
    """How well a segmenter segments episodes.

    Attributes:
        per_image: the episodes, in order.
        overlaps: masks and truths, added up class by class ...
        edges: ... and their boundaries (`likewise.metrics.boundaries`).
        errors: (query, reason) of what could not be segmented.
    """

    per_image: tuple[Segmented, ...]
    overlaps: Overlaps
    edges: Overlaps
    errors: tuple[tuple[str, str], ...] = ()

    def summary(self) -> dict[str, float]:
        """``images``, ``miou``, ``boundary_iou``, ``fb_iou`` and ``seconds_per_image``; NaN where there is nothing."""
        count = len(self.per_image)
        seconds = sum(p.seconds for p in self.per_image) / count if count else math.nan
        measured = {**self.overlaps.summary(), "boundary_iou": self.edges.miou}
        return {"images": count, **measured, "seconds_per_image": seconds}

    def to_dict(self) -> dict[str, Any]:
        """The summary, ``per_class``, ``per_image`` and ``errors`` as JSON values; None where there is no number."""
        return {
            **{k: v if math.isfinite(v) else None for k, v in self.summary().items()},
            "per_class": {name: _number(self.overlaps.of(name)) for name in self.overlaps.counts},
            "per_image": [vars(p) | {"iou": _number(p.iou)} for p in self.per_image],
            "errors": [{"image": image, "error": error} for image, error in self.errors],
        }


@dataclass
class Memory:
    """Pictures as one network saw them, the last few of them.

    Attributes:
        kept: by the picture's number.
        held: their bytes.
    """

    kept: OrderedDict[int, EncodedImage] = field(default_factory=OrderedDict)
    held: int = 0

    def look(self, segmenter: Segmenter, index: int, image: Tensor) -> EncodedImage:
        """Picture ``index``, looked at now or before."""
        if index not in self.kept:
            self.kept[index] = segmenter.encode(image)
            self.held += _bytes(self.kept[index])
            while self.held > KEPT_BYTES and len(self.kept) > 1:
                self.held -= _bytes(self.kept.popitem(last=False)[1])
        self.kept.move_to_end(index)
        return self.kept[index]


def evaluate(
    segmenter: Segmenter,
    episodes: Episodes,
    *,
    support: Marking = "mask",
    memory: Memory | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SegmentReport:
    """Segment every episode once, and measure at the query's own size.

    The support is all that the segmenter is told: the query's truth is looked at afterwards.

    Args:
        segmenter: what segments.
        episodes: of a length.
        support: the segmenter is shown the examples' masks, a box round each, or a click in the middle of each.
        memory: pictures as the segmenter's trunk saw them, to be given again to one with the same trunk. What is
            remembered takes no time, also in the episodes' seconds.
        progress: called after each episode with how many are done and how many there are.

    Raises:
        LikewiseError: no episode could be segmented; the first reason is given.

    Example:
        >>> import likewise as lw
        >>> from likewise.scenes import SceneConfig
        >>> from likewise.scenes.episodes import SceneMasks
        >>> scenes = SceneMasks(SceneConfig(side=(96, 128), objects=(6, 12), settings=("paper",), emoji=False), 1)
        >>> report = evaluate(lw.load("fwb-lite"), Episodes(scenes, length=1))
        >>> report.summary()["images"], report.errors
        (1, ())
    """
    memory = Memory() if memory is None else memory
    done: list[Segmented] = []
    errors: list[tuple[str, str]] = []
    overlaps, edges = Overlaps(), Overlaps()
    for index in range(len(episodes)):
        try:
            episode, found, seconds = _segmented(segmenter, episodes, index, memory, support)
            truth = episode.mask.numpy()
            iou = overlaps.add(episode.class_name, found, truth)
            edges.add(episode.class_name, *boundaries(found, truth))
            done.append(Segmented(episode.names[0], episode.names[1:], episode.class_name, iou, seconds))
        except LikewiseError as error:
            errors.append((episodes.labelled.name(episodes.drawn(index).query), str(error)))
        if progress is not None:
            progress(index + 1, len(episodes))
    if errors and not done:
        raise LikewiseError(f"not one of {len(errors)} episodes could be segmented: {errors[0][0]}: {errors[0][1]}")
    return SegmentReport(tuple(done), overlaps, edges, tuple(errors))


def _segmented(
    segmenter: Segmenter, episodes: Episodes, index: int, memory: Memory, support: Marking
) -> tuple[Episode, NDArray[np.bool_], float]:
    """An episode, the mask that is found of its query, and the seconds that took."""
    drawn, episode = episodes.drawn(index), episodes[index]
    marks = [mark_thing((mask == 1).numpy(), support) for _, mask in episode.support]
    start = time.perf_counter()
    looked = (memory.look(segmenter, i, image) for i, (image, _) in zip(drawn.support, episode.support, strict=True))
    shots = list(zip(looked, marks, strict=True))
    found = segmenter.segment(memory.look(segmenter, drawn.query, episode.image), shots).mask
    return episode, found, time.perf_counter() - start


def _bytes(looked: EncodedImage) -> int:
    return sum(part.nbytes for part in vars(looked.seen).values() if isinstance(part, Tensor))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


class Segmenting:
    """The contract of segmenters: ``model(image, support)`` gives (B, 2, H, W) logits.

    Args:
        model: any segmenter; nothing depends on which.
    """

    def __init__(self, model: nn.Module) -> None:
        del model

    def collate(self, samples: Sequence[Episode]) -> SegmentBatch:
        """`likewise.data.fewshot.crops.collate_episodes`."""
        return collate_episodes(list(samples))

    def output(self, model: nn.Module, batch: SegmentBatch, layout: torch.memory_format) -> Tensor:
        """Logits (B, 2, H, W)."""
        logits: Tensor = model(batch.image.contiguous(memory_format=layout), batch.support)
        return logits

    def meter(self) -> SegmentMeter:
        """A new one."""
        return SegmentMeter()


class SegmentMeter:
    """Intersection over union of the crops, all classes as one."""

    def __init__(self) -> None:
        self.overlaps = Overlaps()

    def add(self, logits: Tensor, batch: SegmentBatch) -> None:
        """Logits (B, 2, H, W) and the batch they are of."""
        found = (logits[:, 1] > logits[:, 0]).cpu().numpy()
        for mask, truth in zip(found, batch.mask.cpu().numpy(), strict=True):
            self.overlaps.add("thing", mask, truth)

    def summary(self) -> dict[str, float]:
        """``iou`` of the things first, then ``fb_iou``."""
        measured = self.overlaps.summary()
        return {"iou": measured["miou"], "fb_iou": measured["fb_iou"]}
