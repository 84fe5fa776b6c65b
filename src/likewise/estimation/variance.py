"""Variances of totals estimated from a sample, by its design."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Observations that the counts' own intervals weigh in a variance.
PRIOR = 0.1


@dataclass(frozen=True)
class Spread:
    """A variance, and how well it is known.

    Attributes:
        variance: of a total.
        freedom: degrees of freedom; infinite where the variance is 0 because all was counted.
    """

    variance: float
    freedom: float


def design_variance(expanded: Array, probability: Array, strata: NDArray[np.int64]) -> Spread:
    """Variance of the sum of residuals that are divided by their probabilities.

    Hájek's approximation for designs of large entropy, with Deville's weights: in each stratum

        V = sum a_i (z_i - sum w_j z_j)^2 / (1 - sum w_j^2),   a_i = 1 - pi_i,   w_i = a_i / sum a_j.

    For a simple random sample that is exactly N^2 (1 - n/N) s^2 / n. Degrees of freedom are 1 / sum w^2 - 1: n - 1
    there, and fewer where pictures that are certain, or nearly, tell nothing of chance; of several strata by
    Satterthwaite.

    Sources: Deville, "Estimation de variance pour des enquêtes en deux phases" (1993), as in Matei and Tillé,
        "Evaluation
    of variance approximations and estimators in maximum entropy sampling with unequal probability and fixed sample
    size" (Journal of Official Statistics 21, 2005); Särndal, Swensson, Wretman, "Model Assisted Survey Sampling"
    (1992), 3.7.

    Args:
        expanded: (n,) residuals divided by their probabilities.
        probability: (n,) of inclusion.
        strata: (n,) number of each unit's stratum.
    """
    parts = [_variance(expanded[strata == each], 1 - probability[strata == each]) for each in np.unique(strata)]
    return combined(parts, [1.0] * len(parts))


def _variance(z: Array, chance: Array) -> Spread:
    if chance.sum() < 1e-9:
        return Spread(0.0, math.inf)
    weight = chance / chance.sum()
    shared = float((weight**2).sum())
    if shared > 0.9:  # one unit alone was left to chance: nothing to compare it with
        return Spread(float((chance * z**2).sum()), 1.0)
    centred = z - float((weight * z).sum())
    return Spread(float((chance * centred**2).sum()) / (1 - shared), 1 / shared - 1)


def with_doubt(spread: Spread, expanded: Array, probability: Array) -> Spread:
    """A variance joined with what the counts' own intervals promise, which weighs `PRIOR` observations; never smaller.

    A few hand counts may agree with the counts by luck, all of them where mistakes are rare; without this the interval
    would have no width then. It widens that of 8 hand counts by a few percent, and of 30 by one at most.

    Args:
        spread: from the residuals.
        expanded: (n,) standard deviations divided by probabilities.
        probability: (n,) of inclusion.
    """
    if not math.isfinite(spread.freedom):
        return spread
    promised = float(((1 - probability) * expanded**2).sum())
    joined = (spread.freedom * spread.variance + PRIOR * promised) / (spread.freedom + PRIOR)
    return Spread(max(joined, spread.variance), spread.freedom)


def combined(parts: list[Spread], factors: list[float]) -> Spread:
    """Variance of a sum of independent parts, each times a factor; degrees of freedom by Satterthwaite."""
    variances = [factor**2 * part.variance for part, factor in zip(parts, factors, strict=True)]
    total = sum(variances)
    if total <= 0:
        return Spread(0.0, min((part.freedom for part in parts), default=math.inf))
    lost = sum(variance**2 / part.freedom for variance, part in zip(variances, parts, strict=True))
    return Spread(total, total**2 / lost if lost > 0 else math.inf)


def joint_variance(values: Array, joint: Array) -> float:
    """Sen, Yates and Grundy's unbiased variance of sum y_i / pi_i, for designs of fixed size.

    Args:
        values: (n,) of the sample, not divided by anything.
        joint: (n, n) probabilities that two of them are both drawn; on the diagonal their own.

    Source: Särndal, Swensson, Wretman, equation 2.8.16.
    """
    own = np.diag(joint)
    z = values / own
    each = (np.outer(own, own) - joint) / joint * (z[:, None] - z[None, :]) ** 2
    np.fill_diagonal(each, 0.0)
    return float(each.sum()) / 2
