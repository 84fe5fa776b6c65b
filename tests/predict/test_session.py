"""A picture that is asked about again: the same answers as from a fresh start, with less work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from likewise.errors import LikewiseError
from likewise.predict import Counter, Session
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.scaled_view import network_scale

BOXES = [(81, 39, 120, 74), (2, 60, 40, 98), (130, 20, 172, 60)]


@pytest.fixture(scope="module", params=[0, 4], ids=["exact", "stepped"])
def counter(request: pytest.FixtureRequest) -> Counter:
    bundled = Counter.load("spdcn-lite", device="cpu")
    return Counter(bundled.model, bundled.name, device="cpu", scale_steps=request.param)


@pytest.fixture(scope="module")
def coins() -> np.ndarray:
    return np.repeat(data.coins()[:130, :180, None], 3, axis=2)


def same(one: Any, other: Any) -> bool:
    arrays = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ("grid", "points", "scores", "image"))
    return arrays and one.prompt == other.prompt and one.size == other.size


def test_every_prompt_gets_the_answer_of_a_fresh_start_in_any_order(counter: Counter, coins: np.ndarray) -> None:
    session = Session(counter, coins)
    prompts: list[dict[str, Any]] = [
        {"exemplars": BOXES[:1]},
        {"exemplars": BOXES},
        {"exemplars": BOXES[1:], "region": [(0, 0), (100, 0), (100, 130), (0, 130)]},
        {"like": [(coins, BOXES[0])]},
    ]
    for prompt in [*prompts, *reversed(prompts)]:
        assert same(session.count(**prompt), counter.count(coins, **prompt))


def test_a_tiled_picture_gets_the_answer_of_a_fresh_start(
    counter: Counter, coins: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = counter.using(replace(counter.inference, preprocess=replace(counter.preprocess, tile=96)))
    monkeypatch.setattr("likewise.predict.densities.CONTEXT", 64)
    session = Session(counter, coins)
    for exemplars in (BOXES, BOXES[:1], BOXES):
        assert same(session.count(exemplars), counter.count(coins, exemplars))
    assert len(session.image._prepared) > 4


def test_boxes_of_one_scale_step_share_what_was_prepared(
    counter: Counter, coins: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []
    begin = counter.model.prepare
    monkeypatch.setattr(counter.model, "prepare", lambda tile: prepared.append(tile.shape) or begin(tile))
    session = Session(counter, coins)
    for grown in (0, 1, 2, 0):
        session.count([(81, 39, 120 + grown, 74)])
    assert len(prepared) == (1 if counter.scale_steps else 3)


def test_what_is_kept_has_a_bound(counter: Counter, coins: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.predict.session.KEPT_BYTES", 1)
    session = Session(counter, coins)
    for side in (20, 40, 80):
        session.count([(81, 39, 81 + side, 39 + side)])
    assert len(session.image._prepared) == 1


def test_a_head_start_may_stand_for_the_picture_everywhere() -> None:
    model = Counter.load("spdcn-lite", device="cpu").model
    image, boxes = torch.rand(1, 3, 70, 90), torch.tensor([[5.0, 5.0, 40.0, 44.0]])
    prompt = type("P", (), {"exemplars": (boxes,), "negatives": None, "text": None})()
    with torch.inference_mode():
        stem = model.prepare(image)
        assert torch.equal(model(image, prompt), model(stem, prompt))
        (described,), (again,) = model.encode_exemplars(image, prompt), model.encode_exemplars(stem, prompt)
        assert torch.equal(described.vectors, again.vectors)
        assert torch.equal(model.count_like(image, [described]), model.count_like(stem, [described]))


def test_what_does_not_fit_the_picture_is_refused_as_ever(counter: Counter, coins: np.ndarray) -> None:
    session = Session(counter, coins)
    with pytest.raises(LikewiseError, match="outside the picture"):
        session.count([(170, 10, 200, 40)])
    with pytest.raises(LikewiseError, match="does not know what to count"):
        session.count()


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_stepped_scales_are_powers_near_what_was_asked_for(steps: int) -> None:
    preprocess = Preprocess(object_size=36.0)
    for side in np.geomspace(12, 400, 50):
        exact = network_scale(preprocess, side, 500, 400)
        stepped = network_scale(preprocess, side, 500, 400, steps)
        assert abs(np.log2(stepped / exact)) <= 0.5 / steps + 1e-9
        assert steps * np.log2(stepped) == pytest.approx(round(steps * np.log2(stepped)), abs=1e-9)
    assert network_scale(Preprocess(), 20.0, 500, 400, steps) == 1.0
