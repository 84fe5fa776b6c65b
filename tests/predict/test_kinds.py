"""Several kinds at once: each place is one of them, whatever they are called and in whatever order they come."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage import data

import likewise as lw
from likewise.errors import LikewiseError
from likewise.lab.suite.kinds import doubled
from likewise.predict.kind_prompts import LONGEST, KindPrompts
from likewise.predict.kinds import CONFUSED, PLACE, Claims, confusions, settle
from likewise.scenes import SceneConfig, make_scene
from likewise.types import Prompt

SMALL, LARGE = [(81, 39, 120, 74), (189, 170, 237, 217)], [(305, 16, 364, 73)]


@pytest.fixture(scope="module")
def counter():
    return lw.load("spdcn-lite")


@pytest.fixture(scope="module")
def coins() -> np.ndarray:
    return data.coins()


@pytest.fixture(scope="module")
def scenes():
    """(picture, boxes by kind, true counts) of scenes with two kinds that were never trained on."""
    config = SceneConfig.two_kind_scenes().with_split("val")
    made = [make_scene(config, index) for index in range(8)]
    return [
        (
            scene.image,
            {name: [scene.objects[i].box for i in scene.exemplars(name)] for name in scene.names},
            {name: len(scene.of_kind(name)) for name in scene.names},
        )
        for scene in made
    ]


def claims(rng: np.random.Generator, count: int, side: float) -> Claims:
    return Claims(rng.uniform(0, 100, (count, 2)), rng.uniform(0.1, 1.2, count), rng.random(count) < 0.1, side)


@pytest.mark.parametrize("seed", range(6))
def test_places_are_settled_as_by_going_through_all_of_them(seed: int):
    rng = np.random.default_rng(seed)
    found = {name: claims(rng, int(rng.integers(0, 40)), float(rng.uniform(5, 30))) for name in ("a", "b", "c")}
    every = [(name, i) for name, each in found.items() for i in range(len(each.places))]
    every.sort(key=lambda one: (not found[one[0]].shown[one[1]], -found[one[0]].scores[one[1]]))
    kept: list[tuple[str, int]] = []
    for name, i in every:
        near = (
            math.dist(found[name].places[i], found[other].places[j]) <= PLACE * min(found[name].side, found[other].side)
            for other, j in kept
            if other != name
        )
        if not any(near):
            kept.append((name, i))
    mine = settle(found)
    for name, each in found.items():
        expected = [i for i in range(len(each.places)) if (name, i) in kept]
        np.testing.assert_array_equal(mine[name].places, each.places[expected])
    turned = settle(dict(reversed(found.items())))
    assert all((turned[name].places == mine[name].places).all() for name in found)


def test_kinds_are_confused_where_their_places_answer_alike():
    places = np.array([[10.0, 10.0], [50.0, 50.0], [90.0, 90.0]])
    none = np.zeros(3, dtype=bool)
    sure = {"a": Claims(places, np.ones(3), none, 20.0), "b": Claims(places + 30, np.ones(3), none, 20.0)}
    assert confusions(sure, settle(sure)) == ()
    torn = {"a": Claims(places, np.ones(3), none, 20.0), "b": Claims(places, np.full(3, 0.9), none, 20.0)}
    [found] = confusions(torn, settle(torn))
    assert (found.kinds, found.share) == (("a", "b"), 1.0)
    assert found.share > CONFUSED
    assert "'a' and 'b' can hardly be told apart: 100%" in str(found)


def test_one_kind_is_the_plain_prompt_to_the_bit(counter, coins):
    plain, named = counter.count(coins, SMALL, negatives=LARGE), counter.count(coins, {"it": SMALL}, negatives=LARGE)
    assert list(named) == ["it"]
    np.testing.assert_array_equal(named["it"].grid, plain.grid)
    np.testing.assert_array_equal(named["it"].points, plain.points)
    assert (named["it"].interval, named["it"].warnings) == (plain.interval, plain.warnings)
    assert named.total == plain.count


def test_names_and_order_do_not_matter(counter, coins):
    asked = {"small": SMALL, "large": LARGE}
    found = counter.count(coins, asked)
    turned = counter.count(coins, {"large": SMALL, "small": LARGE})
    other = counter.count(coins, dict(reversed(asked.items())))
    for name, swapped in (("small", "large"), ("large", "small")):
        np.testing.assert_array_equal(found[name].grid, turned[swapped].grid)
        np.testing.assert_array_equal(found[name].grid, other[name].grid)
    assert list(other) == ["large", "small"]
    assert found["small"].prompt == Prompt(SMALL)


def test_coins_are_shared_out_and_none_is_lost(counter, coins):
    found = counter.count(coins, {"a": SMALL[:1], "b": SMALL[1:], "c": LARGE})
    assert abs(found.total - 24) <= 1
    assert ("a", "b") in [each.kinds for each in found.confusions]
    assert doubled(found) == 0


def test_scenes_of_two_kinds_are_counted_and_no_place_twice(counter, scenes):
    errors = []
    for image, boxes, truth in scenes:
        found = counter.count(image, boxes)
        assert doubled(found) == 0
        for name, each in found.items():
            others = [box for other in boxes if other != name for box in boxes[other]]
            by_itself = max(counter.count(image, boxes[name], negatives=held).count for held in ((), others))
            assert each.count <= by_itself + 1e-4
            errors.append(abs(each.count - truth[name]) / truth[name])
    assert np.mean(errors) <= 0.2


def test_examples_in_another_picture(counter, coins):
    mirror = np.ascontiguousarray(coins[:, ::-1])
    like = {"small": [(coins, box) for box in SMALL], "large": [(coins, box) for box in LARGE]}
    found = counter.count(mirror, like=like)
    assert abs(found.total - 24) <= 1
    references = counter.kind_references(like)
    assert counter.count(mirror, like=references).total == found.total
    assert (
        counter.count(mirror, {"small": []}, like={"large": like["large"], "small": like["small"]}).total == found.total
    )


def test_a_region_and_a_session(counter, coins):
    corners = [(0, 0), (384, 0), (384, 150), (0, 150)]
    found = lw.Session(counter, coins).count({"small": SMALL[:1], "large": LARGE}, region=corners)
    assert found.total == counter.count(coins, {"small": SMALL[:1], "large": LARGE}, region=corners).total
    assert all((each.points[:, 1] <= 150).all() for each in found.values())
    assert 8 <= found.total <= 16


def test_names_that_are_not_there_take_nothing_away():
    counter = lw.load("countx-lite")
    one = counter.count(data.coins(), text="coins")
    found = counter.count(data.coins(), text=["coins", "strawberries"])
    assert found["strawberries"].count < 0.5
    assert abs(found["coins"].count - one.count) <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"exemplars": {}}, "no kinds"),
        ({"exemplars": {"": SMALL}}, "no name of a kind"),
        ({"exemplars": {"a=b": SMALL}}, "without '='"),
        ({"exemplars": {"a\nb": SMALL}}, "expected one line"),
        ({"exemplars": {"x" * (LONGEST + 1): SMALL}}, "at most 80"),
        ({"exemplars": {"red": SMALL, "Red": LARGE}}, "'red' and 'Red' are one name"),
        ({"exemplars": {"a": SMALL, "b": SMALL[:1]}}, "is an example of 'a' and of 'b'"),
        ({"exemplars": {"a": SMALL, "b": [(0, 0, 0, 9)]}}, "b: exemplars"),
        ({"exemplars": {"a": SMALL, "b": [(0, 0, 900, 9)]}}, "b: exemplars"),
        ({"exemplars": {"a": SMALL, "b": []}}, "does not know what to count"),
        ({"exemplars": {"a": SMALL}, "text": "coins"}, "text = 'coins' beside examples by name"),
        ({"exemplars": SMALL, "text": ["coins"]}, "expected no exemplars and no like beside it"),
        ({"exemplars": SMALL, "like": {"a": []}}, "some examples have no name"),
        ({"text": ["coins", "apples"]}, "takes no text"),
        ({"exemplars": KindPrompts.of({"a": SMALL}), "negatives": LARGE}, "say it all"),
    ],
)
def test_questions_that_are_none(counter, coins, words, message):
    with pytest.raises(LikewiseError, match=message):
        counter.count(coins, **words)


def test_giants_are_refused_by_name(counter, coins, monkeypatch, tmp_path):
    from PIL import Image

    monkeypatch.setattr("likewise.predict.prompts.GIANT", 1000)
    Image.fromarray(coins).save(tmp_path / "coins.png")
    with pytest.raises(LikewiseError, match="too large to tell kinds apart; count each kind by itself"):
        counter.count(tmp_path / "coins.png", {"small": SMALL, "large": LARGE})
