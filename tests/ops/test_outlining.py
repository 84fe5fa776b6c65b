"""Regions grown from points against the discs that were drawn there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from likewise.ops.outlining.growing import grow
from likewise.ops.outlining.likeness import binned, learn_tables, log_odds
from likewise.ops.outlining.parting import FARTHEST, marked, nearest_marker, parted
from likewise.ops.outlining.tidying import tidied
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


def test_soft_edges_move_towards_the_boxes_drawn_round_the_examples() -> None:
    centres = np.array([(30, 30), (80, 40), (130, 90), (50, 90)], np.float32)
    y, x = np.mgrid[:120, :160] + 0.5
    nearest = np.min([np.hypot(x - cx, y - cy) for cx, cy in centres], 0)
    grey = 40 + 160 / (1 + np.exp((nearest - 12) / 1.5)) + np.random.default_rng(0).normal(0, 3, x.shape)
    pixels = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)
    areas = []
    for half in (10.5, 12, 13.5):
        boxes = np.concatenate([centres[:2] - half, centres[:2] + half], 1)
        areas.append(np.median(np.bincount(grow(pixels, centres, (24, 24), boxes).labels.ravel())[1:]))
    assert areas[1] == pytest.approx(np.pi * 12**2, rel=0.12)
    assert areas[0] < areas[1]
    assert areas[2] >= areas[1]


def test_the_nearest_marker_is_as_far_as_a_distance_transform_says() -> None:
    markers = np.zeros((60, 80), np.int32)
    markers[[5, 30, 31, 59], [2, 40, 44, 79]] = np.arange(1, 5)
    truth = ndimage.distance_transform_edt(markers == 0, sampling=(2 / 18, 2 / 24))
    np.testing.assert_allclose(nearest_marker(markers, (24, 18)), np.minimum(truth, FARTHEST), atol=1e-5)


def test_a_mask_parts_as_a_watershed_of_all_of_it_would() -> None:
    centres = np.array([(30, 40), (49, 40), (100, 60), (100, 20)], np.float32)
    _, truth = discs(centres[:3], 11)
    mask = truth > 0
    markers = marked(centres[:3], mask.shape)
    distance = nearest_marker(markers, (22, 22))
    parts = parted(mask, markers, distance, 22.0)
    assert ((parts > 0) == mask).all()
    assert all(overlap(parts == n, truth == n) > 0.9 for n in range(1, 4))


def test_tidied_regions_are_those_of_each_region_by_itself() -> None:
    rng = np.random.default_rng(3)
    labels = np.kron(rng.integers(0, 4, (5, 6)), np.ones((9, 9), np.int64)).astype(np.int32)
    labels[rng.random(labels.shape) < 0.02] = 0
    labels = np.pad(labels, 2)
    expected = np.zeros_like(labels)
    for number in (1, 2, 3):
        pieces, _ = ndimage.label(ndimage.binary_opening(labels == number))
        expected[pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()] = number
    for number in (1, 2, 3):
        expected[ndimage.binary_fill_holes(expected == number) & (expected == 0)] = number
    np.testing.assert_array_equal(tidied(labels), expected)
