"""Intervals learnt from made-up counts whose errors are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from likewise.engine import calibration
from likewise.engine.calibration import Case, cases_of, fit_calibration, quantile
from likewise.engine.count_eval import Counted, CountReport
from likewise.errors import LikewiseError


def made_up(seed: int, groups: int = 6, each: int = 120, bias: float = 0.0) -> list[Case]:
    """Counts that are off by exp(-2.5 + 1.8 x "wild") times a normal variable; the sign "idle" tells nothing."""
    rng = np.random.default_rng(seed)
    cases = []
    for group in range(groups):
        off = bias * rng.standard_normal()
        for _ in range(each):
            truth, wild, idle = float(rng.integers(20, 300)), float(rng.random()), float(rng.random())
            error = off + math.exp(-2.5 + 1.8 * wild) * rng.standard_normal()
            count = (truth + 0.5) * math.exp(-error) - 0.5
            cases.append(Case(f"set {group}", truth, count, {"wild": wild, "idle": idle}))
    return cases


def covered(trust, cases) -> float:
    ends = [trust.interval(c.count, c.signs) for c in cases]
    return float(np.mean([low <= c.truth <= high for (low, high), c in zip(ends, cases, strict=True)]))


def test_the_sign_that_tells_gets_its_weight_and_the_idle_one_next_to_none():
    trust = fit_calibration(made_up(0), ("wild", "idle"))
    assert trust.weights[0] == pytest.approx(1.8, abs=0.3)
    assert trust.weights[1] < 0.2
    assert trust.base == pytest.approx(-2.5 + math.log(1.645), abs=0.25)  # nine in ten of |normal| lie below 1.645


def test_the_interval_holds_nine_in_ten_and_the_doubted_third_errs_more():
    trust, fresh = fit_calibration(made_up(1), ("wild", "idle")), made_up(2)
    assert covered(trust, fresh) == pytest.approx(0.9, abs=0.04)
    doubted = np.array([trust.spread(c.signs) > trust.doubt for c in fresh])
    errors = np.array([abs(c.count - c.truth) / c.truth for c in fresh])
    assert doubted.mean() == pytest.approx(1 / 3, abs=0.05)
    assert errors[doubted].mean() >= 2 * errors[~doubted].mean()


def test_sets_that_are_off_as_a_whole_widen_the_interval_for_new_ones():
    biased = made_up(3, groups=24, each=20, bias=0.5)
    trust = fit_calibration(biased, ("wild", "idle"))
    assert covered(trust, made_up(4, groups=60, each=20, bias=0.5)) == pytest.approx(0.9, abs=0.07)
    plain = fit_calibration(made_up(3, groups=24, each=20), ("wild", "idle"))
    assert trust.above > 0
    assert trust.spread({}) * trust.above > 2 * plain.spread({}) * plain.above


def test_a_bias_in_one_direction_makes_the_interval_lean():
    low = [Case(c.group, c.truth, c.count * 0.5, c.signs) for c in made_up(5)]
    trust = fit_calibration(low, ("wild",))
    assert trust.below == 0
    assert covered(trust, low) >= 0.85
    assert all(trust.interval(c.count, c.signs)[0] == pytest.approx(max(c.count, 0)) for c in low)


def pinball(above: np.ndarray) -> float:
    """The mean loss whose minimum is the 90 % quantile."""
    return float(np.maximum(0.9 * above, -0.1 * above).mean())


def test_the_plane_is_where_the_quantile_loss_is_least():
    rng = np.random.default_rng(0)
    signs, says = rng.random((60, 2)), np.full(60, 1 / 60)
    size = 1.5 * signs[:, 0] + 0.3 * rng.standard_normal(60)
    base, weights = calibration._fit(signs, size, says, 0.0)
    least = pinball(size - base - signs @ weights)
    for step in rng.standard_normal((200, 3)) * 0.05:
        moved = np.maximum(weights + step[1:], 0)
        assert pinball(size - base - step[0] - signs @ moved) >= least - 1e-9
    assert float((size <= base + signs @ weights + 1e-9).mean()) >= 0.9
    falling = calibration._fit(signs, -size, says, 0.0)[1]
    assert falling[0] == 0  # it would be negative


def test_a_weighted_quantile_is_that_of_as_many_copies():
    values, says = np.array([3.0, 1.0, 2.0, 5.0]), np.array([1, 4, 3, 2]) / 10
    copies = np.sort(np.repeat(values, (1, 4, 3, 2)))
    for share in (0.1, 0.35, 0.55, 0.75):
        wanted = min(share * 1.25, 1.0)
        assert quantile(values, says, share) == copies[math.ceil(wanted * 10 - 1e-9) - 1]


def test_too_few_pictures_or_sets_are_refused():
    with pytest.raises(LikewiseError, match="10 pictures of 2 sets"):
        fit_calibration(made_up(0, groups=2, each=5), ("wild",))
    with pytest.raises(LikewiseError, match="of 1 sets"):
        fit_calibration(made_up(0, groups=1), ("wild",))


def test_an_evaluation_becomes_cases():
    report = CountReport((Counted("a", None, 9.0, 7.5, 0.1, signs={"few": 0.3}),))
    [case] = cases_of("dishes", report)
    assert (case.group, case.truth, case.count, case.signs) == ("dishes", 9.0, 7.5, {"few": 0.3})
    assert case.error == pytest.approx(math.log(9.5 / 8))
