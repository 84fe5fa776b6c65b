"""How far off counts are, learnt from signs: quantile regression, checked and scaled on sets it was not fitted to.

Errors are e = log((truth + 0.5) / (count + 0.5)). The spread s = exp(base + weights . signs) is fitted so that nine in
ten |e| stay below it (linear quantile regression of log |e|: Koenker and Bassett, Econometrica 1978), with weights that
cannot be negative: a sign only ever adds doubt. Then one set after the other is left out, the rest is fitted, and
quantiles of e / s on what was left out tell how many spreads the interval must reach (conformal prediction: Vovk et
al., 2005), so that it holds for sets that are new. Every set has the same say, however many pictures it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import eye, hstack

from likewise.engine.count_eval import CountReport
from likewise.errors import LikewiseError
from likewise.types import Trust

Array = NDArray[np.float64]
#: Of all truths, this share is to lie in the interval, and this share of errors below the spread.
COVERAGE = 0.9
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


def fit_trust(cases: Sequence[Case], names: Sequence[str]) -> Trust:
    """What signs say of how far off counts are.

    Args:
        cases: of at least two sets, at least 20 in all.
        names: of the signs.

    Raises:
        LikewiseError: too few cases, or only one set.
    """
    groups = np.array([c.group for c in cases])
    if len(cases) < 20 or len(set(groups)) < 2:
        found = f"{len(cases)} pictures of {len(set(groups))}"
        raise LikewiseError(f"{found} sets are too few to learn from; expected 20 pictures of two sets or more")
    signs = np.array([[c.signs.get(name, 0.0) for name in names] for c in cases])
    errors = np.array([c.error for c in cases])
    says = _says(groups)
    base, weights = _fit(signs, _size(errors), says, PRICE)
    ratios = errors / np.exp(_left_out(signs, errors, groups))
    outside = (1 - COVERAGE) / 2
    return Trust(
        signs=tuple(names),
        weights=tuple(round(w, 4) for w in weights.tolist()),
        base=round(base, 4),
        below=round(max(0.0, quantile(-ratios, says, 1 - outside)), 4),
        above=round(max(0.0, quantile(ratios, says, 1 - outside)), 4),
        doubt=round(math.exp(quantile(base + signs @ weights, says, 1 - DOUBTED)), 4),
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
