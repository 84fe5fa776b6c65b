"""What corrected pictures say of how far off a counter is on pictures of their sort.

Each was counted by what the others taught, so that its error is that of a new picture. Errors are logs, in units of the
spread that the weights' own calibration expects from the picture's signs (`likewise.types.Calibration`). From nine
pictures on, the interval reaches as far as the quantile of the errors that conformal prediction takes (Vovk, Gammerman
and Shafer, "Algorithmic Learning in a Random World", 2005; with leaving one out: Barber, Candes, Ramdas and Tibshirani,
Annals of Statistics 2021). Fewer have no such quantile: there errors are taken to be normal round nothing, and the
interval is that of Student's t for one more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import t as student

from likewise.types import WIDEST, Calibration

#: Of all truths, this share is to lie in the interval.
COVERAGE = 0.9
#: Errors below this are alike: a count that happened to be exact is no promise.
FLOOR = 0.01


def reach_of(ratios: Sequence[float]) -> float:
    """How many spreads an interval must reach to hold `COVERAGE` of pictures like these.

    Args:
        ratios: |error| over spread of each picture, at least one.

    Example:
        >>> reach_of([0.1, 0.3, 0.2, 0.2, 0.1, 0.1, 0.4, 0.2, 0.1, 0.2, 0.1])
        0.4
    """
    count = len(ratios)
    place = math.ceil(COVERAGE * (count + 1))
    if place <= count:
        return float(np.sort(np.asarray(ratios))[place - 1])
    root_mean_square = math.sqrt(math.fsum(ratio**2 for ratio in ratios) / count)
    return float(student.ppf((1 + COVERAGE) / 2, count)) * root_mean_square * math.sqrt(1 + 1 / count)


def recalibrated(
    known: Calibration | None, errors: Sequence[float], signs: Sequence[Mapping[str, float]]
) -> Calibration:
    """A calibration whose intervals are as wide as the errors of corrected pictures ask for.

    Args:
        known: of the weights; None: there is none, and the signs say nothing.
        errors: log((truth + 0.5) / (count + 0.5)) of each picture.
        signs: of each count.
    """
    known = known or Calibration(signs=(), weights=(), base=0.0, below=1.0, above=1.0, doubt=WIDEST)
    ratios = [max(abs(e), FLOOR) / known.spread(s) for e, s in zip(errors, signs, strict=True)]
    return scaled(known, reach_of(ratios))


def scaled(known: Calibration, reach: float) -> Calibration:
    """The same with intervals that reach so many spreads either way; doubt begins at the same width as before."""
    before = (known.below + known.above) / 2
    doubt = known.doubt if before == 0 else known.doubt * before / reach
    return replace(known, below=reach, above=reach, doubt=min(doubt, WIDEST))
