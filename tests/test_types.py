"""Prompts: what is accepted, what is refused and with which words, and what survives a trip."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.preprocess.rules import Preprocess
from likewise.types import WIDEST_FACTOR, Calibration, CountBatch, Prompt, PromptBatch
from likewise.weights import config_from

BOX = (10.0, 20.0, 30.0, 50.0)


@pytest.mark.parametrize(
    "boxes",
    [[BOX], (list(BOX),), np.array([BOX]), torch.tensor([BOX]), [tuple(np.float32(v) for v in BOX)]],
    ids=["tuples", "lists", "numpy", "torch", "scalars"],
)
def test_boxes_of_any_make_become_plain_floats(boxes: Any) -> None:
    prompt = Prompt(boxes)
    assert prompt.exemplars == (BOX,)
    assert all(type(v) is float for v in prompt.exemplars[0])


@pytest.mark.parametrize("wrong", [5, 0.5, True, "box", {1: 2}, [3], [[1, 2]], ["abcd"]])
def test_what_is_no_list_of_boxes_is_refused_by_name(wrong: object):
    for name in ("exemplars", "negatives", "region"):
        with pytest.raises(LikewiseError, match=name):
            Prompt(**{name: wrong})


def test_four_boxes_in_an_array_are_four_boxes() -> None:
    assert len(Prompt(np.array([BOX] * 4)).exemplars) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exemplars": BOX}, r"exemplars must be a list of boxes; .* exemplars=\[\(10.0, 20.0, 30.0, 50.0\)\]"),
        ({"exemplars": [BOX, (30, 20, 10, 50)]}, r"exemplars\[1\] .* swapped corners.* mean \(10, 20, 30, 50\)\?"),
        ({"negatives": [(30, 20, 30, 50)]}, r"negatives\[0\] .* zero area"),
        ({"exemplars": [(1, 2, 3)]}, "four finite numbers"),
        ({"exemplars": [(1, 2, 3, float("nan"))]}, "four finite numbers"),
        ({"exemplars": [(1, 2, 3, "4")]}, "four finite numbers"),
        ({"exemplars": [(1, 2, 3, None)]}, "four finite numbers"),
        ({"text": "  "}, "text is blank"),
        ({"text": "coins\napples"}, "not one line"),
        ({"text": "coins\x00"}, "not one line"),
        ({"text": "\udcfc"}, "not one line"),
        ({"text": ["coins", "apples"]}, "expected the name of one thing"),
        ({"text": 3}, "expected the name of one thing"),
        ({"region": [(0, 0), (1, 1)]}, "at least three"),
        ({"region": [(0, 0), (1, 1), (2, float("inf"))]}, "at least three"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(LikewiseError, match=message):
        Prompt(**arguments)


def test_an_error_of_the_caller_is_a_value_error() -> None:
    assert issubclass(LikewiseError, ValueError)


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ((0, 0, 100, 80), (0, 0, 100, 80)),
        ((-0.5, -1, 50, 50), (0, 0, 50, 50)),
        ((50, 50, 101, 80.9), (50, 50, 100, 80)),
    ],
)
def test_corners_out_by_rounding_are_cut(box: Any, cut: Any) -> None:
    assert Prompt((box,)).inside(100, 80).exemplars == (cut,)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((50, 50, 102, 80), r"reaches outside the picture, which is 100 x 80 .* inside is \(50, 50, 100, 80\)"),
        ((-3, 0, 50, 50), r"inside is \(0, 0, 50, 50\)"),
        ((120, 0, 150, 50), "lies outside the picture, which is 100 x 80"),
        ((100, 0, 100.5, 50), "lies outside"),
    ],
)
def test_boxes_outside_the_picture_are_refused(box: Any, message: str) -> None:
    for kind in ("exemplars", "negatives"):
        with pytest.raises(LikewiseError, match=rf"{kind}\[0\] .*{message}"):
            Prompt(**{kind: [box]}).inside(100, 80)


coordinate = st.floats(-1e4, 1e4, allow_nan=False, width=32)


@given(coordinate, coordinate, coordinate, coordinate)
def test_a_box_is_accepted_exactly_when_its_corners_are_ordered(x0: float, y0: float, x1: float, y1: float) -> None:
    if x0 < x1 and y0 < y1:
        assert Prompt([(x0, y0, x1, y1)]).exemplars == ((x0, y0, x1, y1),)
    else:
        with pytest.raises(LikewiseError):
            Prompt([(x0, y0, x1, y1)])


def test_the_dictionary_is_json_without_what_is_unset() -> None:
    assert Prompt().to_dict() == {}
    full = Prompt([BOX], [BOX], "coins", [(0, 0), (1, 0), (0, 1)])
    assert json.loads(json.dumps(full.to_dict())) == {
        "exemplars": [list(BOX)],
        "negatives": [list(BOX)],
        "text": "coins",
        "region": [[0, 0], [1, 0], [0, 1]],
    }


def test_prompts_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Prompt().text = "coins"  # type: ignore[misc]


def test_batches_move_with_all_their_tensors() -> None:
    boxes = (torch.tensor([BOX]), torch.zeros(0, 4))
    batch = CountBatch(
        torch.zeros(2, 3, 4, 4), PromptBatch(boxes, boxes, ("a", "b")), boxes, boxes, names=("first", "second")
    ).to("meta")
    tensors = [batch.image, *batch.points, *batch.sizes, *batch.prompt.exemplars, *batch.prompt.negatives]
    assert {t.device.type for t in tensors} == {"meta"}
    assert batch.prompt.text == ("a", "b")
    assert batch.names == ("first", "second")
    assert PromptBatch(boxes).to("cpu").negatives is None


def test_boxes_are_tightened_round_their_centres_but_never_to_less_than_three_fifths():
    prompt = Prompt([(10, 20, 40, 30)], [(0, 0, 5, 4)]).tightened(3)
    assert prompt.exemplars == ((11.5, 21.5, 38.5, 28.5),)
    np.testing.assert_allclose(prompt.negatives, ((1.0, 0.8, 4.0, 3.2),))
    assert Prompt([BOX]).tightened(0) == Prompt([BOX])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["base", "below", "above", "doubt", "weights"])
def test_trust_takes_finite_numbers_only(name, value):
    numbers = {"signs": ("few",), "weights": (1.0,), "base": -2.0, "below": 1.0, "above": 2.0, "doubt": 0.1}
    with pytest.raises(LikewiseError, match=f"trust: {name} = .*expected finite numbers"):
        Calibration(**{**numbers, name: (value,) if name == "weights" else value})


@pytest.mark.parametrize("name", ["below", "above", "doubt", "weights"])
def test_trust_takes_no_negative_numbers_but_the_base(name):
    numbers = {"signs": ("few",), "weights": (1.0,), "base": -2.0, "below": 1.0, "above": 2.0, "doubt": 0.1}
    with pytest.raises(LikewiseError, match=f"trust: {name} = "):
        Calibration(**{**numbers, name: (-1.0,) if name == "weights" else -1.0})


def test_an_interval_is_finite_however_odd_the_signs():
    trust = Calibration(("few",), (10.0,), -2.0, 5.0, 5.0, 0.1)
    assert trust.interval(3.0, {"few": 1e6}) is None  # nothing is known, rather than up to anything
    assert math.isfinite(trust.spread({"few": 1e6}))
    low, high = trust.interval(3.0, {"few": 0.045})  # 5 spreads of 0.21
    assert low == pytest.approx(3.5 / math.exp(5 * math.exp(-1.55)) - 0.5)
    assert 9 < high < 10
    usual = Calibration(("few",), (1.0,), -2.0, 1.0, 2.0, 0.1)
    spread = math.exp(-2.0 + 0.5)
    assert usual.interval(3.0, {"few": 0.5}) == pytest.approx(
        (3.5 * math.exp(-spread) - 0.5, 3.5 * math.exp(2 * spread) - 0.5)
    )


REAL = st.floats(allow_nan=True, allow_infinity=True)


@given(REAL, REAL, REAL, REAL, REAL, st.floats(0, 1e9))
def test_an_interval_is_two_thinkable_numbers_or_not_known(
    weight: float, base: float, below: float, above: float, sign: float, count: float
) -> None:
    try:
        trust = Calibration(("odd",), (weight,), base, below, above, 1.0)
    except LikewiseError:
        assert not np.isfinite((weight, base, below, above)).all() or min(weight, below, above) < 0
        return
    assert trust.spread({"odd": sign}) <= 1e3
    interval = trust.interval(count, {"odd": sign})
    if interval is not None:
        low, high = interval
        assert 0 <= low < float("inf")
        assert 1 <= high <= max(WIDEST_FACTOR * (count + 0.5) - 0.49, 1)
        assert low >= (count + 0.5) / WIDEST_FACTOR - 0.51


def test_an_interval_is_as_wide_as_was_learnt() -> None:
    trust = Calibration(("odd",), (2.0,), -1.0, 0.5, 1.5, 1.0)
    spread = float(np.exp(-1 + 2 * 0.25))
    low, high = (20.5 * np.exp(by * spread) - 0.5 for by in (-0.5, 1.5))
    assert trust.interval(20, {"odd": 0.25}) == pytest.approx((low, high))
    assert trust.interval(20, {"odd": 0.34}) == pytest.approx(
        (20.5 * np.exp(-0.5 * np.exp(-0.32)) - 0.5, 20.5 * np.exp(1.5 * np.exp(-0.32)) - 0.5)
    )
    assert trust.interval(20, {"odd": 0.36}) is None  # over three times as many
    assert trust.interval(20, {"odd": 1000.0}) is None
    assert trust.interval(float("nan"), {}) is None


def test_an_additive_spread_grows_evenly_with_its_signs() -> None:
    trust = Calibration(("odd", "few"), (2.0, 0.5), 0.1, 0.5, 1.5, 1.0, additive=True)
    assert trust.spread({}) == 0.1
    assert trust.spread({"odd": 0.1, "few": 0.2, "other": 9.0}) == pytest.approx(0.4)
    assert trust.interval(20, {"odd": 0.1, "few": 0.2}) == pytest.approx(
        (20.5 * np.exp(-0.2) - 0.5, 20.5 * np.exp(0.6) - 0.5)
    )
    assert trust.spread({"odd": 1e9}) == 1e3
    assert trust.interval(20, {"odd": float("nan")}) is None
    with pytest.raises(LikewiseError, match=r"trust: base = -0\.1"):
        Calibration(("odd",), (2.0,), -0.1, 0.5, 1.5, 1.0, additive=True)


@pytest.mark.parametrize("count", [0.0, 0.2, 0.49])
def test_one_thing_may_always_have_been_missed(count: float) -> None:
    sure = Calibration((), (), 0.0, 0.0, 0.0, 1.0, additive=True)
    assert sure.interval(count, {}) == pytest.approx((count, 1.0))
    assert sure.interval(5.0, {}) == pytest.approx((5.0, 5.0))


def test_an_end_too_far_below_is_of_no_more_use_than_one_above() -> None:
    for below, above in ((1.2, 0.1), (0.1, 1.2)):
        assert Calibration((), (), 1.0, below, above, 1.0, additive=True).interval(24, {}) is None
    widest = Calibration((), (), 1.0, math.log(3), math.log(3), 1.0, additive=True).interval(24, {})
    assert widest == pytest.approx((24.5 / 3 - 0.5, 73.0))


def test_a_record_of_an_older_file_means_what_it_meant() -> None:
    """A file that was written before spreads added up: no word of it, and the same interval as then."""
    inference = {"preprocess": asdict(Preprocess()), "calibration": {
        "signs": ["unlike", "blunt"], "weights": [0.6759, 0.5211], "base": -1.2424,
        "below": 1.2475, "above": 0.9941, "doubt": 0.4657,
    }}  # fmt: skip
    trust = config_from(InferenceConfig, inference).calibration
    assert trust is not None
    assert not trust.additive
    spread = math.exp(-1.2424 + 0.6759 * 0.2 + 0.5211 * 0.1)
    expected = (24.5 * math.exp(-1.2475 * spread) - 0.5, 24.5 * math.exp(0.9941 * spread) - 0.5)
    assert trust.interval(24.0, {"unlike": 0.2, "blunt": 0.1}) == pytest.approx(expected)
