"""Masks of things in pictures: polygons, boxes and clicks as arrays.

Convention
----------
Masks are (H, W), row by row. Boxes are xyxy and points x y in float pixels, the centre of the top left pixel at
(0.5, 0.5): a pixel belongs to a box or a disc where its centre does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from likewise.ops.run_lengths import decode_rle

Mask = NDArray[np.bool_]


def polygons_mask(polygons: Sequence[Sequence[float]], height: int, width: int) -> Mask:
    """Polygons [x0, y0, x1, y1, ...], each filled, as one mask."""
    mask = np.zeros((height, width), bool)
    for corners in polygons:
        columns, rows = np.asarray(corners, np.float64).reshape(-1, 2).T - 0.5
        mask[polygon(rows, columns, mask.shape)] = True
    return mask


def segmentation_mask(segmentation: Any, height: int, width: int) -> Mask:
    """A COCO annotation's ``segmentation``: run lengths or a list of polygons."""
    if isinstance(segmentation, Mapping):
        return decode_rle(segmentation)
    return polygons_mask(segmentation, height, width)


def box_mask(box: Sequence[float], height: int, width: int) -> Mask:
    """The pixels whose centre lies in a box (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    return ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))


def discs_mask(points: Sequence[Sequence[float]], radius: float, height: int, width: int) -> Mask:
    """The pixels whose centre is at most ``radius`` from one of the points (x, y); always each point's own pixel."""
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    mask = np.zeros((height, width), bool)
    for x, y in points:
        mask |= (rows[:, None] - y) ** 2 + (columns - x) ** 2 <= radius**2
        mask[min(int(y), height - 1), min(int(x), width - 1)] = True
    return mask
