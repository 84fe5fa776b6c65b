"""What is learnt of a counter where the truth is known: which peaks count as one thing, and how far off counts are.

Peaks: every pair of bounds between which a peak of the density is snapped to one is tried, and the best is told.

Errors: quantile regression on signs, checked and scaled on sets it was not fitted to. They are
e = log((truth + 0.5) / (count + 0.5)). The spread s = exp(base + weights . signs) is fitted so that nine in
ten |e| stay below it (linear quantile regression of log |e|: Koenker and Bassett, Econometrica 1978), with weights that
cannot be negative: a sign only ever adds doubt. Then one set after the other is left out, the rest is fitted, and
quantiles of e / s on what was left out tell how many spreads the interval must reach (conformal prediction: Vovk et
al., 2005), so that it holds for sets that are new. Every set has the same say, however many pictures it has.
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
from scipy.sparse import eye, hstack
from torch.utils.data import Dataset

from likewise.boxes import mean_side, scale_boxes
from likewise.data.counting.sample import CountSample
from likewise.engine.count_eval import CountReport
from likewise.errors import LikewiseError
from likewise.predict import Counter
from likewise.predict.localize import find_peaks, snap_peaks
from likewise.types import Calibration, Prompt

Array = NDArray[np.float64]
#: What is counted as one: more than the first, less than the second; None: sums as they are.
Bounds = tuple[float, float] | None
BOUNDS: tuple[Bounds, ...] = (None, *itertools.product((0.25, 0.3, 0.35, 0.4, 0.5, 0.65), (1.2, 1.35, 1.5, 1.7)))
#: Of all truths, this share is to lie in the interval, and this share of errors below the spread.
COVERAGE = 0.9
#: From fewer counted pictures than this, nothing is learnt.
FEWEST_CASES = 20
#: Share of the counts that are warned of.
DOUBTED = 1 / 3
#: Errors below this are alike.
FLOOR = 0.01
#: Price of a weight, per standard deviation of its sign: signs that tell little get none. At 0.02 to 0.05 intervals of
#: sets that were left out score best; at 0.003 they are too narrow for what is new (docs/results.md).
PRICE = 0.02


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
        return math.log((self.truth + 0.5) / (max(self.count, 0.0) + 0.5))


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
    groups = np.array([c.group for c in cases])
    check_enough(len(cases), len(set(groups)))
    signs = np.array([[c.signs.get(name, 0.0) for name in names] for c in cases])
    errors = np.array([c.error for c in cases])
    says = _says(groups)
    base, weights = _fit(signs, _size(errors), says, PRICE)
    ratios = errors / np.exp(_left_out(signs, errors, groups))
    outside = (1 - COVERAGE) / 2
    return Calibration(
        signs=tuple(names),
        weights=tuple(round(w, 4) for w in weights.tolist()),
        base=round(base, 4),
        below=round(max(0.0, quantile(-ratios, says, 1 - outside)), 4),
        above=round(max(0.0, quantile(ratios, says, 1 - outside)), 4),
        doubt=round(math.exp(quantile(base + signs @ weights, says, 1 - DOUBTED)), 4),
    )


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


def _size(errors: Array) -> Array:
    return np.log(np.maximum(np.abs(errors), FLOOR))


def _says(groups: NDArray[np.str_]) -> Array:
    """The say of each case: the same for every set."""
    counts = {group: (groups == group).sum() for group in set(groups.tolist())}
    return np.array([1 / (counts[group] * len(counts)) for group in groups.tolist()])


def _left_out(signs: Array, errors: Array, groups: NDArray[np.str_]) -> Array:
    """The log spread of each case by what the other sets say."""
    out = np.empty(len(errors))
    for group in sorted(set(groups.tolist())):
        own = groups == group
        base, weights = _fit(signs[~own], _size(errors[~own]), _says(groups[~own]), PRICE)
        out[own] = base + signs[own] @ weights
    return out


def _fit(signs: Array, size: Array, says: Array, price: float) -> tuple[float, Array]:
    """Base and weights >= 0 of the quantile's plane, by linear programming.

    The unknowns are the base, the weights, and how far each case lies above and below the plane.
    """
    n, k = signs.shape
    cost = np.concatenate(([0.0], price * signs.std(axis=0), COVERAGE * says, (1 - COVERAGE) * says))
    plane = hstack((np.ones((n, 1)), signs, eye(n), -eye(n)), format="csr")
    bounds = [(None, None)] + [(0, None)] * (k + 2 * n)
    found = linprog(cost, A_eq=plane, b_eq=size, bounds=bounds, method="highs")
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
