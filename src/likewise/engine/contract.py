"""What the engine asks of a task, so that it trains counters, segmenters and recognisers alike.

A network says what it is for (``task``), and has ``loss(output, batch)``: losses (B,) by name, of which "total" is
minimised. It may have ``parameter_groups(lr)``, for the optimiser, ``begin_step(fraction)``, which is told before each
step how much of the run is done, in [0, 1), and ``begin_validation(fraction)`` with ``end_validation()``, told before
and after it is validated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import torch
from torch import nn

from likewise.lazy import resolve

#: Task -> its contract.
CONTRACTS = {
    "count": "likewise.engine.count_eval:Counting",
    "recognize": "likewise.engine.recognize_eval:Recognizing",
    "segment": "likewise.engine.segment_eval:Segmenting",
}


class Batch(Protocol):
    """Samples that go through the network together."""

    def __len__(self) -> int:
        """How many."""

    def to(self, device: Any, **kwargs: Any) -> Self:
        """The same batch with every tensor on ``device``."""


class Meter(Protocol):
    """Adds up how good a network is on the validation set."""

    def add(self, output: Any, batch: Any) -> None:
        """One more batch, and what the network made of it."""

    def summary(self) -> dict[str, float]:
        """The metrics by name, the one to watch first."""


class Contract(Protocol):
    """What is particular to one task."""

    def collate(self, samples: Sequence[Any]) -> Batch:
        """Samples of a data set as a batch."""

    def output(self, model: nn.Module, batch: Any, layout: torch.memory_format) -> Any:
        """What the network makes of a batch, its pictures laid out so in memory."""

    def meter(self) -> Meter:
        """A new one."""


def contract_of(model: nn.Module) -> Contract:
    """The contract of a network's task."""
    found: Contract = resolve(CONTRACTS[str(model.task)])(model)
    return found
