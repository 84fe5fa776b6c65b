"""The model's counts made fit to be a control variate, and how far off each may be: no hand count is looked at.

Any function of the model's counts keeps the difference estimator unbiased, so this may only make it better. A count
whose own interval is wide against it (2000 berries where nobody sees one) is drawn towards the usual count, and no
picture's doubt is taken for more than a share `SURE` of its count. The constants were settled by simulation on
generated populations and on sets with known truth: `likewise.lab.totals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.estimation.table import Counts

Array = NDArray[np.float64]

#: Half width of an interval, relative to its count, at which the count is drawn half the way, and how sharply that sets
#: in.
SURE, SHARPNESS = 0.7, 4
#: Relative half width of counts that come without an interval.
USUAL = 0.4
#: Added to counts before they are divided by, and most that a count is enlarged.
OFFSET, MOST = 0.5, 2.0
#: Added to every doubt, as a share of the mean doubt: a picture that looks sure, or empty, can be drawn, too.
FLOOR = 0.3
#: Half the width of a normal 90 % interval, in standard deviations.
HALF_90 = 1.645


@dataclass(frozen=True, eq=False)
class Control:
    """What the estimate uses of the model's counts.

    Attributes:
        values: (N,) steadied counts.
        doubt: (N,) half widths of 90 % intervals, in objects.
    """

    values: Array
    doubt: Array

    @property
    def sizes(self) -> Array:
        """(N,) positive, what probabilities of the proportional design are in proportion to."""
        mean = float(self.doubt.mean())
        return self.doubt + FLOOR * mean if mean > 0 else np.ones(len(self.doubt))


def control_of(counts: Counts) -> Control:
    """Steadied counts and doubts.

    With r = (half width) / (count + 1/2) and the weight w = 1 / (1 + (r / SURE)^4), a count c becomes c^w g^(1 - w),
    where g is the geometric mean of all, weighted by w; but no more than twice c. Pictures that the model was taught by
    have the count of a model that was not, where there is one.

    Example:
        >>> from likewise.estimation.table import read_counts
        >>> clear, doubtful = ("a.jpg", 20, 16, 24), ("b.jpg", 400, 80, 1600)
        >>> records = [dict(zip(("image", "count", "low", "high"), each)) for each in (clear, doubtful)]
        >>> control_of(read_counts(records)).values.round().tolist()
        [20.0, 22.0]
    """
    told = np.where(counts.taught & np.isfinite(counts.crossfit), counts.crossfit, counts.counts).clip(min=0)
    relative = _relative(told, counts.spreads)
    weight = 1 / (1 + (relative / SURE) ** SHARPNESS)
    logs = np.log(told + OFFSET)
    usual = float((weight * logs).sum() / weight.sum()) if weight.sum() > 0 else float(np.median(logs))
    values = np.minimum(np.exp(weight * logs + (1 - weight) * usual) - OFFSET, MOST * told)
    return Control(values, (values + OFFSET) * np.minimum(relative, SURE))


def _relative(counts: Array, spreads: Array) -> Array:
    if not np.isfinite(spreads).any():
        return np.full(len(counts), USUAL)
    with np.errstate(invalid="ignore"):
        relative = spreads / (counts + OFFSET)
    return np.where(np.isfinite(relative), relative, 10 * SURE)  # no interval among others: it was too wide to be told
