"""What is known of an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from likewise.estimation.estimators import Estimator
from likewise.estimation.groups import Comparison, GroupTotal
from likewise.estimation.hand_counts import Design
from likewise.estimation.intervals import Interval
from likewise.estimation.planning import Plan

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """How an estimate was made.

    Attributes:
        estimator: of the total.
        design: by which the pictures were drawn.
        seeds: of the rounds of drawing; none where nobody says.
        interval: "log", "t" or "bootstrap".
        slope: the factor of the counts; 1 for the difference estimator.
        by: the column of the groups.
        source: the table of the counts.
        trust: 0 to 1, how far the counts were used as they are: `likewise.estimation.control`.
        taught: pictures that taught the model and entered with their true counts only.
        crossfitted: pictures that taught the model and had the count of one without them.
        about: model, settings, weights and prompt of the counts, where the table tells them.
    """

    estimator: Estimator
    design: Design
    seeds: tuple[int, ...]
    interval: str
    slope: float
    by: str | None
    source: str
    trust: float = 1.0
    taught: int = 0
    crossfitted: int = 0
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Known:
    """The total of all pictures, estimated, and all that it was made of.

    Attributes:
        total: of all pictures.
        level: how often the interval holds, such as 0.95.
        names: (N,) of all pictures.
        counts: (N,) the model's.
        truth: (N,) hand counts; NaN where there is none.
        made: how.
        groups: totals of groups; empty where none were asked for.
        comparison: how two of them differ.
        plan: how many more hand counts are needed; None where all is counted.
        notes: what a reader has to know, a sentence or two each.
    """

    total: Interval
    level: float
    names: tuple[str, ...]
    counts: Array
    truth: Array
    made: Made
    groups: tuple[GroupTotal, ...] = ()
    comparison: Comparison | None = None
    plan: Plan | None = None
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> Interval:
        """Objects a picture."""
        return self.total.scaled(1 / len(self.names))

    @property
    def counted(self) -> float:
        """The sum of the model's counts as they are."""
        return float(self.counts.sum())

    @property
    def by_hand(self) -> int:
        """How many pictures have a hand count."""
        return int(np.isfinite(self.truth).sum())

    @property
    def complete(self) -> bool:
        """Whether every picture was counted by hand: then the total is known, and nothing is estimated."""
        return self.by_hand == len(self.names)
