"""How far counts are from the truth: MAE, RMSE, NAE and SRE.

Source: the first two as FSC-147 reports them (Ranjan et al., CVPR 2021), the relative ones as CARPK's and the crowd
counting literature define them. All are in objects but NAE, which is a fraction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from likewise.types import LikewiseError


def mae(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Mean absolute error, mean |c - n|.

    Args:
        counts: predicted, one a picture.
        truths: true, in the same order.

    Raises:
        LikewiseError: nothing to average, or lengths that differ. So do the other metrics.
    """
    return _mean([abs(c - n) for c, n in _pairs(counts, truths)])


def rmse(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Root of the mean squared error, sqrt(mean (c - n)^2); arguments as `mae`."""
    return math.sqrt(_mean([(c - n) ** 2 for c, n in _pairs(counts, truths)]))


def nae(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Normalised absolute error, mean |c - n| / n, a fraction; arguments as `mae`.

    Pictures without a single object have no relative error and are left out; NaN where no other is left.
    """
    return _mean_or_nan([abs(c - n) / n for c, n in _pairs(counts, truths) if n > 0])


def sre(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Squared relative error, sqrt(mean (c - n)^2 / n); arguments and empty pictures as `nae`."""
    return math.sqrt(_mean_or_nan([(c - n) ** 2 / n for c, n in _pairs(counts, truths) if n > 0]))


@dataclass
class CountErrors:
    """Counts and truths as they come in, and every metric of what came so far.

    Attributes:
        counts: predicted.
        truths: true.
    """

    counts: list[float] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)

    def add(self, count: float, truth: float) -> None:
        """One more picture.

        Raises:
            LikewiseError: a count that is not finite, a truth that is negative or not finite.
        """
        if not (math.isfinite(count) and math.isfinite(truth) and truth >= 0):
            raise LikewiseError(f"count {count} of {truth}: expected a finite count and a finite truth >= 0")
        self.counts.append(float(count))
        self.truths.append(float(truth))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def empty(self) -> int:
        """Pictures without an object, which NAE and SRE leave out."""
        return sum(n == 0 for n in self.truths)

    def summary(self) -> dict[str, float]:
        """``mae``, ``rmse``, ``nae`` and ``sre`` of all pictures so far; all NaN where there is none."""
        metrics = (mae, rmse, nae, sre)
        return {m.__name__: m(self.counts, self.truths) if self.counts else math.nan for m in metrics}


def _pairs(counts: Sequence[float], truths: Sequence[float]) -> list[tuple[float, float]]:
    if len(counts) != len(truths) or not len(counts):
        raise LikewiseError(f"{len(counts)} counts for {len(truths)} truths; expected as many, at least one")
    return list(zip(counts, truths, strict=True))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_or_nan(values: Sequence[float]) -> float:
    return _mean(values) if values else math.nan
