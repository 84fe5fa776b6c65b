"""Metrics against numbers worked out by hand and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchmetrics.functional.regression as theirs
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import LikewiseError
from likewise.metrics import CountErrors, IntervalErrors, mae, nae, rmse, sre

pairs = st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 4000)), min_size=1, max_size=30)


def test_by_hand():
    counts, truths = [10.0, 25.0, 0.0], [8.0, 20.0, 4.0]
    assert mae(counts, truths) == pytest.approx((2 + 5 + 4) / 3)
    assert rmse(counts, truths) == pytest.approx(math.sqrt((4 + 25 + 16) / 3))
    assert nae(counts, truths) == pytest.approx((2 / 8 + 5 / 20 + 4 / 4) / 3)
    assert sre(counts, truths) == pytest.approx(math.sqrt((4 / 8 + 25 / 20 + 16 / 4) / 3))


@given(pairs)
def test_as_torchmetrics_has_them(values: list[tuple[float, int]]):
    counts, truths = ([float(v) for v in column] for column in zip(*values, strict=True))
    c, n = torch.tensor(counts, dtype=torch.float64), torch.tensor(truths, dtype=torch.float64)
    assert mae(counts, truths) == pytest.approx(theirs.mean_absolute_error(c, n).item(), rel=1e-9, abs=1e-9)
    assert rmse(counts, truths) == pytest.approx(theirs.mean_squared_error(c, n, squared=False).item(), rel=1e-9)
    some = n > 0
    if some.any():
        relative = theirs.mean_absolute_percentage_error(c[some], n[some]).item()
        assert nae(counts, truths) == pytest.approx(relative, rel=1e-9)


def test_empty_pictures_count_in_mae_but_have_no_relative_error():
    assert mae([3.0, 5.0], [0.0, 4.0]) == 2.0
    assert nae([3.0, 5.0], [0.0, 4.0]) == sre([3.0, 5.0], [0.0, 4.0]) / 2 == 0.25
    assert math.isnan(nae([3.0], [0.0]))
    assert math.isnan(sre([3.0], [0.0]))


def test_the_accumulator_is_the_metrics_of_all_it_was_given():
    errors = CountErrors()
    assert all(math.isnan(v) for v in errors.summary().values())
    for count, truth in ((10, 8), (25, 20), (2, 0)):
        errors.add(count, truth)
    assert len(errors) == 3
    assert errors.empty == 1
    counts, truths = [10.0, 25.0, 2.0], [8.0, 20.0, 0.0]
    expected = {"mae": mae, "rmse": rmse, "nae": nae, "sre": sre}
    assert errors.summary() == {name: metric(counts, truths) for name, metric in expected.items()}


@pytest.mark.parametrize(("count", "truth"), [(math.nan, 1.0), (1.0, math.inf), (1.0, -1.0)])
def test_what_is_no_number_is_refused(count: float, truth: float):
    with pytest.raises(LikewiseError, match="expected a finite count"):
        CountErrors().add(count, truth)


@pytest.mark.parametrize("metric", [mae, rmse, nae, sre])
def test_nothing_and_unequal_lengths_are_refused(metric):
    with pytest.raises(LikewiseError, match="0 counts for 0 truths"):
        metric([], [])
    with pytest.raises(LikewiseError, match="2 counts for 1 truths"):
        metric([1.0, 2.0], [1.0])


def test_intervals_are_measured_as_by_hand():
    errors = IntervalErrors()
    assert all(math.isnan(value) for value in errors.summary().values())
    for low, high, truth in ((9.5, 19.5, 15), (9.5, 19.5, 39.5), (0.0, 1.2, 0), (4.6, 6.2, 4)):
        errors.add(low, high, truth)
    found = errors.summary()
    assert len(errors) == 4
    assert found["coverage"] == 3 / 4  # 4.6 does not rule out 4
    assert found["width"] == pytest.approx((10 / 15 + 10 / 39.5 + 1.2 + 1.6 / 4) / 4)
    log = math.log
    missed = log(2) + 20 * log(40 / 20) + log(1.7 / 0.5) + log(6.7 / 5.1) + 20 * log(5.1 / 4.5)
    assert found["interval_score"] == pytest.approx((log(2) + missed) / 4)


@pytest.mark.parametrize(
    "bad", [(-1, 2, 1), (3, 2, 1), (0, math.inf, 1), (0, math.nan, 1), (0, 1, -1), (0, 1, math.nan)]
)
def test_intervals_that_are_none_are_refused(bad):
    with pytest.raises(LikewiseError, match="expected 0 <= low <= high"):
        IntervalErrors().add(*bad)


def test_no_interval_scores_better_than_the_true_quantiles():
    rng = np.random.default_rng(0)
    truths = np.exp(rng.normal(4, 0.3, 20_000))

    def score(left: float, right: float) -> float:
        errors = IntervalErrors()
        for truth in truths:
            errors.add(math.exp(4 + left) - 0.5, math.exp(4 + right) - 0.5, truth - 0.5)
        return errors.summary()["interval_score"]

    reach = 0.3 * 1.6449
    best = score(-reach, reach)
    assert best == pytest.approx(2 * 0.3 * 0.10314 * 20, rel=0.02)  # 4 phi(z) / alpha standard deviations
    for left, right in ((-0.8 * reach, reach), (-reach, 0.8 * reach), (-1.2 * reach, reach), (-reach, 1.2 * reach)):
        assert score(left, right) > best
