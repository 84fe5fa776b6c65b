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

from likewise.errors import LikewiseError
from likewise.ops.run_lengths import decode_rle

Mask = NDArray[np.bool_]


def polygons_mask(polygons: Sequence[Sequence[float]], height: int, width: int) -> Mask:
    """Polygons [x0, y0, x1, y1, ...], each filled, as one mask; one that is not in a list is the only one.

    Raises:
        LikewiseError: one with fewer than three corners, or half a corner, or values that are no finite numbers.
    """
    if len(polygons) and all(isinstance(value, (int, float)) for value in polygons):
        polygons = [polygons]  # type: ignore[list-item]  # as some tools write it
    mask = np.zeros((height, width), bool)
    for corners in polygons:
        columns, rows = _corners(corners).T - 0.5
        mask[polygon(rows, columns, mask.shape)] = True
    return mask


def segmentation_mask(segmentation: Any, height: int, width: int, name: str = "segmentation") -> Mask:
    """A COCO annotation's ``segmentation``: run lengths or a list of polygons.

    Args:
        segmentation: as it was read.
        height: of the picture.
        width: of the picture.
        name: of the annotation, for messages.

    Raises:
        LikewiseError: it is neither, or not as it should be.
    """
    if not isinstance(segmentation, (Mapping, list, tuple)):
        raise LikewiseError(f"{name} is {segmentation!r}; expected run lengths or a list of polygons")
    try:
        if isinstance(segmentation, Mapping):
            return decode_rle(segmentation, (height, width))
        return polygons_mask(segmentation, height, width)
    except LikewiseError as error:
        raise LikewiseError(f"{name}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:  # of run lengths that are none
        raise LikewiseError(f"{name} is no run lengths: {type(error).__name__}: {error}") from error


def _corners(values: Any) -> NDArray[np.float64]:
    """A polygon's corners (N, 2)."""
    try:
        corners = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        corners = np.empty(0)
    if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
        raise LikewiseError(f"a polygon is {values!r}; expected x0, y0, x1, y1, ... of at least three corners")
    return corners.reshape(-1, 2)


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
