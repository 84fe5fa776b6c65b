from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from likewise.adaptation.intervals import reach_of, recalibrated
from likewise.adaptation.selection import LeftOut, choose, factors_left_out, groups
from likewise.types import Calibration


def left_out(*errors: float) -> LeftOut:
    return LeftOut("", errors, errors)


#: Errors of each candidate, and the place of the one to be kept, worked by hand.
TABLE = [
    # differences to the best are all alike: their standard error is 0, only the best itself is as good
    ([(0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (0.1, 0.1, 0.1)], 2),
    # 0.15, 0.05, -0.05 from the best: mean 0.05, deviation 0.1, standard error 0.1 / sqrt(3) = 0.0577: as good
    ([(0.5, 0.5, 0.5), (0.15, 0.15, 0.15), (0.0, 0.1, 0.2)], 1),
    # the same with a mean of 0.06: worse
    ([(0.5, 0.5, 0.5), (0.16, 0.16, 0.16), (0.0, 0.1, 0.2)], 2),
    # nothing is worse by 0.02, with the same standard error: as good, and the simplest
    ([(0.12, 0.12, 0.12), (0.3, 0.3, 0.3), (0.0, 0.1, 0.2)], 0),
    # pictures differ far more than candidates, of which one is better by 0.05 on each
    ([(0.1, 0.5, 0.9), (0.05, 0.45, 0.85)], 1),
    # nothing is the best
    ([(0.1, 0.2, 0.3), (0.3, 0.3, 0.3), (0.2, 0.2, 0.3)], 0),
    # nothing is as good as another
    ([(0.1, 0.1, 0.1), (0.1, 0.1, 0.1)], 0),
]


@pytest.mark.parametrize(("errors", "kept"), TABLE)
def test_the_simplest_within_a_standard_error_of_the_best_is_kept(errors, kept):
    assert choose([left_out(*each) for each in errors]) == kept


def test_a_standard_error_is_that_of_the_mean():
    errors = (0.1, 0.4, 0.25, 0.05)
    assert left_out(*errors).spread == pytest.approx(stats.sem(errors))


def test_pictures_are_left_out_one_by_one_and_many_in_groups():
    assert groups(3, 8) == [[0], [1], [2]]
    assert groups(5, 2) == [[0, 2, 4], [1, 3]]


def test_the_factor_of_a_picture_comes_from_the_others():
    assert factors_left_out([10, 10, 20], [20, 10, 30], groups(3, 8)) == [40 / 30, 50 / 30, 30 / 20]


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
