"""Regions grown from points against the discs that were drawn there."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.ops.outlining.growing import grow
from likewise.ops.outlining.likeness import binned, learn_tables, log_odds
from likewise.ops.run_lengths import encode_crop, encode_rle
from likewise.predict.outlining import outline_points


def discs(centres, radius, *, size=(160, 120), ground=40, thing=200, noise=6.0, seed=0):
    """A picture of discs, and the number of the disc at each pixel; where two overlap, the nearer centre has it."""
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    apart = np.stack([np.hypot(x - cx, y - cy) for cx, cy in centres])
    truth = np.where(apart.min(0) < radius, apart.argmin(0) + 1, 0)
    grey = np.where(truth > 0, thing, ground) + np.random.default_rng(seed).normal(0, noise, truth.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2), truth


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize(("ground", "thing"), [(40, 200), (200, 40), (120, 150)])
def test_discs_are_outlined_whether_they_are_brighter_or_darker(ground, thing) -> None:
    centres = np.array([(30, 30), (80, 40), (130, 90), (50, 90)], np.float32)
    pixels, truth = discs(centres, 12, ground=ground, thing=thing)
    labels = grow(pixels, centres, (24, 24)).labels
    assert all(overlap(labels == n, truth == n) > 0.9 for n in range(1, 5))


def test_discs_that_touch_are_told_apart() -> None:
    centres = np.array([(50, 60), (70, 60), (60, 77)], np.float32)
    pixels, truth = discs(centres, 11)
    labels = grow(pixels, centres, (22, 22)).labels
    assert all(overlap(labels == n, truth == n) > 0.85 for n in range(1, 4))


def test_large_things_are_outlined_at_the_pictures_own_size() -> None:
    centres = np.array([(200, 200), (500, 260), (330, 420)], np.float32)
    pixels, truth = discs(centres, 90, size=(640, 560))
    labels, likeness = outline_points(pixels, centres, (180, 180))
    assert labels.shape == truth.shape
    assert all(overlap(labels == n, truth == n) > 0.95 for n in range(1, 4))
    assert (likeness > 0.8).all()


def test_the_same_picture_gives_the_same_outlines() -> None:
    centres = np.array([(40, 40), (100, 70)], np.float32)
    pixels, _ = discs(centres, 12)
    np.testing.assert_array_equal(grow(pixels, centres, (24, 24)).labels, grow(pixels, centres, (24, 24)).labels)


def test_a_picture_of_one_colour_gives_regions_of_the_examples_size() -> None:
    labels = grow(np.full((100, 100, 3), 90, np.uint8), np.array([(50, 50)], np.float32), (20, 20)).labels
    assert (labels == 1).sum() == pytest.approx(np.pi * 100, rel=0.25)


def test_no_points_no_outlines() -> None:
    labels, likeness = outline_points(np.zeros((20, 30, 3), np.uint8), np.zeros((0, 2), np.float32), (5, 5))
    assert labels.shape == (20, 30)
    assert not labels.any()
    assert len(likeness) == 0


def test_two_points_in_one_pixel_leave_the_second_without_an_outline() -> None:
    centres = np.array([(40, 40), (40.2, 40.2), (100, 70)], np.float32)
    pixels, _ = discs(centres[[0, 2]], 12)
    labels, likeness = outline_points(pixels, centres, (24, 24))
    assert set(np.unique(labels)) == {0, 1, 3}
    assert likeness[1] == 0


def test_tables_add_up_to_the_log_odds_of_a_mixture() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(2, 1, 20000), rng.normal(-2, 1, 20000)]).astype(np.float32).reshape(1, 1, -1)
    bins = binned(features)
    odds = log_odds(bins, learn_tables(bins, np.arange(20000), np.arange(20000, 40000)))[0]
    middle = np.abs(features[0, 0]) < 1  # of two normal distributions the log odds are 4 x
    assert np.abs(odds[middle] - 4 * features[0, 0][middle]).mean() < 0.5


@pytest.mark.parametrize("corner", [(0, 0), (3, 2), (15, 5)])
def test_run_lengths_of_a_part_are_those_of_the_whole(corner) -> None:
    part = np.random.default_rng(1).random((7, 5)) < 0.6
    whole = np.zeros((12, 20), bool)
    whole[corner[1] : corner[1] + 7, corner[0] : corner[0] + 5] = part
    assert encode_crop(part, corner, whole.shape) == encode_rle(whole, compressed=True)
