"""The bundled counter on pictures: what a user gets from ``load("spdcn-lite")``."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data, transform

from likewise.data.counting.folder import CountingFolder
from likewise.engine.count_eval import evaluate
from likewise.errors import LikewiseError
from likewise.lab.suite.photographs import GROCERIES, Photographs
from likewise.predict import load
from likewise.scenes import SceneConfig, make_scene

COINS = [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]


@pytest.fixture(scope="module")
def counter():
    return load("spdcn-lite")


@pytest.fixture(scope="module")
def two_kinds():
    """Scenes of two unlike kinds, none of which was trained on."""
    config = SceneConfig.two_kind_scenes().with_split("val")
    return [make_scene(config, index) for index in range(10)]


def test_twenty_four_coins_are_counted_within_a_twentieth_and_pointed_at(counter):
    result = counter.count(data.coins(), exemplars=COINS)
    assert result.count == pytest.approx(24, rel=0.05)
    assert len(result.points) == round(result.count)
    assert result.density.shape == (303, 384)
    assert result.density.sum() == pytest.approx(result.count, rel=1e-4)


def test_the_interval_of_clear_coins_is_narrow_and_holds_them(counter):
    result = counter.count(data.coins(), exemplars=COINS)
    low, high = result.interval
    assert low <= 24 <= high
    assert high - low <= 10
    assert not result.untrusted


@pytest.mark.parametrize("number", [1, 2, 3, 5, 20])
def test_any_number_of_exemplars_counts_the_coins(counter, number):
    drawn = [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73), (17, 38, 60, 79), (242, 34, 289, 78)]
    boxes = [drawn[i % len(drawn)] for i in range(number)]
    result = counter.count(data.coins(), exemplars=boxes)
    assert result.count == pytest.approx(24, rel=0.2)
    assert counter.count(data.coins(), exemplars=boxes[::-1]).count == result.count


@pytest.mark.parametrize("size", [(97, 131), (131, 97), (600, 150), (150, 600), (3000, 4000)])
def test_the_coins_are_counted_at_any_size_and_shape(counter, size):
    coins = data.coins()
    if size == (3000, 4000) or max(size) == 131:
        picture = transform.resize(coins, size, preserve_range=True, anti_aliasing=True).astype(np.uint8)
        sx, sy = size[1] / 384, size[0] / 303
        result = counter.count(picture, exemplars=[(x0 * sx, y0 * sy, x1 * sx, y1 * sy) for x0, y0, x1, y1 in COINS])
        assert result.count == pytest.approx(24, rel=0.25)
    else:
        picture = np.full(size, 40, np.uint8)
        coin = coins[170:217, 189:237]
        for i in range(4):  # four coins in a row or a column
            y, x = (20 + 130 * i, 40) if size[0] > size[1] else (40, 20 + 130 * i)
            picture[y : y + 47, x : x + 48] = coin
        y, x = (20, 40) if size[0] > size[1] else (40, 20)
        result = counter.count(picture, exemplars=[(x, y, x + 48, y + 47)])
        assert result.count == pytest.approx(4, abs=1)
    assert result.density.shape == size


def test_the_count_follows_the_prompt_in_scenes_of_two_kinds(counter, two_kinds):
    errors = []
    for scene in two_kinds:
        for kind in {thing.kind for thing in scene.objects}:
            truth = sum(thing.kind == kind for thing in scene.objects)
            boxes = [scene.objects[i].box for i in scene.exemplars(kind)]
            result = counter.count(scene.image, exemplars=boxes)
            errors.append(abs(result.count - truth) / truth)
    assert len(errors) == 2 * len(two_kinds)
    assert np.mean(errors) <= 0.25


def test_crates_of_fruit_are_counted_within_a_fifth(counter, data_dir):
    crates = Photographs(GROCERIES, data_dir / "grocery")
    report = evaluate(counter, crates, None, exemplars=3)
    assert len(report.per_image) == len(crates) == 9
    assert report.summary()["nae"] <= 0.2


def test_a_single_cell_of_two_lobes_is_one(counter, data_dir):
    """The user's own box says what one thing is."""
    cells = CountingFolder(data_dir / "blood", "val", "white blood cells")
    lobed = next(cells[i] for i, target in enumerate(cells.targets) if "00350" in target.file_name)
    box = [(x0, y0, x1, y1) for x0, y0, x1, y1 in lobed.exemplars.tolist()]
    assert counter.count(lobed.image, box).count == pytest.approx(1, abs=1e-3)


def test_a_region_splits_the_count_exactly(counter):
    whole = counter.count(data.coins(), exemplars=COINS)
    left = counter.count(data.coins(), exemplars=COINS, region=[(0, 0), (192, 0), (192, 303), (0, 303)])
    right = counter.count(data.coins(), exemplars=COINS, region=[(192, 0), (384, 0), (384, 303), (192, 303)])
    assert left.count + right.count == pytest.approx(whole.count, rel=1e-4)
    assert left.points[:, 0].max() <= 192 <= right.points[:, 0].min()


def test_an_example_in_another_picture_counts_like_one_in_the_same(counter):
    coins = data.coins()
    same = counter.count(coins, exemplars=COINS)
    elsewhere = counter.count(coins, like=[(coins, box) for box in COINS])
    assert elsewhere.count == pytest.approx(same.count, rel=1e-3)


def test_words_are_refused_not_ignored(counter):
    with pytest.raises(LikewiseError, match="takes no text"):
        counter.count(data.coins(), text="coins")
