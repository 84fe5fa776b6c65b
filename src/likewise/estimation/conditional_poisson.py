"""Samples of a fixed size with inclusion probabilities that are given: conditional Poisson sampling.

Each unit i is taken or left by a coin of its own with probability p_i, and of all outcomes only those with exactly n
units count. Of all designs with the same inclusion probabilities this one has the largest entropy, so that variances
that need no joint probabilities (Hájek's) are close; and all its probabilities are known exactly:

    P(sample s) = prod_{i in s} p_i prod_{i not in s} (1 - p_i) / P(S = n),    S a Poisson-binomial variable.

Sources: Hájek, "Asymptotic theory of rejective sampling with varying probabilities from a finite population"
(Annals of Mathematical Statistics 35, 1964); Chen, Dempster, Liu, "Weighted finite population sampling to maximize
entropy" (Biometrika 81, 1994); Tillé, "Sampling Algorithms" (Springer 2006), chapter 5. Here the probabilities come
from sums over how many of the units before and after are taken: nothing is subtracted, so nothing cancels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError

Array = NDArray[np.float64]

#: Largest deviation of an inclusion probability from the one that is asked for, and steps it may take to get there.
CLOSE, STEPS = 1e-12, 500
#: No size is taken for less than this share of the largest: everything can be drawn.
LEAST = 1e-6
#: Probabilities of the coins stay this far from 0 and 1.
_EDGE = 1e-12


def inclusion_probabilities(sizes: Array, n: int) -> Array:
    """Probabilities in proportion to the sizes that add up to n; a unit that would have more than 1 is certain.

    Args:
        sizes: (N,) positive; below a millionth of the largest they are taken for that.
        n: of the sample, at most N.

    Returns:
        (N,), each in (0, 1].

    Raises:
        LikewiseError: a size that is not positive, or n outside of 1 to N.

    Example:
        >>> inclusion_probabilities(np.array([1.0, 1.0, 2.0, 40.0]), 2).tolist()
        [0.25, 0.25, 0.5, 1.0]
    """
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise LikewiseError("sizes of units to sample must be positive, finite numbers")
    if not 1 <= n <= len(sizes):
        raise LikewiseError(f"a sample of {n} from {len(sizes)}: expected 1 to {len(sizes)}")
    sizes = np.maximum(sizes, LEAST * sizes.max())
    certain = np.zeros(len(sizes), bool)
    while True:
        left = n - int(certain.sum())
        wanted = np.where(certain, 1.0, left * sizes / sizes[~certain].sum()) if left else np.ones(len(sizes))
        beyond = (wanted >= 1 - 1e-9) & ~certain
        if not beyond.any():
            return np.minimum(wanted, 1.0)
        certain |= beyond


class ConditionalPoisson:
    """The design with given inclusion probabilities.

    Args:
        wanted: (N,) in (0, 1], with a whole sum, n.

    Attributes:
        n: size of every sample.
        inclusion: (N,) as wanted.

    Raises:
        LikewiseError: probabilities outside of (0, 1], or a sum that is not whole.
    """

    def __init__(self, wanted: Array) -> None:
        self.n = round(float(wanted.sum()))
        if not ((wanted > 0) & (wanted <= 1)).all() or abs(wanted.sum() - self.n) > 1e-6:
            raise LikewiseError("inclusion probabilities must be in (0, 1], and their sum a whole number")
        self.inclusion = wanted
        self._certain = wanted >= 1
        self._drawn = self.n - int(self._certain.sum())  # of those that are left to chance
        self._coins = _coins(wanted[~self._certain], self._drawn)

    def draw(self, generator: np.random.Generator, times: int = 1) -> NDArray[np.bool_]:
        """Independent samples, (times, N) of bool, n of each row set."""
        taken = np.ones((times, len(self.inclusion)), bool)
        taken[:, ~self._certain] = self._draw(generator, times)
        return taken

    def joint(self, units: NDArray[np.int64]) -> Array:
        """Probability that two of some units are both in the sample, (k, k); on the diagonal the units' own."""
        place = np.cumsum(~self._certain) - 1
        known = np.outer(self.inclusion[units], self.inclusion[units])  # right wherever one of the two is certain
        chance = [(row, int(place[unit])) for row, unit in enumerate(units) if not self._certain[unit]]
        for row, unit in chance:
            others = np.delete(self._coins, unit)
            given = np.insert(_included(others, self._drawn - 1), unit, 1.0)
            known[row, [r for r, _ in chance]] = self.inclusion[units[row]] * given[[p for _, p in chance]]
        np.fill_diagonal(known, self.inclusion[units])
        return known

    def _draw(self, generator: np.random.Generator, times: int) -> NDArray[np.bool_]:
        after = _after(self._coins, self._drawn)
        left = np.full(times, self._drawn)
        taken = np.zeros((times, len(self._coins)), bool)
        chances = generator.random((len(self._coins), times))
        for unit, coin in enumerate(self._coins):
            rest, here = after[unit + 1], after[unit]
            chance = np.where(left > 0, coin * rest[np.maximum(left - 1, 0)] / here[left], 0.0)
            taken[:, unit] = chances[unit] < chance
            left -= taken[:, unit]
        return taken


def _coins(wanted: Array, n: int) -> Array:
    """Probabilities of coins whose conditional inclusion probabilities are the ones wanted, by fixed-point steps.

    The coins are only known up to a common factor of their odds; here they add up to n.
    """
    coins = wanted.copy()
    for _ in range(STEPS):
        if not len(wanted) or n == len(wanted):
            break
        off = wanted - _included(coins, n)
        if np.abs(off).max() < CLOSE:
            break
        # a step in the odds, which keeps every coin between 0 and 1
        reached = np.clip(wanted - off, _EDGE, 1 - _EDGE)
        odds = coins / (1 - coins) * (wanted / (1 - wanted)) / (reached / (1 - reached))
        coins = np.clip(odds / (1 + odds), _EDGE, 1 - _EDGE)
    return coins


def _included(coins: Array, n: int) -> Array:
    """Inclusion probability of each unit among all outcomes of the coins with n units, (N,)."""
    if n <= 0 or n > len(coins):
        return np.zeros(len(coins))
    before, after = _after(coins[::-1], n)[::-1], _after(coins, n)
    without = np.einsum("ik,ik->i", before[:-1, :n], after[1:, :n][:, ::-1])  # n - 1 of the others
    none = np.einsum("ik,ik->i", before[:-1, : n + 1], after[1:, : n + 1][:, ::-1])  # n of the others
    return coins * without / (coins * without + (1 - coins) * none)


def _after(coins: Array, n: int) -> Array:
    """Probability that k = 0 to n of the units from i on are taken, (N + 1, n + 1)."""
    table = np.zeros((len(coins) + 1, n + 1))
    table[-1, 0] = 1.0
    for unit in range(len(coins) - 1, -1, -1):
        table[unit] = (1 - coins[unit]) * table[unit + 1]
        table[unit, 1:] += coins[unit] * table[unit + 1, :-1]
    return table
