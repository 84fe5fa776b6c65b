"""Polygons: how much of each pixel one covers, and which points it holds.

Convention
----------
Corners and points are ``(x, y)`` in pixels of the map, the centre of the top left pixel at (0.5, 0.5). A polygon is
one closed ring of corners, or several: its outline and its holes. Where it crosses itself, and of its rings, the
even-odd rule says what is inside.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    return rings_coverage([corners], height, width)


def rings_coverage(rings: Sequence[Tensor], height: int, width: int) -> Tensor:
    """`polygon_coverage` of a polygon of several rings.

    Args:
        rings: (M_i, 2) with M_i >= 3, at least one.
        height: of the map.
        width: of the map.

    Raises:
        LikewiseError: as `polygon_coverage`.

    Example:
        >>> outline = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0], [0.0, 1.0]])
        >>> hole = torch.tensor([[1.0, 0.0], [2.0, 0.0], [2.0, 1.0], [1.0, 1.0]])
        >>> rings_coverage([outline, hole], 1, 3)
        tensor([[1., 0., 1.]])
    """
    for corners in rings:
        _check_corners(corners)
    if min(height, width) < 0:
        raise LikewiseError(f"a map of {width} x {height} pixels: expected sides of at least 0")
    device = rings[0].device
    if not all(map(has_values, rings)) or not height * width:
        return torch.zeros(height, width, device=device)
    starts = [corners.detach().double().cpu().numpy() for corners in rings]
    ends = [np.roll(start, -1, 0) for start in starts]
    covered = scanline.coverage(np.concatenate(starts), np.concatenate(ends), height, width)
    return torch.from_numpy(covered).to(device)


def inside_polygon(points: Tensor, corners: Tensor) -> Tensor:
    """Which of the points (N, 2) lie inside the polygon (M, 2): (N,) bool.

    Raises:
        LikewiseError: other shapes, a corner or a point that is not finite.

    Example:
        >>> triangle = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
        >>> inside_polygon(torch.tensor([[0.5, 0.5], [1.5, 1.5]]), triangle)
        tensor([ True, False])
    """
    return inside_rings(points, [corners])


def inside_rings(points: Tensor, rings: Sequence[Tensor]) -> Tensor:
    """`inside_polygon` of a polygon of several rings, (M_i, 2) each, at least one.

    Raises:
        LikewiseError: as `inside_polygon`.
    """
    for corners in rings:
        _check_corners(corners)
    if points.ndim != 2 or points.shape[1] != 2:
        raise LikewiseError(f"points {tuple(points.shape)}: expected (N, 2), x y")
    check_finite("points", points)
    start = torch.cat([corners.double() for corners in rings])
    end = torch.cat([corners.double().roll(-1, 0) for corners in rings])
    parts = points.double().split(max(1, _PAIRS // len(start)))
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
