"""Totals of a population from true counts of a sample and the model's counts of all.

With y the true count, c the model's, pi a picture's probability of being drawn, s the sample and C the sum of c over
all pictures, every estimator is ``sum y / pi + b (C - sum c / pi)``: the counts are a control variate.

===================  ==================================================================================================
horvitz-thompson     b = 0: the hand counts alone
hand                 the same divided by the estimated number of pictures (Hájek): the mean of a random sample, times N
difference           b = 1: the sum of all counts, corrected by what they missed in the sample. Unbiased, always. With
the
                     proportional design this is DISCount; at random, prediction-powered inference without tuning.
ratio                b = sum (y / pi) / sum (c / pi): all counts times one factor
regression           b of least estimated variance: PPI++'s power tuning
===================  ==================================================================================================

Sources: Särndal, Swensson, Wretman, "Model Assisted Survey Sampling" (Springer 1992), chapters 5 to 7; Perez, Maji,
Sheldon, "DISCount" (AAAI 2024); Angelopoulos, Bates, Fannjiang, Jordan, Zrnic, "Prediction-powered inference" (Science
382, 2023); Angelopoulos, Duchi, Zrnic, "PPI++: Efficient prediction-powered inference" (arXiv:2311.01453).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, one_of
from likewise.estimation.variance import Spread, design_variance, with_doubt

Array = NDArray[np.float64]
Estimator = Literal["difference", "ratio", "regression", "horvitz-thompson", "hand"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
#: What is taken where nothing is asked for, whatever the design and before a single hand count is seen, so that the
#: interval holds; choosing the narrowest of several would not. It is unbiased, and by simulation with 8 to 15 hand
#: counts
#: its intervals hold 1 % more often than those of the ratio and of regression, which need a slope from as few.
DEFAULT: Estimator = "difference"


@dataclass(frozen=True, eq=False)
class Part:
    """A population and the sample drawn from it.

    Attributes:
        truth: (n,) true counts of the sample.
        counts: (n,) the model's counts of the sample, as control variate.
        doubt: (n,) how far off each may be, as a standard deviation.
        probability: (n,) of being drawn.
        strata: (n,) number of each one's stratum.
        size: N, how many there are.
        counted: C, the sum of the model's counts of all N.
        known: true counts of pictures that are certain beside these: added to the total.
    """

    truth: Array
    counts: Array
    doubt: Array
    probability: Array
    strata: NDArray[np.int64]
    size: int
    counted: float
    known: float = 0.0

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, eq=False)
class Total:
    """An estimated total.

    Attributes:
        value: of it, what is known included.
        spread: its variance.
        expanded: (n,) residuals divided by their probabilities: what the variance was worked out from.
        slope: b, the factor of the counts.
    """

    value: float
    spread: Spread
    expanded: Array
    slope: float


def check_estimator(name: str) -> Estimator:
    """The estimator by its name.

    Raises:
        LikewiseError: there is no such estimator.
    """
    return one_of("estimator", name, ESTIMATORS)


def estimate_total(part: Part, estimator: Estimator) -> Total:
    """The total of a population by one of the `ESTIMATORS`.

    Raises:
        LikewiseError: a ratio to counts that are all 0.

    Example:
        >>> truth, counts = np.array([12.0, 9.0, 30.0]), np.array([10.0, 9.0, 24.0])
        >>> part = Part(truth, counts, np.zeros(3), np.full(3, 0.1), np.zeros(3, int), 30, 400.0)
        >>> [round(estimate_total(part, name).value) for name in ("difference", "ratio", "hand")]
        [480, 474, 510]
    """
    y, c = part.truth / part.probability, part.counts / part.probability
    if estimator == "hand":
        weight = 1 / part.probability
        mean = float(y.sum() / weight.sum())
        return _total(part, part.size * mean, (y - mean * weight) * part.size / weight.sum(), 0.0)
    if estimator == "ratio":
        if c.sum() <= 0:
            raise LikewiseError(
                "the model counted nothing in all of the sample, so that there is no ratio to its counts"
            )
        slope = float(y.sum() / c.sum())
        return _total(part, slope * part.counted, (y - slope * c) * (part.counted / c.sum()), slope)
    slope = {"difference": 1.0, "horvitz-thompson": 0.0}.get(estimator, 0.0)
    enlarged = np.ones(len(part))
    if estimator == "regression":
        slope, leverage = _tuned(y, c, part)
        enlarged = 1 / (1 - leverage)
    value = float(y.sum() + slope * (part.counted - c.sum()))
    return _total(part, value, (y - slope * c) * enlarged, slope)


def _total(part: Part, value: float, expanded: Array, slope: float) -> Total:
    spread = design_variance(expanded, part.probability, part.strata)
    if slope:
        spread = with_doubt(spread, part.doubt / part.probability, part.probability)
    return Total(part.known + value, spread, expanded, slope)


def _tuned(y: Array, c: Array, part: Part) -> tuple[float, Array]:
    """The slope of least estimated variance, and how far each picture alone pulls it, (n,) below 1.

    For a random sample it is the slope of least squares. Residuals are divided by one minus the pull, as a jackknife
    would: a line that was fitted to eight points lies nearer to them than to others.
    """
    chance = 1 - part.probability
    y, c = _centred(y, chance, part.strata), _centred(c, chance, part.strata)
    weight = chance * c**2
    if weight.sum() <= 1e-12 * max(1.0, float((c**2).sum())):
        return 0.0, np.zeros(len(part))
    return float((chance * c * y).sum() / weight.sum()), np.minimum(weight / weight.sum(), 0.9)


def _centred(z: Array, chance: Array, strata: NDArray[np.int64]) -> Array:
    out = z.copy()
    for each in np.unique(strata):
        here = strata == each
        weight = chance[here] if chance[here].sum() > 1e-9 else np.ones(int(here.sum()))
        out[here] -= np.average(z[here], weights=weight)
    return out
