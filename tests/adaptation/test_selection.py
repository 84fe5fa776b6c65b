from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from likewise.adaptation.intervals import reach_of, recalibrated
from likewise.adaptation.selection import LeftOut, choose, factors_left_out, groups
from likewise.adaptation.ways import best_factor
from likewise.types import Calibration


def left_out(*errors: float, learns: bool = False) -> LeftOut:
    return LeftOut("", errors, errors, learns)


#: Errors of nothing, of a factor and of two ways that learn, and the place of the one to be kept, worked by hand.
TABLE = [
    # nothing, and a factor that is better by any little
    ([(0.1, 0.2, 0.3), (0.3, 0.3, 0.3)], 0),
    ([(0.1, 0.1, 0.1), (0.1, 0.1, 0.1)], 0),
    ([(0.1, 0.5, 0.9), (0.05, 0.55, 0.85)], 1),
    # better by 0.02 of 0.1: a fifth, which is no quarter
    ([(0.5, 0.5, 0.5), (0.1, 0.1, 0.1), (0.08, 0.08, 0.08)], 1),
    # better by 0.03 of 0.1 in each
    ([(0.5, 0.5, 0.5), (0.1, 0.1, 0.1), (0.07, 0.07, 0.07)], 2),
    # better by 0.3, 0.0, 0.0 of 0.3: a third, but the standard error is 0.1, as large as the mean
    ([(0.5, 0.5, 0.5), (0.3, 0.3, 0.3), (0.0, 0.3, 0.3)], 1),
    # better by 0.3, 0.2, 0.1: mean 0.2, standard error 0.0577
    ([(0.5, 0.5, 0.5), (0.3, 0.3, 0.3), (0.0, 0.1, 0.2)], 2),
    # the simpler of two is worse by 0.15, 0.05, -0.05: mean 0.05, standard error 0.0577: as good
    ([(0.5, 0.5, 0.5), (0.4, 0.4, 0.4), (0.15, 0.15, 0.15), (0.0, 0.1, 0.2)], 2),
    # the same by 0.01 more: worse
    ([(0.5, 0.5, 0.5), (0.4, 0.4, 0.4), (0.16, 0.16, 0.16), (0.0, 0.1, 0.2)], 3),
    # better by 7.5, 0.3, 0.3: beyond 2 errors are alike; 1.5, 0.3, 0.3 have a mean of 0.7, a standard error of 0.4
    ([(9.0, 0.5, 0.5), (8.0, 0.4, 0.4), (0.5, 0.1, 0.1)], 2),
    # nothing is better than the factor, and it is nothing that learning has to beat
    ([(0.1, 0.1, 0.1), (0.3, 0.3, 0.3), (0.09, 0.09, 0.09)], 0),
]


@pytest.mark.parametrize(("errors", "kept"), TABLE)
def test_a_factor_has_to_help_and_learning_to_prove_itself(errors, kept):
    assert choose([left_out(*each, learns=index > 1) for index, each in enumerate(errors)]) == kept


def test_a_factor_is_drawn_towards_one_by_as_much_as_pictures_disagree():
    counts, truths = [10, 10, 20], [20, 10, 30]
    error = stats.sem(np.log(np.divide(truths, counts)))
    whole = math.log(60 / 40)
    assert best_factor(counts, truths) == pytest.approx(math.exp(whole**3 / (whole**2 + error**2)))
    assert best_factor([7, 13, 40], [14, 26, 80]) == 2
    assert best_factor([10, 20], [20, 10]) == 1
    assert best_factor([0, 0], [20, 10]) == 1
    assert best_factor([1, 1], [100, 100]) == 20


def test_a_standard_error_is_that_of_the_mean():
    errors = (0.1, 0.4, 0.25, 0.05)
    assert left_out(*errors).spread == pytest.approx(stats.sem(errors))


def test_pictures_are_left_out_one_by_one_and_many_in_groups():
    assert groups(3, 8) == [[0], [1], [2]]
    assert groups(5, 2) == [[0, 2, 4], [1, 3]]


def test_the_factor_of_a_picture_comes_from_the_others():
    counts, truths = [10, 10, 20], [20, 10, 30]
    expected = [best_factor(counts[1:], truths[1:]), best_factor([10, 20], [20, 30]), best_factor([10, 10], [20, 10])]
    assert factors_left_out(counts, truths, groups(3, 8)) == expected
    assert factors_left_out([10, 10, 20], [20, 20, 40], groups(3, 8)) == [2, 2, 2]


def test_from_nine_pictures_on_the_interval_is_conformal():
    """Of exchangeable errors, at least nine in ten of the next ones lie within, whatever their distribution."""
    generator = np.random.default_rng(0)
    held = []
    for _ in range(4000):
        ratios = generator.standard_cauchy(16)
        held.append(abs(ratios[-1]) <= reach_of(np.abs(ratios[:-1]).tolist()))
    assert 0.9 - 0.015 < np.mean(held) < 0.9 + 1 / 16 + 0.015


def test_fewer_pictures_give_the_interval_of_students_t():
    generator = np.random.default_rng(1)
    held = []
    for _ in range(4000):
        ratios = generator.normal(size=6)
        held.append(abs(ratios[-1]) <= reach_of(np.abs(ratios[:-1]).tolist()))
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_signs_keep_their_say():
    known = Calibration(("few",), (2.0,), -2.0, below=1.0, above=3.0, doubt=0.5)
    signs = [{"few": 0.1 * i} for i in range(12)]
    errors = [0.5 * known.spread(each) for each in signs]
    found = recalibrated(known, errors, signs)
    assert (found.signs, found.weights, found.base) == (known.signs, known.weights, known.base)
    assert found.below == found.above == pytest.approx(0.5)
    assert found.doubt == pytest.approx(0.5 * 2 / 0.5)
    low, high = found.interval(100, {"few": 0.0})
    assert math.log((high + 0.5) / 100.5) == pytest.approx(0.5 * math.exp(-2))
    assert math.log(100.5 / (low + 0.5)) == pytest.approx(0.5 * math.exp(-2))


def test_exact_counts_are_no_promise():
    found = recalibrated(None, [0.0] * 5, [{}] * 5)
    low, high = found.interval(100, {})
    assert low < 98.5
    assert high > 101.5
