"""Training to recognise: pictures in, logits of their classes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from likewise.data.classification.dataset import NamedSample, collate_named
from likewise.metrics import Ranks
from likewise.types import ClassBatch


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
