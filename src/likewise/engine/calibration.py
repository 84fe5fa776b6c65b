"""What is learnt of a counter where the truth is known: which peaks count as one thing, and how far off counts are.

Peaks: every pair of bounds between which a peak of the density is snapped to one is tried, and the best is told.

Errors: quantile regression on signs, checked and scaled on sets it was not fitted to. They are
e = log((truth + 0.5) / (count + 0.5)). The spread s = base + weights . signs is fitted so that nine in ten |e| stay
below it (linear quantile regression: Koenker and Bassett, Econometrica 1978), with a base and weights that cannot be
negative: a sign only ever adds doubt. What adds up goes on as it began where signs are odder than any that were seen;
an exponential runs away there. Then one set after the other is left out, the rest is fitted, and quantiles of e / s on
what was left out tell how many spreads the interval must reach below and above (conformal prediction: Vovk et al.,
2005; with a scale and each side by itself: Romano, Patterson and Candes, NeurIPS 2019; with parts left out: Barber et
al., Annals of Statistics 2021), so that it holds for sets that are new. Every set has the same say, however many
pictures it has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye, hstack
from torch.utils.data import Dataset

from likewise.boxes import mean_side, scale_boxes
from likewise.data.counting.sample import CountSample
from likewise.engine.count_eval import Counted, CountReport
from likewise.errors import LikewiseError
from likewise.metrics import LEVEL
from likewise.predict import Counter
from likewise.predict.localize import find_peaks, snap_peaks
from likewise.predict.uncertainty import whole_ends, whole_interval
from likewise.types import Calibration, Prompt

Array = NDArray[np.float64]
#: What is counted as one: more than the first, less than the second; None: sums as they are.
Bounds = tuple[float, float] | None
BOUNDS: tuple[Bounds, ...] = (None, *itertools.product((0.25, 0.3, 0.35, 0.4, 0.5, 0.65), (1.2, 1.35, 1.5, 1.7)))
#: From fewer counted pictures than this, nothing is learnt.
FEWEST_CASES = 20
#: Share of the counts that are warned of.
DOUBTED = 1 / 3
#: The least spread: nobody counts better than to this.
FLOOR = 0.02
#: Price, for each sign, of the largest weight per standard deviation of its sign (docs/results.md).
PRICE = 0.001
_SIDES = ("below", "above")


@dataclass(frozen=True)
class Case:
    """One counted picture: the set it is of, its truth, its count and what the count's signs were."""

    group: str
    truth: float
    count: float
    signs: dict[str, float]

    @property
    def error(self) -> float:
        """log((truth + 0.5) / (count + 0.5))."""
        return self._away(self.truth)

    @property
    def below(self) -> float:
        """How far below the count the interval must begin for its nearest whole number to be no more than the truth.

        Endless the other way where the count's own whole numbers reach so far (`whole_interval`).
        """
        return -math.inf if whole_ends(self.count)[0] <= self.truth else -self._away(self.truth + 0.5)

    @property
    def above(self) -> float:
        """How far above the count the interval must end for its nearest whole number to be no less than the truth."""
        return -math.inf if whole_ends(self.count)[1] >= self.truth else self._away(self.truth - 0.5)

    def _away(self, truth: float) -> float:
        return math.log((truth + 0.5) / (max(self.count, 0.0) + 0.5))


def cases_of(group: str, report: CountReport) -> list[Case]:
    """What an evaluation found, as cases of one set."""
    return [Case(group, p.truth, p.count, dict(p.signs)) for p in report.per_image]


def fit_calibration(cases: Sequence[Case], names: Sequence[str]) -> Calibration:
    """What signs say of how far off counts are.

    Args:
        cases: of at least two sets, at least 20 in all.
        names: of the signs.

    Raises:
        LikewiseError: too few cases, or only one set.
    """
    check_enough(len(cases), len({c.group for c in cases}))
    return _learnt(cases, names)


def _learnt(cases: Sequence[Case], names: Sequence[str]) -> Calibration:
    groups = np.array([c.group for c in cases])
    signs, sizes = _numbers(cases, names)
    says = _says(groups)
    base, weights = _fit(signs, sizes, says, PRICE)
    below, above = _reach(cases, _left_out(signs, sizes, groups, base + signs @ weights), says)
    return Calibration(
        signs=tuple(names),
        weights=tuple(round(w, 4) for w in weights.tolist()),
        base=round(base, 4),
        below=below,
        above=above,
        doubt=round(quantile(base + signs @ weights, says, 1 - DOUBTED), 4),
        additive=True,
    )


def left_out(cases: Sequence[Case], names: Sequence[str]) -> dict[str, list[Counted]]:
    """What intervals of each set are like that are learnt from the other sets alone.

    Args:
        cases: of at least three sets.
        names: of the signs.

    Returns:
        By set, the pictures with their intervals.

    Raises:
        LikewiseError: fewer than three sets.
    """
    found: dict[str, list[Counted]] = {}
    groups = dict.fromkeys(c.group for c in cases)
    if len(groups) < 3:
        raise LikewiseError(f"{len(groups)} sets; expected three or more, to leave one out and learn from the others")
    for group in groups:
        learnt = _learnt([c for c in cases if c.group != group], names)
        found[group] = [_judged(c, learnt) for c in cases if c.group == group]
    return found


def _judged(case: Case, learnt: Calibration) -> Counted:
    low, high = whole_interval(learnt, case.count, case.signs) or (None, None)
    return Counted(case.group, None, case.truth, case.count, 0.0, low, high, untrusted=low is None)


def check_enough(cases: int, groups: int) -> None:
    """See that there are enough counted pictures, of enough sets, to learn from.

    Raises:
        LikewiseError: there are not.
    """
    if cases < FEWEST_CASES or groups < 2:
        found = f"{cases} pictures of {groups}"
        raise LikewiseError(
            f"{found} sets are too few to learn from; expected {FEWEST_CASES} pictures of two sets or more"
        )


def quantile(values: Array, says: Array, share: float) -> float:
    """The smallest value that this share of all, weighted, does not exceed; with the margin that n values need."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(says[order]) / says.sum()
    wanted = min(share * (1 + 1 / len(values)), 1.0)
    return float(values[order][min(int(np.searchsorted(reached, wanted - 1e-9)), len(values) - 1)])


def _numbers(cases: Sequence[Case], names: Sequence[str]) -> tuple[Array, Array]:
    """The signs (N, S), and how far off the counts are (N,)."""
    signs = np.array([[c.signs.get(name, 0.0) for name in names] for c in cases], np.float64)
    return signs.reshape(len(cases), len(names)), np.abs([c.error for c in cases])


def _reach(cases: Sequence[Case], spreads: Array, says: Array) -> tuple[float, float]:
    """How many spreads, rounded up, the interval must reach below and above the counts; 0 where they lean away."""
    share = (1 + LEVEL) / 2
    reached = (quantile(np.array([getattr(c, side) for c in cases]) / spreads, says, share) for side in _SIDES)
    below, above = (math.ceil(reach * 1e4 + 1) / 1e4 if reach > -1e-9 else 0.0 for reach in reached)
    return below, above


def _says(groups: NDArray[np.str_]) -> Array:
    """The say of each case: the same for every set."""
    counts = {group: (groups == group).sum() for group in set(groups.tolist())}
    return np.array([1 / (counts[group] * len(counts)) for group in groups.tolist()])


def _left_out(signs: Array, sizes: Array, groups: NDArray[np.str_], spreads: Array) -> Array:
    """The spread of each case by what the other sets say, in the measure of the spreads (N,) by what all say.

    Without a set that errs much all spreads are less: that is taken out, for it is the spreads of all that are told.
    """
    out, says = np.empty(len(sizes)), _says(groups)
    for group in sorted(set(groups.tolist())):
        own = groups == group
        base, weights = _fit(signs[~own], sizes[~own], _says(groups[~own]), PRICE)
        others = base + signs @ weights
        out[own] = others[own] * (says @ spreads) / (says @ others)
    return out


def _fit(signs: Array, sizes: Array, says: Array, price: float) -> tuple[float, Array]:
    """Base >= `FLOOR` and weights >= 0 of the quantile's plane, by linear programming.

    The unknowns are the base, the weights, the largest of them per standard deviation of its sign, which has a price,
    and how far each case lies above and below the plane. Such a price spreads the weight over signs that tell the same:
    one of them may tell nothing in pictures that are new.
    """
    n, k = signs.shape
    scale = signs.std(axis=0)
    tells = scale > 0  # what is the same everywhere tells nothing
    cost = np.concatenate(([0.0], np.zeros(k), [price * tells.sum()], LEVEL * says, (1 - LEVEL) * says))
    plane = hstack((np.ones((n, 1)), signs, np.zeros((n, 1)), eye(n), -eye(n)), format="csr")
    largest = hstack((np.zeros((k, 1)), np.diag(scale), -np.ones((k, 1)), csr_array((k, 2 * n))), format="csr")
    bounds = [(FLOOR, None), *((0, None if each else 0) for each in tells), *[(0, None)] * (1 + 2 * n)]
    found = linprog(cost, largest, np.zeros(k), plane, sizes, bounds, method="highs")
    return float(found.x[0]), np.asarray(found.x[1 : k + 1], np.float64)


def errors_by_bounds(
    counter: Counter,
    sets: Iterable[Dataset[CountSample]],
    limit: int | None = None,
    exemplars: int | None = None,
    bounds: Sequence[Bounds] = BOUNDS,
) -> dict[Bounds, float]:
    """Mean relative error of the counts under each pair of bounds; every set has the same say.

    Args:
        counter: counts by example; how it snaps peaks itself does not matter.
        sets: samples with boxes; pictures without an object, or without exemplars, are left out.
        limit: only the first so many pictures of each set.
        exemplars: at most so many exemplars a picture.
        bounds: to compare.

    Raises:
        LikewiseError: a set in which nothing is left.
    """
    found = [_errors(counter.summed(), data, limit, exemplars, bounds) for data in sets]
    return {pair: fmean(fmean(own[pair]) for own in found) for pair in bounds}


def _errors(
    counter: Counter, data: Dataset[CountSample], limit: int | None, exemplars: int | None, bounds: Sequence[Bounds]
) -> dict[Bounds, list[float]]:
    total = len(data)  # type: ignore[arg-type]  # map-style sets have a length
    errors: dict[Bounds, list[float]] = {pair: [] for pair in bounds}
    for sample in (data[i] for i in range(total if limit is None else min(limit, total))):
        boxes = [(x0, y0, x1, y1) for x0, y0, x1, y1 in sample.exemplars[:exemplars].tolist()]
        if not boxes or not sample.count:
            continue
        result = counter.count(sample.image, boxes)
        grid = torch.from_numpy(result.grid)
        tight = Prompt(tuple(boxes)).tightened(counter.inference.margin).exemplars
        cells = torch.tensor(grid.shape[::-1]) / torch.tensor(result.size)
        side = mean_side(tight) * math.sqrt(cells.prod())
        peaks = find_peaks(grid, side, scale_boxes(torch.tensor(tight), cells))
        for pair in bounds:
            read = grid if pair is None else snap_peaks(grid, peaks, pair)
            errors[pair].append(abs(read.sum(dtype=torch.float64).item() - sample.count) / sample.count)
    if not errors[bounds[0]]:
        raise LikewiseError("a set has no picture with both objects and exemplars; expected at least one")
    return errors
