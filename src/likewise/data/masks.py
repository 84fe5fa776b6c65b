"""Masks of things in pictures: polygons, boxes and clicks as arrays.

Convention
----------
Masks are (H, W), row by row. Boxes are xyxy and points x y in float pixels, the centre of the top left pixel at
(0.5, 0.5): a pixel belongs to a box or a disc where its centre does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon

from likewise.boxes import mask_box
from likewise.errors import LikewiseError
from likewise.ops.run_lengths import decode_rle
from likewise.types import Box, Point

Mask = NDArray[np.bool_]
#: How somebody shows a thing.
Marking = Literal["mask", "box", "click"]


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


def mark_thing(mask: Mask, marking: Marking) -> Mask | Box | list[Point]:
    """A mask as somebody marks the same thing: with the mask itself, a box round all of it, or one click.

    The click is in the middle of the pixel that is farthest from whatever is not the mask's. Of an empty mask there is
    nothing to mark but the mask.

    Example:
        >>> mask = np.zeros((6, 9), bool)
        >>> mask[1:4, 2:7] = True
        >>> mark_thing(mask, "box"), mark_thing(mask, "click")
        ((2.0, 1.0, 7.0, 4.0), [(3.5, 2.5)])
    """
    box = mask_box(mask)
    if marking == "mask" or box is None:
        return mask
    if marking == "box":
        return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return [(float(column) + 0.5, float(row) + 0.5)]
