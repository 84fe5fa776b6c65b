"""Intervals learnt from made-up counts whose errors are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from likewise.engine import calibration
from likewise.engine.calibration import Case, cases_of, fit_calibration, quantile
from likewise.engine.count_eval import Counted, CountReport
from likewise.errors import LikewiseError
from likewise.predict.uncertainty import whole_interval


def made_up(seed: int, groups: int = 6, each: int = 120, bias: float = 0.0) -> list[Case]:
    """Counts that are off by 0.03 + 0.4 x "wild" times a normal variable; the sign "idle" tells nothing."""
    rng = np.random.default_rng(seed)
    cases = []
    for group in range(groups):
        off = bias * rng.standard_normal()
        for _ in range(each):
            truth, wild, idle = float(rng.integers(20, 300)), float(rng.random()), float(rng.random())
            error = off + (0.03 + 0.4 * wild) * rng.standard_normal()
            count = (truth + 0.5) * math.exp(-error) - 0.5
            cases.append(Case(f"set {group}", truth, count, {"wild": wild, "idle": idle}))
    return cases


def covered(trust, cases) -> float:
    """The share of truths inside their interval, of those that have one: nearly all."""
    ends = [(trust.interval(c.count, c.signs), c.truth) for c in cases]
    told = [end[0] <= truth <= end[1] for end, truth in ends if end is not None]
    assert len(told) >= 0.9 * len(cases)
    return float(np.mean(told))


def test_the_sign_that_tells_gets_its_weight_and_the_idle_one_next_to_none():
    trust = fit_calibration(made_up(0), ("wild", "idle"))
    assert trust.additive
    assert trust.weights[0] == pytest.approx(0.4 * 1.645, abs=0.09)  # nine in ten of |normal| lie below 1.645
    assert trust.weights[1] < 0.05
    assert trust.base == pytest.approx(0.03 * 1.645, abs=0.04)


def test_the_interval_holds_nine_in_ten_and_the_doubted_third_errs_more():
    trust, fresh = fit_calibration(made_up(1), ("wild", "idle")), made_up(2)
    assert covered(trust, fresh) == pytest.approx(0.9, abs=0.04)
    doubted = np.array([trust.spread(c.signs) > trust.doubt for c in fresh])
    errors = np.array([abs(c.count - c.truth) / c.truth for c in fresh])
    assert doubted.mean() == pytest.approx(1 / 3, abs=0.05)
    assert errors[doubted].mean() >= 2 * errors[~doubted].mean()


def test_sets_that_are_off_as_a_whole_widen_the_interval_for_new_ones():
    biased = made_up(3, groups=24, each=20, bias=0.2)
    trust = fit_calibration(biased, ("wild", "idle"))
    assert covered(trust, made_up(4, groups=60, each=20, bias=0.2)) == pytest.approx(0.9, abs=0.07)
    plain = fit_calibration(made_up(3, groups=24, each=20), ("wild", "idle"))
    assert trust.above > 0
    assert trust.spread({}) * trust.above > 2 * plain.spread({}) * plain.above


def test_a_bias_in_one_direction_makes_the_interval_lean():
    low = [Case(c.group, c.truth, 0.6 * c.truth * (c.count / c.truth) ** 0.3, c.signs) for c in made_up(5)]
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


def test_a_plane_through_everything_is_found_exactly():
    """Without noise the quantile's plane is the plane: a closed form to hold the solver to."""
    rng = np.random.default_rng(1)
    signs = rng.random((40, 3))
    base, weights = calibration._fit(signs, 0.1 + signs @ np.array([0.5, 0.0, 2.0]), np.full(40, 1 / 40), 0.0)
    assert base == pytest.approx(0.1)
    assert weights == pytest.approx([0.5, 0.0, 2.0], abs=1e-9)


def test_without_signs_the_plane_is_the_weighted_quantile():
    sizes, says = np.array([0.3, 0.1, 0.2, 0.5, 0.4]), np.array([1, 4, 3, 1.5, 0.5]) / 10
    base, weights = calibration._fit(np.zeros((5, 0)), sizes, says, 1.0)
    assert (base, len(weights)) == (pytest.approx(0.5), 0)  # 0.85 of all lie at or below 0.4
    assert calibration._fit(np.zeros((5, 1)), np.full(5, 0.001), says, 0.0)[0] == 0.02  # nobody counts better


def test_signs_that_tell_the_same_share_the_weight_and_what_never_changes_has_none():
    rng = np.random.default_rng(2)
    wild = rng.random(200)
    signs = np.stack([wild, wild, np.full(200, 0.7)], 1)
    base, weights = calibration._fit(signs, 0.1 + wild, np.full(200, 1 / 200), 1e-4)
    assert weights == pytest.approx([0.5, 0.5, 0.0], abs=1e-3)
    assert base == pytest.approx(0.1, abs=1e-2)
    assert calibration._fit(signs, 0.1 + wild, np.full(200, 1 / 200), 1e3)[1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("noise", ["normal", "laplace", "skewed"])
def test_nine_in_ten_are_held_whatever_the_errors_are_like(noise):
    """Intervals learnt from some sets hold nine in ten of fresh ones of known errors, on average over worlds."""

    def world(rng: np.random.Generator, groups: int, each: int) -> list[Case]:
        draw = {"normal": rng.standard_normal, "laplace": rng.laplace, "skewed": lambda: rng.exponential() - 0.5}[noise]
        cases = []
        for group in range(groups):
            for _ in range(each):
                count, wild = float(rng.uniform(2000, 9000)), float(rng.random())
                cases.append(Case(str(group), count * math.exp((0.05 + 0.1 * wild) * draw()), count, {"wild": wild}))
        return cases

    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        trust = fit_calibration(world(rng, 5, 40), ("wild",))
        held.append(covered(trust, world(rng, 1, 400)))
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)  # one world is off by 0.027


def test_ends_are_brought_to_whole_numbers_before_they_are_judged():
    case = Case("a", 4.0, 2.0, {})
    assert case.below == -math.inf  # wherever it begins
    assert case.above == pytest.approx(math.log(4 / 2.5))  # 3.5 is shown as 4
    assert Case("a", 2.0, 4.0, {}).below == pytest.approx(-math.log(3 / 4.5))  # anything below 2.5
    assert Case("a", 1.0, 0.2, {}).above == Case("a", 25.0, 24.4, {}).above == -math.inf
    off = [Case("ab"[i % 2], 10.0 + (i % 3 - 1), 10.0, {}) for i in range(40)]  # 9, 10 or 11 for 10
    trust = fit_calibration(off, ())
    assert whole_interval(trust, 10.0, {}) == (9, 11)
    assert trust.interval(10.0, {}) == pytest.approx((9.5, 10.5), abs=0.01)


def test_one_odd_set_of_two_widens_the_interval_of_both():
    good = [Case("good", 100.0, 100.0, {}) for _ in range(10)]
    odd = [Case("odd", 200.0, 100.0, {}) for _ in range(10)]
    assert fit_calibration([*good, *odd], ()).interval(100, {}) == pytest.approx((100, 199), rel=0.01)
    [*_, last] = good
    assert fit_calibration([*odd, *good[:9], last], ("missing",)).weights == (0.0,)


def test_each_set_is_judged_by_what_the_others_say():
    cases = made_up(6, groups=4, each=30)
    found = calibration.left_out(cases, ("wild", "idle"))
    assert list(found) == [f"set {group}" for group in range(4)]
    for group, pictures in found.items():
        others = fit_calibration([c for c in cases if c.group != group], ("wild", "idle"))
        own = [c for c in cases if c.group == group]
        assert [(p.low, p.high) for p in pictures] == [whole_interval(others, c.count, c.signs) for c in own]
        assert [p.truth for p in pictures] == [c.truth for c in own]
    with pytest.raises(LikewiseError, match="2 sets; expected three or more"):
        calibration.left_out(made_up(6, groups=2), ("wild",))


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
