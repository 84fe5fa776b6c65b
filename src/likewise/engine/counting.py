"""Training to count: pictures and prompts in, densities out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from likewise.data.counting.collate import collate
from likewise.data.counting.sample import CountSample
from likewise.metrics import CountErrors
from likewise.types import CountBatch


class Counting:
    """The contract of counters: ``model(image, prompt)`` gives densities (B, 1, H, W), or a tuple with ``density``.

    Args:
        model: what its class says it can be prompted with decides whether batches carry names and negatives.
    """

    def __init__(self, model: nn.Module) -> None:
        takes = getattr(model, "prompts", ())
        self.text, self.negatives = "text" in takes, "negatives" in takes

    def collate(self, samples: Sequence[CountSample]) -> CountBatch:
        """`likewise.data.counting.collate.collate`."""
        return collate(samples, text=self.text, negatives=self.negatives)

    def output(self, model: nn.Module, batch: CountBatch, layout: torch.memory_format) -> Any:
        """Densities (B, 1, H, W), or a tuple with ``density`` and what else the loss is worked out from."""
        return model(batch.image.contiguous(memory_format=layout), batch.prompt)

    def meter(self) -> CountMeter:
        """A new one."""
        return CountMeter()


class CountMeter:
    """Errors of the counts."""

    def __init__(self) -> None:
        self.errors = CountErrors()

    def add(self, output: Any, batch: CountBatch) -> None:
        """Densities (B, 1, H, W), or a tuple that has them, and the batch they are of."""
        density = output if isinstance(output, Tensor) else output.density
        for count, points in zip(density.double().sum(dim=(1, 2, 3)).tolist(), batch.points, strict=True):
            self.errors.add(count, len(points))

    def summary(self) -> dict[str, float]:
        """MAE first, then the others."""
        return self.errors.summary()
