"""The design's probabilities against all samples there are, one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.errors import LikewiseError
from likewise.estimation.conditional_poisson import ConditionalPoisson, inclusion_probabilities


def every_sample(odds: np.ndarray, n: int) -> dict[tuple[int, ...], float]:
    """Probability of each sample of n units: in proportion to the product of its units' odds."""
    weights = {s: float(np.prod(odds[list(s)])) for s in itertools.combinations(range(len(odds)), n)}
    total = sum(weights.values())
    return {s: weight / total for s, weight in weights.items()}


def odds_of(design: ConditionalPoisson) -> np.ndarray:
    return design._coins / (1 - design._coins)


@pytest.mark.parametrize(("seed", "units", "n"), [(0, 6, 2), (1, 7, 3), (2, 8, 5), (3, 9, 8), (4, 5, 1)])
def test_inclusion_probabilities_are_those_of_all_samples(seed: int, units: int, n: int):
    sizes = np.random.default_rng(seed).uniform(1, 1.1, units)
    design = ConditionalPoisson(inclusion_probabilities(sizes, n))
    assert (design.inclusion < 1).all()
    first, joint = np.zeros(units), np.zeros((units, units))
    for sample, probability in every_sample(odds_of(design), n).items():
        taken = np.isin(np.arange(units), sample).astype(float)
        first += probability * taken
        joint += probability * np.outer(taken, taken)
    np.testing.assert_allclose(first, n * sizes / sizes.sum(), atol=1e-9)
    np.testing.assert_allclose(design.joint(np.arange(units)), joint, atol=1e-9)


def test_the_design_has_more_entropy_than_another_with_the_same_probabilities():
    wanted = np.array([0.5, 0.5, 0.5, 0.5])
    design = ConditionalPoisson(wanted)
    held = every_sample(odds_of(design), 2).values()
    entropy = -sum(p * np.log(p) for p in held)
    systematic = -2 * 0.5 * np.log(0.5)  # two samples only: each second unit
    assert entropy == pytest.approx(np.log(6))
    assert entropy > systematic


def test_units_that_are_larger_than_a_share_are_certain():
    wanted = inclusion_probabilities(np.array([1.0, 1.0, 1.0, 1.0, 100.0, 90.0]), 3)
    np.testing.assert_allclose(wanted, [0.25, 0.25, 0.25, 0.25, 1, 1])
    design = ConditionalPoisson(wanted)
    taken = design.draw(np.random.default_rng(0), 500)
    assert taken[:, 4:].all()
    assert (taken.sum(axis=1) == 3).all()
    joint = design.joint(np.arange(6))
    np.testing.assert_allclose(joint[4], wanted)
    np.testing.assert_allclose(joint[:4, :4], np.diag([0.25] * 4), atol=1e-12)


def test_equal_sizes_are_a_simple_random_sample():
    design = ConditionalPoisson(inclusion_probabilities(np.ones(10), 4))
    joint = design.joint(np.arange(10))
    np.testing.assert_allclose(joint[~np.eye(10, dtype=bool)], 4 * 3 / (10 * 9))


def test_drawn_as_often_as_it_says():
    sizes = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    design = ConditionalPoisson(inclusion_probabilities(sizes, 2))
    taken = design.draw(np.random.default_rng(7), 40_000).astype(float)
    np.testing.assert_allclose(taken.mean(axis=0), design.inclusion, atol=0.01)
    np.testing.assert_allclose(taken.T @ taken / len(taken), design.joint(np.arange(6)), atol=0.01)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=40), st.integers(1, 40))
def test_any_sizes_give_samples_of_the_size_asked_for(sizes: list[float], n: int):
    n = min(n, len(sizes))
    wanted = inclusion_probabilities(np.array(sizes), n)
    assert wanted.sum() == pytest.approx(n)
    assert ((wanted > 0) & (wanted <= 1)).all()
    assert (ConditionalPoisson(wanted).draw(np.random.default_rng(0), 5).sum(axis=1) == n).all()


@pytest.mark.parametrize(("sizes", "n"), [([1.0, 0.0], 1), ([1.0, np.nan], 1), ([1.0, 2.0], 3), ([1.0, 2.0], 0)])
def test_what_cannot_be_drawn_is_refused(sizes: list[float], n: int):
    with pytest.raises(LikewiseError, match="sample"):
        inclusion_probabilities(np.array(sizes), n)


def test_probabilities_must_add_up_to_a_size():
    with pytest.raises(LikewiseError, match="whole number"):
        ConditionalPoisson(np.array([0.5, 0.7]))
