"""Polygons: how much of each pixel one covers, and which points it holds.

Convention
----------
Corners and points are ``(x, y)`` in pixels of the map, the centre of the top left pixel at (0.5, 0.5). The polygon
is closed by itself; where it crosses itself the even-odd rule says what is inside.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops import scanline
from likewise.ops.checks import check_finite, has_values

#: Pairs of points and edges looked at together.
_PAIRS = 1 << 22


def polygon_coverage(corners: Tensor, height: int, width: int) -> Tensor:
    """The covered share of each pixel, (height, width) float32 in [0, 1], exact up to rounding.

    Time and memory follow from the length of what is drawn and from how often it crosses itself, and are bounded: a
    polygon with millions of crossings, or of edges across thousands of rows each, is sampled instead, at 2 x 2 points
    a pixel (`likewise.ops.scanline`).

    Args:
        corners: (M, 2) with M >= 3; they may lie outside the map.
        height: of the map.
        width: of the map.

    Raises:
        LikewiseError: another shape, a corner that is not finite, a side of the map below 0.

    Example:
        >>> triangle = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
        >>> polygon_coverage(triangle, 2, 2)
        tensor([[1.0000, 0.5000],
                [0.5000, 0.0000]])
    """
    _check_corners(corners)
    if min(height, width) < 0:
        raise LikewiseError(f"a map of {width} x {height} pixels: expected sides of at least 0")
    if not has_values(corners) or not height * width:
        return torch.zeros(height, width, device=corners.device)
    start = corners.detach().double().cpu().numpy()
    covered = scanline.coverage(start, np.roll(start, -1, 0), height, width)
    return torch.from_numpy(covered).to(corners.device)


def inside_polygon(points: Tensor, corners: Tensor) -> Tensor:
    """Which of the points (N, 2) lie inside the polygon (M, 2): (N,) bool.

    Raises:
        LikewiseError: other shapes, a corner or a point that is not finite.

    Example:
        >>> triangle = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
        >>> inside_polygon(torch.tensor([[0.5, 0.5], [1.5, 1.5]]), triangle)
        tensor([ True, False])
    """
    _check_corners(corners)
    if points.ndim != 2 or points.shape[1] != 2:
        raise LikewiseError(f"points {tuple(points.shape)}: expected (N, 2), x y")
    check_finite("points", points)
    start = corners.double()
    end = start.roll(-1, 0)
    parts = points.double().split(max(1, _PAIRS // len(corners)))
    return torch.cat([_left_of(part, start, end) % 2 == 1 for part in parts])


def _left_of(points: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """How many edges (M, 2) pass to the left of each point (N, 2)."""
    x, y = points[:, :1], points[:, 1:]
    passed = (start[:, 1] <= y) != (end[:, 1] <= y)
    rise = torch.where(passed, end[:, 1] - start[:, 1], 1.0)
    at = start[:, 0] + (y - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    return (passed & (at < x)).sum(1)


def _check_corners(corners: Tensor) -> None:
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise LikewiseError(f"corners {tuple(corners.shape)}: expected (M, 2), x y, with M >= 3")
    check_finite("corners", corners)
