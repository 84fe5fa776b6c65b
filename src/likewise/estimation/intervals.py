"""Intervals of totals: by Student's t, on a log scale or as they are, and by a bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from likewise.estimation.estimators import Part, Total
from likewise.estimation.variance import Spread

Array = NDArray[np.float64]

#: Resamples of the bootstrap.
RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """A number and the interval that holds the truth in so many of a hundred samples; None: there is no interval.

    Example:
        >>> Interval(100.0, 90.0, 112.0)
        100 (90 to 112)
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __repr__(self) -> str:
        """The number and its interval, with as many digits as make sense."""
        if self.low is None or self.high is None:
            return f"{told(self.value)} (no interval)"
        return f"{told(self.value)} ({told(self.low)} to {told(self.high)})"

    @property
    def relative(self) -> float | None:
        """Half the width, as a fraction of the number; None where there is none."""
        if self.low is None or self.high is None or self.value <= 0:
            return None
        return (self.high - self.low) / 2 / self.value

    def scaled(self, factor: float) -> Interval:
        """All of it times a positive factor."""
        if self.low is None or self.high is None:
            return Interval(self.value * factor)
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def to_dict(self) -> dict[str, float | None]:
        """``value``, ``low`` and ``high`` with four decimals."""
        ends = {"low": self.low, "high": self.high}
        return {"value": round(self.value, 4)} | {k: None if v is None else round(v, 4) for k, v in ends.items()}


def told(value: float) -> str:
    """A number as people read it: whole from 100 on, else three digits."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 99.5 else f"{value:.3g}"


def quantile(level: float, freedom: float) -> float:
    """Student's t, two-sided; the normal one without end of degrees of freedom."""
    upper = (1 + level) / 2
    return float(stats.norm.ppf(upper) if math.isinf(freedom) else stats.t.ppf(upper, max(freedom, 1.0)))


def t_interval(value: float, spread: Spread, level: float, least: float = 0.0) -> Interval:
    """A total's interval by Student's t; it does not reach below what was counted by hand.

    Args:
        value: the estimate.
        spread: its variance.
        level: such as 0.95.
        least: objects that are known to be there.
    """
    half = quantile(level, spread.freedom) * math.sqrt(spread.variance)
    return Interval(value, min(value, max(value - half, least)), value + half)


def log_interval(value: float, spread: Spread, level: float, least: float = 0.0) -> Interval:
    """A total's interval by Student's t on a log scale: from value / C to value C, C = exp(t sqrt(log(1 + cv^2))).

    Totals have longer tails above than below, and are not negative; where the interval is narrow it is the same as
    `t_interval`. Usual in ecology: Buckland et al., "Introduction to Distance Sampling" (Oxford 2001), equation 3.72.
    In simulations it holds as often as it says where Student's t alone holds 1 to 2 % less often.

    Args:
        value: the estimate.
        spread: its variance.
        level: such as 0.95.
        least: objects that are known to be there.
    """
    if value <= 0:
        return t_interval(value, spread, level, least)
    factor = math.exp(quantile(level, spread.freedom) * math.sqrt(math.log1p(spread.variance / value**2)))
    return Interval(value, min(value, max(value / factor, least)), value * factor)


def bootstrap_interval(
    parts: list[Part], totals: list[Total], weights: list[float], spread: Spread, level: float, least: float, seed: int
) -> Interval:
    """A total's interval by the bootstrap-t: how far resampled totals are from the estimate, in standard errors.

    Residuals of each round are drawn again with chances 1 - pi, so that what is certain never varies, and the finite
    population correction of the variance is kept. Source: Efron and Tibshirani, "An Introduction to the Bootstrap"
    (1993), chapter 12. In simulations it holds less often than the others below 15 hand counts: it follows what
    skewness the sample shows, and a small one shows little of it.

    Args:
        parts: the rounds.
        totals: their estimates.
        weights: of the rounds.
        spread: of the estimate.
        level: such as 0.95.
        least: objects that are known to be there.
        seed: of the resampling.
    """
    value = sum(weight * total.value for weight, total in zip(weights, totals, strict=True))
    generator = np.random.default_rng(seed)
    shifts, variances = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    for part, total, weight in zip(parts, totals, weights, strict=True):
        chance = 1 - part.probability
        if chance.sum() < 1e-9:
            continue
        again = total.expanded[generator.choice(len(part), (RESAMPLES, len(part)), p=chance / chance.sum())]
        centre = float(np.average(total.expanded, weights=chance))
        scale = total.spread.variance / max(float(np.average((total.expanded - centre) ** 2, weights=chance)), 1e-300)
        shifts += weight * (again.mean(axis=1) - centre) * math.sqrt(scale * (len(part) - 1))
        variances += weight**2 * again.var(axis=1, ddof=1) * scale * (len(part) - 1) / len(part)
    useful = variances > 1e-9 * max(spread.variance, 1e-300)
    if spread.variance <= 0 or useful.sum() < RESAMPLES / 2:
        return log_interval(value, spread, level, least)
    studentised = shifts[useful] / np.sqrt(variances[useful])
    below, above = np.quantile(studentised, [(1 - level) / 2, (1 + level) / 2]) * math.sqrt(spread.variance)
    return Interval(value, min(value, max(value - float(above), least)), max(value, value - float(below)))
