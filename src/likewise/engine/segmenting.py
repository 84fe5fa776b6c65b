"""Training to segment: queries and examples in, logits out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from likewise.data.fewshot.crops import collate_episodes
from likewise.data.fewshot.episodes import Episode
from likewise.metrics import Overlaps
from likewise.types import SegmentBatch


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
