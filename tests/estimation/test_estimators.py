"""Estimators and variances against all samples of small populations, textbooks, and ppi-python."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from likewise.errors import LikewiseError
from likewise.estimation.conditional_poisson import ConditionalPoisson, inclusion_probabilities
from likewise.estimation.estimators import ESTIMATORS, Estimator, Part, check_estimator, estimate_total
from likewise.estimation.intervals import quantile, t_interval
from likewise.estimation.variance import Spread, combined, design_variance, joint_variance, with_doubt

TRUTH = np.array([4.0, 9.0, 2.0, 15.0, 7.0, 0.0, 11.0])
COUNTS = np.array([5.0, 7.0, 2.5, 12.0, 9.0, 0.5, 8.0])


def part(at: list[int], probability: np.ndarray, truth: np.ndarray = TRUTH, counts: np.ndarray = COUNTS) -> Part:
    strata = np.zeros(len(at), np.int64)
    return Part(truth[at], counts[at], np.zeros(len(at)), probability[at], strata, len(truth), float(counts.sum()))


def all_samples(sizes: np.ndarray, n: int) -> tuple[ConditionalPoisson, dict[tuple[int, ...], float]]:
    design = ConditionalPoisson(inclusion_probabilities(sizes, n))
    odds = design._coins / (1 - design._coins)
    weights = {s: float(np.prod(odds[list(s)])) for s in itertools.combinations(range(len(sizes)), n)}
    total = sum(weights.values())
    return design, {s: weight / total for s, weight in weights.items()}


@pytest.mark.parametrize("estimator", ["difference", "horvitz-thompson"])
def test_unbiased_over_all_samples(estimator: Estimator):
    design, samples = all_samples(COUNTS + 3, 3)
    expected = sum(p * estimate_total(part(list(s), design.inclusion), estimator).value for s, p in samples.items())
    assert expected == pytest.approx(TRUTH.sum(), abs=1e-8)


@pytest.mark.parametrize("estimator", ["difference", "ratio", "regression", "hand"])
def test_exact_where_nothing_is_left_to_chance(estimator: Estimator):
    found = estimate_total(part(list(range(7)), np.ones(7)), estimator)
    assert found.value == pytest.approx(TRUTH.sum())
    assert found.spread.variance == 0


def test_variance_of_sen_yates_and_grundy_is_unbiased_over_all_samples():
    design, samples = all_samples(COUNTS + 3, 3)
    off = TRUTH - COUNTS
    totals = np.array([sum(off[list(s)] / design.inclusion[list(s)]) for s in samples])
    probability = np.array(list(samples.values()))
    true = float((probability * (totals - off.sum()) ** 2).sum())
    estimated = [joint_variance(off[list(s)], design.joint(np.array(s))) for s in samples]
    assert float((probability * estimated).sum()) == pytest.approx(true)


def test_variance_without_joint_probabilities_is_near_it():
    design, samples = all_samples(np.random.default_rng(0).uniform(2, 4, 12), 5)
    values = np.random.default_rng(1).normal(10, 3, 12)
    totals = np.array([sum(values[list(s)] / design.inclusion[list(s)]) for s in samples])
    probability = np.array(list(samples.values()))
    true = float((probability * (totals - values.sum()) ** 2).sum())
    strata = np.zeros(5, np.int64)
    estimated = [
        design_variance(values[list(s)] / design.inclusion[list(s)], design.inclusion[list(s)], strata).variance
        for s in samples
    ]
    assert float((probability * estimated).sum()) == pytest.approx(true, rel=0.05)


def test_difference_estimator_of_a_random_sample_is_the_textbooks():
    at, n, population = [0, 3, 4, 6], 4, 7
    found = estimate_total(part(at, np.full(7, n / population)), "difference")
    off = (TRUTH - COUNTS)[at]
    assert found.value == pytest.approx(COUNTS.sum() + population * off.mean())
    expected = population**2 * (1 - n / population) * off.var(ddof=1) / n
    assert found.spread.variance == pytest.approx(expected)
    assert found.spread.freedom == pytest.approx(n - 1)


def test_ratio_estimator_of_a_random_sample_is_the_textbooks():
    at, n, population = [0, 3, 4, 6], 4, 7
    found = estimate_total(part(at, np.full(7, n / population)), "ratio")
    y, c = TRUTH[at], COUNTS[at]
    assert found.value == pytest.approx(COUNTS.sum() * y.mean() / c.mean())
    left = (y - y.mean() / c.mean() * c).var(ddof=1)
    expected = (COUNTS.mean() / c.mean()) ** 2 * population**2 * (1 - n / population) * left / n
    assert found.spread.variance == pytest.approx(expected)


def test_regression_slope_of_a_random_sample_is_that_of_least_squares():
    at = [0, 1, 3, 4, 6]
    found = estimate_total(part(at, np.full(7, 5 / 7)), "regression")
    line = stats.linregress(COUNTS[at], TRUTH[at])
    assert found.slope == pytest.approx(line.slope)
    assert found.value == pytest.approx(7 * (line.intercept + line.slope * COUNTS.mean()))


def test_strata_are_estimated_each_and_their_variances_added():
    truth, counts = np.array([1.0, 3.0, 2.0, 10.0, 14.0]), np.array([1.0, 2.0, 2.0, 9.0, 10.0])
    probability, strata = np.array([0.3, 0.3, 0.3, 0.4, 0.4]), np.array([0, 0, 0, 1, 1])
    found = estimate_total(Part(truth, counts, np.zeros(5), probability, strata, 15, 80.0), "difference")
    off = truth - counts
    expected = 10**2 * 0.7 * off[:3].var(ddof=1) / 3 + 5**2 * 0.6 * off[3:].var(ddof=1) / 2
    assert found.spread.variance == pytest.approx(expected)
    assert found.value == pytest.approx(80 + 10 * off[:3].mean() + 5 * off[3:].mean())
    assert 1 <= found.spread.freedom <= 3  # by Satterthwaite: between the least and the sum


def test_doubt_weighs_a_tenth_of_an_observation_and_widens_where_all_agree():
    promised = np.full(9, 30.0)
    joined = with_doubt(Spread(0.0, 8.0), promised, np.full(9, 0.1))
    assert joined.variance == pytest.approx(0.1 * 9 * 0.9 * 900 / 8.1)
    assert with_doubt(Spread(0.0, math.inf), promised, np.ones(9)).variance == 0


def test_sums_of_independent_parts():
    found = combined([Spread(4.0, 5.0), Spread(9.0, 3.0)], [1.0, 2.0])
    assert found.variance == 40
    assert found.freedom == pytest.approx(40**2 / (4**2 / 5 + 36**2 / 3))  # Welch and Satterthwaite


def test_a_picture_that_is_alone_left_to_chance_is_not_taken_for_sure():
    probability = np.array([1.0, 1.0, 0.5])
    found = design_variance(np.array([1.0, 2.0, 8.0]), probability, np.zeros(3, np.int64))
    assert found.variance == pytest.approx(0.5 * 64)


def test_a_ratio_to_nothing_is_refused():
    with pytest.raises(LikewiseError, match="no ratio"):
        estimate_total(part([0, 1, 2], np.full(7, 3 / 7), counts=np.zeros(7)), "ratio")


def test_estimators_by_name():
    assert [check_estimator(name) for name in ESTIMATORS] == list(ESTIMATORS)
    with pytest.raises(LikewiseError, match="did you mean 'difference'"):
        check_estimator("diference")


@pytest.fixture(scope="module")
def ppi() -> object:
    return pytest.importorskip("ppi_py", reason="ppi-python is not installed; it brings numba and pandas along")


@pytest.mark.parametrize("tuned", [False, True])
def test_agrees_with_ppi_python(ppi: object, tuned: bool):
    generator = np.random.default_rng(3)
    truth = generator.poisson(20, 4000).astype(float)
    counts = truth * 0.8 + generator.normal(0, 3, 4000)
    at = np.arange(400)
    none, strata, total = np.zeros(400), np.zeros(400, np.int64), float(counts.sum())
    whole = Part(truth[at], counts[at], none, np.full(400, 0.1), strata, 4000, total)
    found = estimate_total(whole, "regression" if tuned else "difference")
    # ppi-python takes the unlabelled for a sample, too: repeated 2000 times they are as good as a whole population
    many = np.tile(counts, 2000)
    lam = found.slope if tuned else 1.0
    point = ppi.ppi_mean_pointestimate(truth[at], counts[at], many, lam=lam)  # type: ignore[attr-defined]
    assert found.value / 4000 == pytest.approx(float(point.item()), rel=1e-9)
    low, high = ppi.ppi_mean_ci(truth[at], counts[at], many, alpha=0.05, lam=lam)  # type: ignore[attr-defined]
    # they know of no finite population
    without_end = found.spread.variance / (1 - 0.1) / 4000**2
    ours = t_interval(found.value / 4000, Spread(without_end, math.inf), 0.95)
    assert (ours.high - ours.low) == pytest.approx(float((high - low).item()), rel=0.01)
    if tuned:
        theirs = ppi.ppi_mean_pointestimate(truth[at], counts[at], many)  # type: ignore[attr-defined]
        # their slope divides by the variance of all counts, ours by that of the sample's
        assert found.value / 4000 == pytest.approx(float(theirs.item()), rel=1e-3)


def test_quantiles_are_scipys():
    assert quantile(0.9, 7) == pytest.approx(stats.t.ppf(0.95, 7))
    assert quantile(0.95, math.inf) == pytest.approx(stats.norm.ppf(0.975))
