"""Lines about boxes against torchvision's, as arrays and as tensors, and by hand where it has none."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import ops

from likewise.boxes import (
    box_areas,
    box_centres,
    box_sides,
    box_sizes,
    centred_boxes,
    clip_boxes,
    mask_box,
    mean_exemplar_sizes,
    mean_side,
    mean_width_height,
    scale_boxes,
    shared_areas,
    xywh_to_xyxy,
    xyxy_to_xywh,
)


def boxes(seed: int = 0, number: int = 12) -> torch.Tensor:
    """Boxes (N, 4) in and around a picture of 100 x 80."""
    corners = torch.rand(number, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 140 - 20
    return torch.cat((corners.amin(1), corners.amax(1)), dim=1)


def test_areas_are_torchvisions_and_sizes_their_roots():
    some = boxes()
    torch.testing.assert_close(box_areas(some), ops.box_area(some))
    torch.testing.assert_close(box_sizes(some), ops.box_area(some).sqrt())


def test_sides_centres_and_boxes_round_them_are_torchvisions():
    some = boxes(1)
    middle_and_sides = ops.box_convert(some, "xyxy", "cxcywh")
    torch.testing.assert_close(torch.cat((box_centres(some), box_sides(some)), dim=1), middle_and_sides)
    torch.testing.assert_close(centred_boxes(box_centres(some), box_sides(some)), some)


def test_clipping_is_torchvisions():
    some = boxes(2)
    clipped = clip_boxes(some, (100, 80))
    torch.testing.assert_close(clipped, ops.clip_boxes_to_image(some, (80, 100)))
    assert not torch.equal(clipped, some)


def test_shared_areas_give_torchvisions_overlap():
    one, other = boxes(3), boxes(4)
    shared = shared_areas(one.numpy()[:, None], other.numpy()[None])
    union = box_areas(one).numpy()[:, None] + box_areas(other).numpy()[None] - shared
    np.testing.assert_allclose(shared / union, ops.box_iou(one, other).numpy(), rtol=1e-12)
    assert (shared == 0).any()
    assert (shared > 0).any()


def test_mask_boxes_are_torchvisions_with_the_far_corner_past_the_last_pixel():
    mask = np.random.default_rng(0).random((30, 40)) < 0.003
    (x0, y0, x1, y1) = ops.masks_to_boxes(torch.from_numpy(mask)[None])[0].int().tolist()
    found = mask_box(mask)
    assert found == (x0, y0, x1 + 1, y1 + 1)
    assert all(type(v) is int for v in found)
    assert mask_box(np.zeros((3, 4), bool)) is None


def test_arrays_and_tensors_give_the_same():
    some = boxes(5)
    factors = torch.tensor([0.5, 3.0], dtype=torch.float64)
    pairs = [(f(some), f(some.numpy())) for f in (box_sides, box_areas, box_sizes, box_centres)]
    pairs.append((clip_boxes(some, (100, 80)), clip_boxes(some.numpy(), (100, 80))))
    pairs.append((scale_boxes(some, factors), scale_boxes(some.numpy(), factors.numpy())))
    centres, sides = box_centres(some), box_sizes(some)[:, None]
    pairs.append((centred_boxes(centres, sides), centred_boxes(centres.numpy(), sides.numpy())))
    for tensor, array in pairs:
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("function", [box_sides, box_areas, box_sizes, box_centres])
def test_any_leading_axes_and_single_boxes_will_do(function):
    some = boxes(6)
    assert torch.equal(function(some.view(3, 4, 4)).flatten(0, 1), function(some))
    assert torch.equal(function(some[0]), function(some)[0])


def test_what_is_not_known_stays_so():
    unknown = torch.full((1, 4), math.nan)
    for values in (box_sides(unknown), box_sizes(unknown), box_centres(unknown), clip_boxes(unknown, (5, 5))):
        assert values.isnan().all()
    assert np.isnan(shared_areas(np.full(4, np.nan), np.array([0.0, 0, 1, 1])))


def test_scaled_boxes_are_those_of_the_scaled_picture():
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    larger = np.repeat(np.repeat(mask, 3, 0), 2, 1)
    scaled = scale_boxes(np.array(mask_box(mask)), np.array([2, 3]))
    assert tuple(scaled.tolist()) == mask_box(larger)


number = st.integers(-50, 50)
side = st.integers(1, 60)


@given(number, number, side, side)
def test_width_and_height_and_back(x: int, y: int, width: int, height: int):
    corners = (x, y, x + width, y + height)
    assert xyxy_to_xywh(corners) == (x, y, width, height)
    assert xywh_to_xyxy(xyxy_to_xywh(corners)) == corners
    expected = ops.box_convert(torch.tensor([corners]), "xyxy", "xywh")[0].tolist()
    assert list(xyxy_to_xywh(corners)) == expected
    assert all(type(v) is int for v in xyxy_to_xywh(corners))


def test_means_of_a_prompts_boxes():
    given = [(0.0, 0.0, 4.0, 9.0), (10.0, 10.0, 20.0, 50.0)]
    assert mean_width_height(given) == (7, 24.5)
    assert mean_side(given) == pytest.approx((6 + 20) / 2)
    sizes = mean_exemplar_sizes([torch.tensor(given), torch.tensor(given[:1])])
    assert sizes.tolist() == [[24.5, 7.0], [9.0, 4.0]]


def test_who_only_writes_boxes_down_does_not_wait_for_torch():
    code = "import sys, likewise.boxes, likewise.results.coco; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # our own line
