"""Which way to adapt: the simplest within one standard error of the best, each judged on what it did not learn from.

The rule is that of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees" (1984), section 3.4.3;
the standard error is that of the difference to the best, picture by picture, which pictures that are hard for every way
do not blur. Errors are |count - truth| / max(truth, 1) of corrected pictures, each left out of the learning in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from likewise.adaptation.ways import best_factor


@dataclass(frozen=True)
class LeftOut:
    """How a way to adapt did on pictures that it did not learn from.

    Attributes:
        name: of the way.
        counts: of each picture, by what the others taught.
        errors: of those counts.
    """

    name: str
    counts: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean error."""
        return fmean(self.errors)

    @property
    def spread(self) -> float:
        """Standard error of the mean."""
        return _standard_error(self.errors)


def choose(candidates: Sequence[LeftOut]) -> int:
    """The place of the simplest candidate within one standard error of the best.

    Args:
        candidates: the simplest first; the first is to change nothing.

    Returns:
        Its place: 0, nothing, where no other is better by more than that.
    """
    best = min(candidates, key=lambda each: each.mean)
    for index, each in enumerate(candidates):
        worse_by = [own - least for own, least in zip(each.errors, best.errors, strict=True)]
        if fmean(worse_by) <= _standard_error(worse_by):
            return index
    raise ValueError("the best is no worse than itself")


def _standard_error(values: Sequence[float]) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def groups(pictures: int, most: int) -> list[list[int]]:
    """Which pictures are left out together: each alone while there are at most ``most`` of them, else in turn."""
    return [list(range(first, pictures, most)) for first in range(min(pictures, most))]


def factors_left_out(counts: Sequence[float], truths: Sequence[float], parts: Sequence[Sequence[int]]) -> list[float]:
    """For each picture, the factor that those which were not left out with it give."""
    found = [1.0] * len(counts)
    for part in parts:
        rest = [index for index in range(len(counts)) if index not in part]
        factor = best_factor([counts[i] for i in rest], [truths[i] for i in rest])
        for index in part:
            found[index] = factor
    return found
