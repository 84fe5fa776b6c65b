"""Polygons: how much of each pixel one covers, and which points it holds.

Convention
----------
Corners and points are ``(x, y)`` in pixels of the map, the centre of the top left pixel at (0.5, 0.5). The polygon
is closed by itself; where it crosses itself the even-odd rule says what is inside.
"""

from __future__ import annotations

import torch
from torch import Tensor


def polygon_coverage(corners: Tensor, height: int, width: int) -> Tensor:
    """The covered share of each pixel, (height, width) float32 in [0, 1], exact up to rounding.

    The polygon is cut into level bands at every row's edge, every corner and every place where two of its edges cross:
    within a band the same edges, in the same order from left to right, bound what is covered, and what lies to the
    right of each has a closed form.

    Args:
        corners: (M, 2) with M >= 3; they may lie outside the map.
        height: of the map.
        width: of the map.

    Example:
        >>> triangle = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
        >>> polygon_coverage(triangle, 2, 2)
        tensor([[1.0000, 0.5000],
                [0.5000, 0.0000]])
    """
    corners = corners.double()
    start, end = corners, corners.roll(-1, 0)
    whole = torch.arange(height + 1, dtype=torch.float64)
    cuts = torch.cat([whole, corners[:, 1], _heights_of_crossings(start, end)])
    cuts = cuts[(cuts >= 0) & (cuts <= height)].unique()
    right = torch.arange(1, width + 1, dtype=torch.float64)
    covered = torch.zeros(height, width, dtype=torch.float64)
    for top, bottom in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        ends = _sides_of_band(start, end, top, bottom)
        if len(ends):
            # from the left, sides alternately enter and leave: each covers what is to its right, or takes it away
            sign = 1 - 2 * (torch.arange(len(ends), dtype=torch.float64) % 2)
            covered[int((top + bottom) / 2)] += (bottom - top) * (sign @ _right_of(ends, right))
    return covered.clamp(0, 1).float()


def _sides_of_band(start: Tensor, end: Tensor, top: float, bottom: float) -> Tensor:
    """The x (E, 2) at a band's top and bottom of the edges that go through it, from left to right."""
    low, high = torch.minimum(start[:, 1], end[:, 1]), torch.maximum(start[:, 1], end[:, 1])
    through = (low <= top) & (high >= bottom)
    p, q = start[through], end[through]
    slope = (q[:, 0] - p[:, 0]) / (q[:, 1] - p[:, 1])
    ends = torch.stack([p[:, 0] + (level - p[:, 1]) * slope for level in (top, bottom)], dim=1)
    return ends[ends.sum(1).argsort()]


def _right_of(ends: Tensor, right: Tensor) -> Tensor:
    """The mean share (E, W) of pixels, ending at ``right`` (W,), to the right of straight sides (E, 2) of a band."""
    far, near = right - ends.amin(1, keepdim=True), right - ends.amax(1, keepdim=True)
    lean = far - near
    # the share is a ramp, clamped to [0, 1], of where the side is: its mean, from the ramp's integral
    slanted = (_ramp_integral(far) - _ramp_integral(near)) / lean.clamp(min=1e-9)
    return torch.where(lean > 1e-6, slanted, ((far + near) / 2).clamp(0, 1))


def _ramp_integral(value: Tensor) -> Tensor:
    """The integral up to ``value`` of a ramp that is 0 below 0 and 1 above 1."""
    return value.clamp(0, 1).square() / 2 + (value - 1).clamp(min=0)


def _heights_of_crossings(start: Tensor, end: Tensor) -> Tensor:
    """The y of every place where two edges cross."""
    along = end - start
    found = [start.new_zeros(0)]
    for p, r in zip(start, along, strict=True):
        across = r[0] * along[:, 1] - r[1] * along[:, 0]
        apart = start - p
        t, u = ((apart[:, 0] * d[..., 1] - apart[:, 1] * d[..., 0]) / across for d in (along, r))
        meet = (across != 0) & (t > 0) & (t < 1) & (u > 0) & (u < 1)
        found.append(p[1] + t[meet] * r[1])
    return torch.cat(found)


def inside_polygon(points: Tensor, corners: Tensor) -> Tensor:
    """Which of the points (N, 2) lie inside the polygon (M, 2): (N,) bool.

    Example:
        >>> triangle = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
        >>> inside_polygon(torch.tensor([[0.5, 0.5], [1.5, 1.5]]), triangle)
        tensor([ True, False])
    """
    ends, exists = _crossings(corners.double(), points[:, 1].double())
    return ((ends < points[:, :1].double()) & exists).sum(1) % 2 == 1


def _crossings(corners: Tensor, lines: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted x (L, M) at which the polygon's edges cross each level line, and which of them do (the first ones)."""
    start, end = corners, corners.roll(-1, 0)
    above = start[:, 1] <= lines[:, None]
    crossed = above != (end[:, 1] <= lines[:, None])
    rise = torch.where(crossed, end[:, 1] - start[:, 1], 1.0)
    x = start[:, 0] + (lines[:, None] - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    x = torch.where(crossed, x, torch.inf).sort(dim=1).values
    return x, x.isfinite()
