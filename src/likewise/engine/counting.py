"""Training to count: pictures and prompts in, densities out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from likewise.data.counting.sample import CountSample
from likewise.data.counting.transforms import collate
from likewise.metrics import CountErrors
from likewise.types import CountBatch


class Counting:
    """The contract of counters: ``model(image, prompt)`` gives (B, 1, H, W) densities.

    Args:
        model: what its class says it can be prompted with decides whether batches carry names and negatives.
    """

    def __init__(self, model: nn.Module) -> None:
        takes = getattr(model, "prompts", ())
        self.text, self.negatives = "text" in takes, "negatives" in takes

    def collate(self, samples: Sequence[CountSample]) -> CountBatch:
        """`likewise.data.counting.transforms.collate`."""
        return collate(samples, text=self.text, negatives=self.negatives)

    def output(self, model: nn.Module, batch: CountBatch, layout: torch.memory_format) -> Tensor:
        """Densities (B, 1, H, W)."""
        density: Tensor = model(batch.image.contiguous(memory_format=layout), batch.prompt)
        return density

    def meter(self) -> CountMeter:
        """A new one."""
        return CountMeter()


class CountMeter:
    """Errors of the counts."""

    def __init__(self) -> None:
        self.errors = CountErrors()

    def add(self, density: Tensor, batch: CountBatch) -> None:
        """Densities (B, 1, H, W) and the batch they are of."""
        for count, points in zip(density.double().sum(dim=(1, 2, 3)).tolist(), batch.points, strict=True):
            self.errors.add(count, len(points))

    def summary(self) -> dict[str, float]:
        """MAE first, then the others."""
        return self.errors.summary()
