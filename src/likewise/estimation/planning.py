"""How many more hand counts bring the interval to what is wanted, and what hand counts alone would give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.estimation.intervals import quantile

Array = NDArray[np.float64]

#: The half width that is aimed at, as a fraction of the total.
AIM = 0.05


@dataclass(frozen=True)
class Plan:
    """Half widths of the interval, by how many pictures are counted by hand.

    From what this sample shows, so that they are estimates, too. Each is a fraction of the total.

    Attributes:
        pictures: N.
        by_hand: n, so far.
        level: of the interval.
        unit: n times the variance of the total over its square, without the finite population correction ...
        hand_unit: ... and the same of the hand counts alone, of a sample at random.
        aim: the half width wanted.
    """

    pictures: int
    by_hand: int
    level: float
    unit: float
    hand_unit: float
    aim: float = AIM

    def half_width(self, n: int, *, alone: bool = False) -> float:
        """With n hand counts; alone: as if there were no counts of the model."""
        unit = self.hand_unit if alone else self.unit
        left = max(1 / n - 1 / self.pictures, 0.0)
        return quantile(self.level, n - 1) * math.sqrt(unit * left)

    def needed(self, *, alone: bool = False) -> int:
        """Fewest hand counts with which the half width is the one aimed at, or less."""
        low, high = 3, self.pictures
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.half_width(middle, alone=alone) <= self.aim else (middle + 1, high)
        return high

    @property
    def more(self) -> int:
        """Hand counts that are missing to it."""
        return max(self.needed() - self.by_hand, 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "aim": self.aim,
            "more": self.more,
            "needed": self.needed(),
            "needed_by_hand_alone": self.needed(alone=True),
            "half_width": round(self.half_width(self.by_hand), 6),
            "half_width_by_hand_alone": round(self.half_width(self.by_hand, alone=True), 6),
        }


def plan_of(
    total: float, variance: float, truth: Array, probability: Array, pictures: int, by_hand: int, level: float
) -> Plan | None:
    """The plan that a sample allows; None where nothing was counted, or nothing is left to count.

    Args:
        total: estimated.
        variance: of it.
        truth: (n,) hand counts of the sample.
        probability: (n,) of being drawn.
        pictures: N.
        by_hand: n, with all that is known.
        level: of the interval.
    """
    if total <= 0 or by_hand >= pictures:
        return None
    weight = 1 / probability / (1 / probability).sum()
    mean = float((weight * truth).sum())
    spread = float((weight * (truth - mean) ** 2).sum()) * len(truth) / max(len(truth) - 1, 1)
    left = 1 / by_hand - 1 / pictures
    return Plan(pictures, by_hand, level, variance / total**2 / left, pictures**2 * spread / total**2)
