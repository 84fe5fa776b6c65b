"""Which pictures to count by hand: designs, whose probabilities of inclusion are known.

- ``random``: every set of n pictures is as likely as every other.
- ``proportional``: pictures whose counts are large and doubtful are likelier, by conditional Poisson sampling: fixed
  size, exact probabilities (`likewise.estimation.conditional_poisson`). With the counts as control variate this is
  DISCount (Perez, Maji, Sheldon, "DISCount: Counting in Large Image Collections with Detector-Based Importance
  Sampling", AAAI 2024), drawn without replacement.
- ``stratified``: at random within strata: groups of a column, or pictures of like doubt. More are drawn where pictures
  are many and doubtful (Neyman's allocation with the doubt for the standard deviation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.estimation.conditional_poisson import ConditionalPoisson, inclusion_probabilities
from likewise.estimation.hand_counts import Design, Draw

Array = NDArray[np.float64]

#: Fewest pictures a round, and a stratum; pictures a stratum where strata are made by doubt, and most of such strata.
FEWEST, FEWEST_A_STRATUM, A_STRATUM, MOST_STRATA = 3, 2, 4, 5


def draw(
    names: tuple[str, ...], doubt: Array, n: int, design: Design, seed: int, groups: tuple[str, ...] | None = None
) -> Draw:
    """Draw a sample.

    Args:
        names: (N,) to draw from.
        doubt: (N,) positive, of each: `likewise.estimation.control.Control.sizes`.
        n: how many.
        design: how.
        seed: of the random numbers; the same gives the same sample.
        groups: (N,) strata, of the stratified design; None: they are made by doubt.

    Raises:
        LikewiseError: fewer than `FEWEST`, more than there are, or too few for the strata.
    """
    if not FEWEST <= n <= len(names):
        raise LikewiseError(f"-n {n}: expected {FEWEST} to {len(names)}, as many pictures as there are to draw from")
    generator = np.random.default_rng(seed)
    if design == "stratified":
        return _stratified(names, doubt, n, seed, groups, generator)
    wanted = inclusion_probabilities(doubt if design == "proportional" else np.ones(len(names)), n)
    if design == "proportional":
        taken = np.flatnonzero(ConditionalPoisson(wanted).draw(generator)[0])
    else:
        taken = np.sort(generator.choice(len(names), n, replace=False))
    drawn = tuple(names[place] for place in taken)
    return Draw(drawn, wanted[taken], ("",) * n, design, seed, len(names))


def _stratified(
    names: tuple[str, ...],
    doubt: Array,
    n: int,
    seed: int,
    groups: tuple[str, ...] | None,
    generator: np.random.Generator,
) -> Draw:
    strata = groups or _by_doubt(doubt, n)
    members = {name: np.flatnonzero([each == name for each in strata]) for name in sorted(set(strata))}
    shares = allocate(n, {name: len(places) for name, places in members.items()}, members, doubt)
    taken = [np.sort(generator.choice(places, shares[name], replace=False)) for name, places in members.items()]
    probability = [np.full(shares[name], shares[name] / len(places)) for name, places in members.items()]
    drawn = np.concatenate(taken)
    return Draw(
        tuple(names[place] for place in drawn),
        np.concatenate(probability),
        tuple(strata[place] for place in drawn),
        "stratified",
        seed,
        len(names),
    )


def _by_doubt(doubt: Array, n: int) -> tuple[str, ...]:
    """Strata of like doubt, each with about the same sum of it."""
    strata = max(1, min(MOST_STRATA, n // A_STRATUM, len(doubt) // FEWEST_A_STRATUM))
    order = np.argsort(doubt, kind="stable")
    reached = (np.cumsum(doubt[order]) - doubt[order] / 2) / doubt.sum()
    level = np.empty(len(doubt), np.int64)
    level[order] = np.minimum((reached * strata).astype(np.int64), strata - 1)
    for each in range(strata - 1, 0, -1):  # a stratum of one picture could not be judged
        if (level == each).sum() < FEWEST_A_STRATUM:
            level[level == each] = each - 1
    return tuple(f"doubt {each + 1}" for each in level)


def allocate(n: int, numbers: dict[str, int], members: dict[str, NDArray[np.int64]], doubt: Array) -> dict[str, int]:
    """How many of each stratum: in proportion to its sum of doubt, at least 2, and all of it at most.

    Raises:
        LikewiseError: n is too small for so many strata.
    """
    least = {name: min(FEWEST_A_STRATUM, number) for name, number in numbers.items()}
    if sum(least.values()) > n:
        raise LikewiseError(
            f"-n {n} for {len(numbers)} strata; expected at least {sum(least.values())}, {FEWEST_A_STRATUM} for each, "
            "or fewer strata"
        )
    shares = dict(least)
    weight = {name: float(doubt[places].sum()) for name, places in members.items()}
    for _ in range(n - sum(least.values())):  # each goes where it is missed most (highest averages)
        open_strata = [name for name in shares if shares[name] < numbers[name]]
        best = max(open_strata, key=lambda name: weight[name] / (shares[name] + 0.5))
        shares[best] += 1
    return shares
