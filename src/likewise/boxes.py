"""Boxes: their sides, sizes and centres, what two of them share, and the ways of writing one down.

Convention
----------
A box is x0, y0, x1, y1 in float pixels, the centre of the top left pixel at (0.5, 0.5): its width is x1 - x0. Its size
is one number, sqrt(width x height). Functions of arrays take numpy arrays and tensors alike, of shape (..., 4), and
give the same kind back; NaN stays NaN. torch is loaded only where a tensor is made: who draws or writes down boxes
need not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from likewise.types import Box

if TYPE_CHECKING:
    from torch import Tensor

#: A numpy array or a tensor: what goes in comes out.
Array = TypeVar("Array", NDArray[Any], "Tensor")
#: Of boxes as tuples: whole numbers stay whole.
Number = TypeVar("Number", int, float)


def box_sides(boxes: Array) -> Array:
    """Width and height: (..., 4) -> (..., 2)."""
    return boxes[..., 2:] - boxes[..., :2]


def box_areas(boxes: Array) -> Array:
    """Width x height: (..., 4) -> (...)."""
    sides = box_sides(boxes)
    return sides[..., 0] * sides[..., 1]


def box_sizes(boxes: Array) -> Array:
    """sqrt(width x height): (..., 4) -> (...).

    Example:
        >>> box_sizes(np.array([[10.0, 10.0, 50.0, 20.0]]))
        array([20.])
    """
    return box_areas(boxes) ** 0.5


def box_centres(boxes: Array) -> Array:
    """Centres x y: (..., 4) -> (..., 2)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def mean_side(boxes: Sequence[Box]) -> float:
    """Mean sqrt(width x height) of at least one box."""
    return math.fsum(math.sqrt((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in boxes) / len(boxes)


def mean_width_height(boxes: Sequence[Box]) -> tuple[float, float]:
    """Mean width and mean height of at least one box."""
    return math.fsum(b[2] - b[0] for b in boxes) / len(boxes), math.fsum(b[3] - b[1] for b in boxes) / len(boxes)


def mean_exemplar_sizes(exemplars: Sequence[Tensor]) -> Tensor:
    """Mean (height, width) of each picture's exemplars, in the order in which networks measure pictures.

    Args:
        exemplars: B tensors (K_i, 4), K_i >= 1.

    Returns:
        (B, 2), in the boxes' pixels.
    """
    import torch

    return torch.stack([box_sides(boxes).flip(-1).mean(0) for boxes in exemplars])


def centred_boxes(centres: Array, sides: Array) -> Array:
    """Boxes (..., 4) round centres x y (..., 2); sides are (width, height) or one for both, of a shape that fits."""
    low, high = centres - sides / 2, centres + sides / 2
    if isinstance(low, np.ndarray):
        return np.concatenate((low, high), axis=-1)
    import torch

    return torch.cat((low, high), dim=-1)


def clip_boxes(boxes: Array, size: tuple[float, float]) -> Array:
    """Boxes (..., 4) cut to a picture of this (width, height); one outside of it keeps no area.

    Example:
        >>> clip_boxes(np.array([[-5.0, 10.0, 50.0, 120.0]]), (40, 100))
        array([[  0.,  10.,  40., 100.]])
    """
    if isinstance(boxes, np.ndarray):
        return np.clip(boxes, 0, np.tile(np.asarray(size, dtype=boxes.dtype), 2))
    return boxes.clamp(min=0).minimum(boxes.new_tensor(size).repeat(2))


def scale_boxes(boxes: Array, factors: Array) -> Array:
    """Boxes (..., 4) of a picture as those of its copy, whose width and height are these two ``factors`` as large."""
    return boxes * (np.tile(factors, 2) if isinstance(factors, np.ndarray) else factors.repeat(2))


def boxes_to_pixels(boxes: Tensor, size: tuple[float, float]) -> Tensor:
    """Boxes (N, 4) in a picture of this (width, height) with corners on whole pixels; none becomes empty."""
    import torch

    low, high = boxes.round().view(-1, 2, 2).unbind(1)
    low = low.minimum(boxes.new_tensor(size) - 1)
    return torch.cat((low, high.maximum(low + 1)), dim=1)


def points_to_pixels(points: Tensor, size: tuple[float, float]) -> Tensor:
    """Points x y (N, 2) as pixels (N, 2) int64, column and row, of a picture of this (width, height).

    Coordinates are rounded, halves to the even one, and taken as indices, as programs do that mark dots in a map; so
    what lies in the right or the lower half of a pixel goes to the next, and the last pixel takes what lies beyond.
    """
    return points.round().long().clamp(min=0).minimum(points.new_tensor(size).long() - 1)


def shared_areas(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.floating]:
    """The area that boxes (..., 4) share with others, one by one, broadcast; NaN where a box is."""
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared: NDArray[np.floating] = sides.clip(min=0).prod(axis=-1)
    return shared


def mask_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The smallest box round all True pixels of a mask (H, W), in whole pixels; None where there is none."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def xyxy_to_xywh(box: Sequence[Number]) -> tuple[Number, Number, Number, Number]:
    """A box by its corners as x, y, width, height.

    Example:
        >>> xyxy_to_xywh((81, 39, 120, 74))
        (81, 39, 39, 35)
    """
    x0, y0, x1, y1 = box
    return x0, y0, x1 - x0, y1 - y0


def xywh_to_xyxy(box: Sequence[Number]) -> tuple[Number, Number, Number, Number]:
    """A box given by x, y, width, height as its corners.

    Example:
        >>> xywh_to_xyxy((81, 39, 39, 35))
        (81, 39, 120, 74)
    """
    x, y, width, height = box
    return x, y, x + width, y + height
