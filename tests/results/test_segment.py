"""What segmenting gives, against plain loops over small masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from likewise.errors import LikewiseError
from likewise.ops.run_lengths import decode_rle
from likewise.results import SegmentResult


def result(grid=None, size=(80, 60), **changes):
    if grid is None:
        grid = np.zeros((30, 40), np.float32)
        grid[5:15, 4:24] = 0.9  # 400 of 1200 places, the larger part
        grid[20:26, 30:36] = 0.8
        grid[9:12, 10:14] = 0.1  # a hole
    image = np.full((size[1], size[0], 3), 120, np.uint8)
    given = {"grid": grid, "size": size, "model": "fwb-lite", "seconds": 0.1, "image": image, "source": "a/query.jpg"}
    return SegmentResult(**(given | changes))


def test_mask_and_score_have_the_pictures_size():
    found = result()
    assert found.mask.shape == found.score.shape == (60, 80)
    assert found.mask.dtype == bool
    assert found.score.dtype == np.float32
    assert 0 <= found.score.min() <= found.score.max() <= 1
    assert np.array_equal(found.mask, found.score > 0.5)
    assert found.area == pytest.approx((200 + 36 - 12) / 1200, abs=0.01)


def test_at_the_networks_own_size_the_score_is_the_grid():
    grid = np.random.default_rng(0).random((6, 9), dtype=np.float32)
    assert np.array_equal(result(grid, (9, 6)).score, grid)


def test_boxes_hold_the_connected_parts_the_largest_first():
    boxes = result().boxes
    assert boxes.shape == (2, 4)
    np.testing.assert_allclose(boxes[0], (8, 10, 48, 30), atol=1)
    np.testing.assert_allclose(boxes[1], (60, 40, 72, 52), atol=1)


def test_contours_run_along_the_mask():
    found = result()
    assert len(found.contours) == 3  # two parts and a hole
    for ring in found.contours:
        np.testing.assert_allclose(ring[0], ring[-1])
        at = found.score[np.clip(ring[:, 1].astype(int), 0, 59), np.clip(ring[:, 0].astype(int), 0, 79)]
        assert np.abs(at - 0.5).max() < 0.45
    longest = found.contours[0]
    assert (longest.min(0) >= (7, 9)).all()
    assert (longest.max(0) <= (49, 31)).all()


def test_what_covers_the_whole_picture_is_outlined_by_its_edge():
    found = result(np.ones((30, 40), np.float32))
    assert found.area == 1
    assert found.boxes.tolist() == [[0, 0, 80, 60]]
    (ring,) = found.contours
    assert ring.min() == 0
    assert ring.max(0).tolist() == [80, 60]


def test_where_nothing_is_found_there_is_nothing():
    found = result(np.zeros((30, 40), np.float32))
    assert (found.area, len(found.boxes), found.contours) == (0, 0, [])
    assert found.to_coco()["annotations"] == []
    assert found.plot().width == 900
    assert found.plot().height > 675  # the share stands below the picture


def test_coco_holds_the_mask():
    found = result()
    (note,) = found.to_coco()["annotations"]
    assert np.array_equal(decode_rle(note["segmentation"]), found.mask)
    assert note["area"] == found.mask.sum()
    x, y, width, height = note["bbox"]
    rows, columns = np.nonzero(found.mask)
    assert (x, y, x + width, y + height) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_it_is_saved_as_pictures_and_numbers(tmp_path):
    path = result().save(tmp_path / "out")
    assert path.name == "query_segment.png"
    mask = np.asarray(Image.open(tmp_path / "out/query_mask.png"))
    assert np.array_equal(mask != 0, result().mask)
    record = json.loads((tmp_path / "out/query_segment.json").read_text())
    assert record["image"] == "a/query.jpg"
    assert len(record["boxes"]) == 2
    assert len(record["contours"]) == 3


def test_the_plot_tints_the_mask_and_dims_the_rest():
    plot = np.asarray(result(size=(800, 600)).plot()).astype(int)
    inside, outside = plot[:, :, 1][170, 130], plot[:, :, 1][300, 600]
    assert inside > 125
    assert outside < 115


def test_arrays_of_another_kind_are_refused():
    with pytest.raises(LikewiseError, match="grid must have shape"):
        result(np.zeros((3, 4, 5), np.float32))
    with pytest.raises(LikewiseError, match="grid must have shape"):
        result(np.zeros((3, 4)))
    with pytest.raises(LikewiseError, match="not finite"):
        result(np.full((3, 4), np.nan, np.float32))
