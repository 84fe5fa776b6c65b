"""The model's counts made fit to be a control variate, and how far off each may be: no hand count is looked at.

Any function of the model's counts keeps the difference estimator unbiased, so this may only make it better. Where the
counts' own intervals say that the model does not know these pictures (the usual one is as wide as 0 to 2 counts),
counts are drawn towards their mean and no doubt is told from another: the estimate then is nearly that of hand counts
    alone.
Where it knows them, counts stay as they are, and a single wide interval makes its picture likelier to be drawn. The
constants were settled by simulation on generated populations and on sets with known truth: `likewise.lab.totals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.estimation.table import Counts

Array = NDArray[np.float64]

#: Half width of the median interval, relative to its count, at which a model is half trusted, and how sharply that sets
#: in.
TRUSTED, SHARPNESS = 0.6, 12
#: The same of a single count among those of a model that is not trusted.
SURE, SURE_SHARPNESS = 0.4, 4
#: Most relative half width that a doubt is reckoned from, and that of counts that come without an interval.
WIDEST, USUAL = 2.0, 0.4
#: Added to counts before they are divided by.
OFFSET = 0.5
#: Added to every doubt, as a share of the mean doubt: a picture that looks sure, or empty, can be drawn, too.
FLOOR = 0.3
#: Least doubt, objects: truths are whole numbers, so that a count that is wrong is wrong by one or more.
LEAST = 0.5
#: Half the width of a normal 90 % interval, in standard deviations.
HALF_90 = 1.645


@dataclass(frozen=True, eq=False)
class Control:
    """What the estimate uses of the model's counts.

    Attributes:
        values: (N,) steadied counts.
        doubt: (N,) half widths of 90 % intervals, in objects; at least half of one.
        trust: 0 to 1, how far the counts are used as they are.
    """

    values: Array
    doubt: Array
    trust: float

    @property
    def sizes(self) -> Array:
        """(N,) positive, what probabilities of the proportional design are in proportion to."""
        mean = float(self.doubt.mean())
        return self.doubt + FLOOR * mean if mean > 0 else np.ones(len(self.doubt))


def control_of(counts: Counts) -> Control:
    """Steadied counts and doubts.

    With r = (half width) / (count + 1/2) of each picture, R their median, and a trust T = 1 / (1 + (R / TRUSTED)^12), a
    count c becomes c^w g^(1 - w), where w = 1 - (1 - T)(1 - v), v = 1 / (1 + (r / SURE)^4), and g is the geometric mean
    of all, weighted by v. Its doubt is (that + 1/2) (T min(r, 2) + (1 - T) min(r, SURE)).
    Pictures that the model was taught by have the count of a model that was not, where there is one.

    Example:
        >>> from likewise.estimation.table import read_counts
        >>> known = [{"image": f"{n}.jpg", "count": n, "low": 0.8 * n, "high": 1.3 * n} for n in (10, 20, 400)]
        >>> control_of(read_counts(known)).values.round().tolist()
        [10.0, 20.0, 400.0]
        >>> unknown = [record | {"low": 0, "high": 3 * record["count"]} for record in known]
        >>> control_of(read_counts(unknown)).values.round().tolist()
        [39.0, 39.0, 39.0]
    """
    told = np.where(counts.taught & np.isfinite(counts.crossfit), counts.crossfit, counts.counts).clip(min=0)
    relative = _relative(told, counts.spreads)
    seen = relative[told > OFFSET]
    trust = 1 / (1 + (float(np.median(seen)) / TRUSTED) ** SHARPNESS) if len(seen) else 1.0
    sure = 1 / (1 + (relative / SURE) ** SURE_SHARPNESS)
    weight = 1 - (1 - trust) * (1 - sure)
    logs = np.log(told + OFFSET)
    usual = float((sure * logs).sum() / sure.sum())
    values = np.exp(weight * logs + (1 - weight) * usual) - OFFSET
    doubt = trust * np.minimum(relative, WIDEST) + (1 - trust) * np.minimum(relative, SURE)
    return Control(values, np.maximum((values + OFFSET) * doubt, LEAST), trust)


def _relative(counts: Array, spreads: Array) -> Array:
    if not np.isfinite(spreads).any():
        return np.full(len(counts), USUAL)
    relative = spreads / (counts + OFFSET)
    return np.where(np.isfinite(relative), relative, WIDEST)  # no interval among others: it was too wide to be told
