"""What colours show to be of another kind is not counted, where they leave no doubt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.color import rgb2lab

from likewise.predict.colour_groups import LIGHTNESS, colours_at, colours_of, of_another_colour
from likewise.predict.counter import Counter

RED, GREY, GROUND = (190, 40, 40), (150, 150, 155), (235, 235, 230)


def discs(colours, *, radius=12, seed=0):
    """A picture of discs in columns and rows, no two of quite one colour, and their middles."""
    rng = np.random.default_rng(seed)
    picture = np.empty((60 * 5, 60 * len(colours) // 5 + 60, 3), np.uint8)
    picture[:] = GROUND
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    middles = [
        (60 * (i // 5) + 30 + rng.uniform(-8, 8), 60 * (i % 5) + 30 + rng.uniform(-8, 8)) for i in range(len(colours))
    ]
    for (u, v), colour in zip(middles, colours, strict=True):
        inside = (x - u) ** 2 + (y - v) ** 2 <= radius**2
        picture[inside] = np.clip(np.array(colour) + rng.normal(0, 4, 3), 0, 255)
    return picture, np.array(middles)


def box_of(middle, radius=12.0):
    x, y = middle
    return (x - radius, y - radius, x + radius, y + radius)


def test_the_colour_of_a_flat_disc_is_its_own():
    picture, middles = discs([RED] * 5 + [GREY] * 5, radius=14)
    found = colours_at(picture, middles, 28.0)
    for (x, y), lab in zip(middles, found, strict=True):
        expected = rgb2lab(picture[int(y), int(x)][None, None])[0, 0] * (LIGHTNESS, 1, 1)
        np.testing.assert_allclose(lab, expected, atol=2.0)
    np.testing.assert_allclose(colours_of(picture, [box_of(m, 14) for m in middles[:3]]), found[:3], atol=2.0)


def test_no_points_have_no_colours():
    assert colours_at(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 2)), 4.0).shape == (0, 3)


@pytest.mark.parametrize("seed", range(5))
def test_one_group_that_varies_is_left_whole(seed):
    """Colours drawn from one normal distribution, whatever its spread, have no gap."""
    rng = np.random.default_rng(seed)
    colours = rng.normal((40, 20, 20), rng.uniform(1, 25), (60, 3)).astype(np.float32)
    assert not of_another_colour(colours, np.ones(60), colours[:3], np.arange(60) < 3).any()


def test_examples_of_both_groups_keep_both():
    colours = np.array([[25, 60, 40.0]] * 5 + [[30, 2, 1.0]] * 5, np.float32)
    assert not of_another_colour(colours, np.ones(10), colours[[0, 9]], np.zeros(10, bool)).any()


def test_few_things_fall_into_no_groups_and_examples_stay():
    colours = np.array([[25, 60, 40.0]] * 5 + [[30, 2, 1.0]] * 5, np.float32)
    assert not of_another_colour(colours[3:6], np.ones(3), colours[:1], np.zeros(3, bool)).any()
    shown = np.arange(10) == 9  # what a person boxed is one of them, whatever its colour
    assert of_another_colour(colours, np.ones(10), colours[:1], shown).tolist() == [False] * 5 + [True] * 4 + [False]


def counters():
    counter = Counter.load("spdcn-lite")
    on = counter.using(replace(counter.inference, colour_groups=True))
    return on, counter.using(replace(counter.inference, colour_groups=False))


def test_grey_discs_are_not_counted_with_the_red_ones():
    picture, middles = discs([RED] * 14 + [GREY] * 11, seed=2)
    boxes = [box_of(m) for m in middles[:3]]
    on, off = counters()
    with_groups, without = on.count(picture, boxes), off.count(picture, boxes)
    assert without.count > 20, "the density alone takes all discs for one kind"
    assert with_groups.count == pytest.approx(14, abs=0.5)
    assert any("11 things of another colour than the examples left out" in said for said in with_groups.warnings)
    assert len(with_groups.points) == 14
    near = np.linalg.norm(with_groups.points[:, None] - middles[None], axis=-1).argmin(1)
    assert set(near.tolist()) == set(range(14))
    assert with_groups.density.sum() == pytest.approx(with_groups.count, abs=1e-3)


def test_nothing_changes_where_all_are_of_one_colour():
    picture, middles = discs([RED] * 20, seed=3)
    boxes = [box_of(m) for m in middles[:3]]
    on, off = counters()
    with_groups, without = on.count(picture, boxes), off.count(picture, boxes)
    assert with_groups.count == without.count
    assert with_groups.warnings == without.warnings
    assert np.array_equal(with_groups.points, without.points)


def test_plain_sums_are_of_all_there_is():
    picture, middles = discs([RED] * 14 + [GREY] * 11, seed=2)
    on, off = counters()
    boxes = [box_of(m) for m in middles[:3]]
    assert on.summed().count(picture, boxes).count == off.summed().count(picture, boxes).count
