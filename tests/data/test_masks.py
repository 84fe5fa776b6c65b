from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco
from skimage.measure import points_in_poly

from likewise.data.masks import box_mask, discs_mask, mark_thing, polygons_mask, segmentation_mask
from likewise.errors import LikewiseError
from likewise.ops.run_lengths import encode_rle

CENTRES = np.stack(np.meshgrid(np.arange(30) + 0.5, np.arange(20) + 0.5), -1)


def test_a_box_holds_the_pixels_whose_centre_it_holds():
    found = box_mask((2.4, 3.6, 9.5, 12.0), 20, 30)
    x, y = CENTRES[..., 0], CENTRES[..., 1]
    assert np.array_equal(found, (x >= 2.4) & (x < 9.5) & (y >= 3.6) & (y < 12.0))


def test_discs_hold_what_is_near_enough_and_at_least_their_own_pixel():
    found = discs_mask([(5.2, 6.7), (29.9, 0.1)], 3.0, 20, 30)
    near = [np.hypot(CENTRES[..., 0] - x, CENTRES[..., 1] - y) <= 3 for x, y in ((5.2, 6.7), (29.9, 0.1))]
    assert np.array_equal(found, near[0] | near[1])
    assert np.argwhere(discs_mask([(30.0, 20.0)], 0.1, 20, 30)).tolist() == [[19, 29]]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_polygons_are_filled_as_coco_fills_them_but_for_their_outline():
    corners = [3.2, 2.1, 25.7, 4.0, 20.3, 17.5, 8.8, 14.2]
    found = polygons_mask([corners, [1, 15, 6, 15, 6, 19, 1, 19]], 20, 30)
    inside = points_in_poly(CENTRES.reshape(-1, 2), np.reshape(corners, (-1, 2))).reshape(20, 30)
    theirs = coco.decode(coco.merge(coco.frPyObjects([corners, [1, 15, 6, 15, 6, 19, 1, 19]], 20, 30))).astype(bool)
    assert found[inside].all()
    assert found[:14].sum() == inside[:14].sum()
    assert (found & theirs).sum() / (found | theirs).sum() > 0.9
    assert np.array_equal(segmentation_mask([corners], 20, 30), polygons_mask([corners], 20, 30))


def test_run_lengths_may_stand_for_polygons():
    mask = box_mask((4, 4, 9, 9), 20, 30)
    assert np.array_equal(segmentation_mask(encode_rle(mask), 20, 30), mask)


def test_a_polygon_that_is_not_in_a_list_is_the_only_one():
    corners = [5, 5, 35, 5, 35, 35]
    assert np.array_equal(segmentation_mask(corners, 40, 60), segmentation_mask([corners], 40, 60))
    assert not segmentation_mask([], 40, 60).any()


@pytest.mark.parametrize(
    "segmentation",
    [
        *([[]], [[5, 5, 35]], [[5, 5, 35, 5, 35]], [[5, 5, 35, 5]], [[5, 5, 35, 5, 35, float("nan")]], [["a"] * 6]),
        *([[[5, 5], [35, 5], [35, 35]]], [5, 5], [[5, 5, 35, 5, 35, 35], 4], "5 5 35 5 35 35", 5, None),
        *({"size": [2, 2]}, {"counts": [4]}, {"size": [2, 2], "counts": [3]}, {"size": 2, "counts": None}),
    ],
)
def test_what_is_no_polygon_is_named(segmentation):
    with pytest.raises(LikewiseError, match=r"^annotation 7"):
        segmentation_mask(segmentation, 40, 60, "annotation 7")


def test_a_mask_of_another_picture_is_refused_before_it_is_made():
    """Read first, this one would take a terabyte."""
    with pytest.raises(LikewiseError, match="segmentation: a mask of 1048576 x 1048576 pixels: expected 30 x 20"):
        segmentation_mask({"size": [1 << 20, 1 << 20], "counts": [1 << 40]}, 20, 30)


def test_a_thing_is_marked_by_its_mask_a_box_or_the_click_deepest_in_it():
    mask = np.zeros((30, 40), bool)
    mask[5:12, 20:39] = True  # 7 high: no pixel is deeper in than in the fourth row
    mask[12:28, 20:23] = True
    assert mark_thing(mask, "mask") is mask
    assert mark_thing(mask, "box") == (20.0, 5.0, 39.0, 28.0)
    ((x, y),) = mark_thing(mask, "click")
    outside = np.argwhere(~np.pad(mask, 1)) - 1 + 0.5
    nearest = {(c, r): np.hypot(*(outside - (r + 0.5, c + 0.5)).T).min() for r, c in np.argwhere(mask)}
    assert nearest[int(x), int(y)] == max(nearest.values())
    assert (x % 1, y % 1) == (0.5, 0.5)


def test_what_fills_the_picture_is_clicked_in_its_middle_and_what_is_nowhere_stays_nothing():
    assert mark_thing(np.ones((9, 9), bool), "click") == [(4.5, 4.5)]
    assert not mark_thing(np.zeros((3, 3), bool), "box").any()
