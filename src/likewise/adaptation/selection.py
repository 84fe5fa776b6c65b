"""Which way to adapt, each judged on what it did not learn from.

A factor, drawn towards 1 as it is (`likewise.adaptation.ways.best_factor`), cannot do much harm, and a bias is common:
it is kept wherever it is better than nothing on the pictures that were left out. What changes the network has more to
prove: it must be better by one standard error, and by a quarter. Of such ways the simplest within one standard error of
the best is kept, the rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees" (1984), section
3.4.3. Standard errors are those of differences, picture by picture, which pictures that are hard for every way do not
blur. Errors are |count - truth| / max(truth, 1) of corrected pictures, each left out of the learning in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from likewise.adaptation.ways import best_factor

#: What changes the network must take this share of the error away.
CLEAR = 0.25
#: Where ways that learn are compared, errors beyond this are alike: wrong.
WRONG = 2.0


@dataclass(frozen=True)
class LeftOut:
    """How a way to adapt did on pictures that it did not learn from.

    Attributes:
        name: of the way.
        counts: of each picture, by what the others taught.
        errors: of those counts.
        learns: whether it changes the network.
    """

    name: str
    counts: tuple[float, ...]
    errors: tuple[float, ...]
    learns: bool = False

    @property
    def mean(self) -> float:
        """Mean error."""
        return fmean(self.errors)

    @property
    def spread(self) -> float:
        """Standard error of the mean."""
        return _standard_error(self.errors)


def choose(candidates: Sequence[LeftOut]) -> int:
    """The place of the candidate to keep.

    Args:
        candidates: the simplest first; the first is to change nothing.

    Returns:
        Its place: 0, nothing, where no other is better.
    """
    plain = min((index for index, each in enumerate(candidates) if not each.learns), key=lambda i: candidates[i].mean)
    proven = [index for index, each in enumerate(candidates) if each.learns and _clearly(each, candidates[plain])]
    if not proven:
        return plain
    best = min(proven, key=lambda index: fmean(_bounded(candidates[index])))
    return next(index for index in proven if _within(candidates[index], candidates[best]))


def _clearly(own: LeftOut, other: LeftOut) -> bool:
    """Whether a way is better than another by one standard error of the difference and by `CLEAR` of the error."""
    kinds = ((own.errors, other.errors), (_bounded(own), _bounded(other)))  # no single picture hides what others show
    return any(_better(mine, theirs) for mine, theirs in kinds)


def _better(mine: Sequence[float], theirs: Sequence[float]) -> bool:
    gain = [other - own for own, other in zip(mine, theirs, strict=True)]
    return fmean(gain) > max(_standard_error(gain), CLEAR * fmean(theirs))


def _within(own: LeftOut, best: LeftOut) -> bool:
    """Whether a way is as good as another but for one standard error of the difference."""
    worse_by = [mine - least for mine, least in zip(_bounded(own), _bounded(best), strict=True)]
    return fmean(worse_by) <= _standard_error(worse_by)


def _bounded(each: LeftOut) -> list[float]:
    """Errors, of which none is so large that one picture decides alone."""
    return [min(error, WRONG) for error in each.errors]


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
