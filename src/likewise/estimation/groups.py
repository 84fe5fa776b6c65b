"""Totals of groups, such as plates, and how two of them differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from likewise.errors import LikewiseError, nearest
from likewise.estimation.designs import FEWEST
from likewise.estimation.estimators import Total, estimate_total
from likewise.estimation.intervals import Interval, log_interval, quantile
from likewise.estimation.rounds import Joined
from likewise.estimation.variance import Spread, combined


@dataclass(frozen=True)
class GroupTotal:
    """The total of one group.

    Attributes:
        name: of the group.
        pictures: in it.
        by_hand: of these, counted by hand.
        counted: sum of the model's counts.
        total: estimated, with its interval; without one where fewer than 3 were counted by hand.
        spread: variance of the total; None where there is no interval.
    """

    name: str
    pictures: int
    by_hand: int
    counted: float
    total: Interval
    spread: Spread | None

    @property
    def mean(self) -> Interval:
        """Objects a picture."""
        return self.total.scaled(1 / self.pictures)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "group": self.name,
            "pictures": self.pictures,
            "by_hand": self.by_hand,
            "counted": round(self.counted, 4),
            "total": self.total.to_dict(),
            "mean": self.mean.to_dict(),
        }


@dataclass(frozen=True)
class Comparison:
    """How two groups differ, in objects a picture.

    Attributes:
        first: name of the one group ...
        second: ... and of the other.
        difference: mean of the first less mean of the second.
        ratio: mean of the first by mean of the second; None where one of them is 0.
    """

    first: str
    second: str
    difference: Interval
    ratio: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference.to_dict(),
            "ratio": None if self.ratio is None else self.ratio.to_dict(),
        }


def group_totals(joined: Joined, by: str, slope: float, level: float) -> tuple[GroupTotal, ...]:
    """The total of every group of a column, each from its own hand counts.

    Given how many of a group were drawn, they are a sample of it with the same relative probabilities, so that the
    ratio to the group's counts is estimated from them (a separate ratio estimator: poststratification, Särndal,
    Swensson, Wretman, 7.6). The totals of the groups need not add up to the total of all.

    Args:
        joined: counts and hand counts.
        by: the column.
        slope: the factor of the counts in a group with fewer than 3 hand counts.
        level: of the intervals.
    """
    column = np.array(joined.table.groups(by), dtype=object)
    return tuple(_group_total(joined, str(name), column == name, slope, level) for name in sorted(set(column.tolist())))


def _group_total(joined: Joined, name: str, within: np.ndarray, slope: float, level: float) -> GroupTotal:
    counted = float(joined.table.counts[within].sum())
    truth = joined.truth[within]
    by_hand = int(np.isfinite(truth).sum())
    known = float(np.nansum(truth))
    if by_hand == len(truth):
        total, spread = Interval(known, known, known), Spread(0.0, math.inf)
        return GroupTotal(name, len(truth), by_hand, counted, total, spread)
    parts = [joined.part(each, within) for each in joined.rounds]
    usable = [part for part in parts if len(part) >= FEWEST]
    if not usable:
        rest = float(joined.control.values[within & ~np.isfinite(joined.truth)].sum())
        return GroupTotal(name, len(truth), by_hand, counted, Interval(known + slope * rest), None)
    totals = [_ratio_or_mean(part) for part in usable]
    weights = [len(part) / sum(map(len, usable)) for part in usable]
    value = sum(weight * total.value for weight, total in zip(weights, totals, strict=True))
    spread = combined([total.spread for total in totals], weights)
    return GroupTotal(name, len(truth), by_hand, counted, log_interval(value, spread, level, known), spread)


def _ratio_or_mean(part: Any) -> Total:
    return estimate_total(part, "ratio" if part.counts.sum() > 0 else "hand")


def compare(groups: tuple[GroupTotal, ...], pair: tuple[str, str], level: float) -> Comparison:
    """How two groups differ, from independent hand counts: Welch's interval, and on a log scale that of the ratio.

    Raises:
        LikewiseError: a group that there is not, or one without an interval.
    """
    at = {group.name: group for group in groups}
    for name in pair:
        if name not in at:
            raise LikewiseError(f"no group {name!r}{nearest(name, at)}")
        if at[name].spread is None:
            raise LikewiseError(
                f"group {name!r} has {at[name].by_hand} hand counts; expected at least {FEWEST} to compare it"
            )
    first, second = at[pair[0]], at[pair[1]]
    means = [group.mean.value for group in (first, second)]
    spreads = [group.spread or Spread(0.0, math.inf) for group in (first, second)]
    spread = combined(spreads, [1 / first.pictures, 1 / second.pictures])
    half = quantile(level, spread.freedom) * math.sqrt(spread.variance)
    difference = means[0] - means[1]
    ratio = None
    if min(means) > 0:
        relative = combined(spreads, [1 / first.total.value, 1 / second.total.value])
        factor = math.exp(quantile(level, relative.freedom) * math.sqrt(relative.variance))
        ratio = Interval(means[0] / means[1], means[0] / means[1] / factor, means[0] / means[1] * factor)
    return Comparison(first.name, second.name, Interval(difference, difference - half, difference + half), ratio)
