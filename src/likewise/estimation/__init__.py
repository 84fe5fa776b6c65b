"""Totals with intervals that hold: counts of all pictures, hand counts of some, and chance in between.

`sample` says which pictures to count by hand; `estimate` gives the total of all, its interval, and how many more hand
counts a narrower one would take. Numbers and tables only: no network is needed for any of it.
"""

from likewise.estimation.estimators import ESTIMATORS
from likewise.estimation.groups import Comparison, GroupTotal
from likewise.estimation.hand_counts import DESIGNS, Sample, read_sample
from likewise.estimation.intervals import Interval
from likewise.estimation.planning import Plan
from likewise.estimation.result import Estimate
from likewise.estimation.sampling import sample
from likewise.estimation.table import Counts, read_counts
from likewise.estimation.total import estimate

__all__ = [
    "DESIGNS",
    "ESTIMATORS",
    "Comparison",
    "Counts",
    "Estimate",
    "GroupTotal",
    "Interval",
    "Plan",
    "Sample",
    "estimate",
    "read_counts",
    "read_sample",
    "sample",
]
