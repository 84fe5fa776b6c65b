"""From a density to points: one for each thing that is found.

Convention
----------
Points are ``(x, y)`` on the grid of the density, the centre of its top left cell at (0.5, 0.5).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from likewise.ops.peaks import density_peaks, peak_basins, smooth
from likewise.ops.polygon import inside_polygon

#: Objects are told apart when their centres are further apart than this many object sizes.
PEAK_RADIUS = 0.35
#: Before points are looked for, the density is blurred by this many object sizes.
PEAK_BLUR = 0.12
#: A point needs at least this share of the density of one object spread evenly over its box.
PEAK_SHARE = 0.1
#: Density belongs to the nearest peak within this many object sizes.
BASIN = 0.5
#: A peak with at least this much density round it stands for a thing of its own.
CLEAR = 0.5


class Found(NamedTuple):
    """Where things are: the peaks of a density, as many as its count rounds to or fewer.

    Attributes:
        points: (N, 2), best first.
        scores: (N,) density round each.
        peaks: how many there are, whether or not the count has room for them ...
        clear: ... and how many of those stand for a thing of their own.
        apart: median distance of the clear ones to their nearest neighbour, in cells; None where there are not two.
    """

    points: Tensor
    scores: Tensor
    peaks: int
    clear: int
    apart: float | None


def peaks_of(grid: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """Every peak (N, 2) of a density (h, w), best first, and the density (N,) round it.

    Args:
        grid: the density.
        side: sqrt(width x height) of an object, in cells.
    """
    threshold = PEAK_SHARE / side**2
    return density_peaks(smooth(grid, PEAK_BLUR * side), radius=PEAK_RADIUS * side, threshold=threshold)


def settled(grid: Tensor, points: Tensor, side: float, between: tuple[float, float]) -> Tensor:
    """A density in which each peak that stands for about one thing holds exactly one, and the rest is as it was.

    Counting peaks is exact where a density is sharp and wrong where it is not, summing it the other way round: so each
    peak is counted as one where the density nearest to it, within half an object size, is about one.

    Args:
        grid: (h, w).
        points: (N, 2) its peaks.
        side: sqrt(width x height) of an object, in cells.
        between: what about one is: more than the first, less than the second.
    """
    if not len(points):
        return grid
    owner = peak_basins(points, (grid.shape[0], grid.shape[1]), BASIN * side)
    mass = grid.new_zeros(len(points) + 1, dtype=torch.float64)
    mass.index_add_(0, owner.flatten() + 1, grid.flatten().double())
    factor = torch.where((mass > between[0]) & (mass < between[1]), 1 / mass, 1.0)
    factor[0] = 1.0  # what belongs to no peak
    return grid * factor[owner + 1].to(grid.dtype)


def of_peaks(grid: Tensor, points: Tensor, wanted: Tensor, side: float) -> Tensor:
    """What of a density (h, w) belongs to the wanted (N,) of its peaks (N, 2); ``side`` as in `settled`."""
    if not len(points):
        return torch.zeros_like(grid)
    owner = peak_basins(points, (grid.shape[0], grid.shape[1]), BASIN * side)
    return grid * torch.cat([wanted.new_zeros(1), wanted])[owner + 1].to(grid.dtype)


def best_points(points: Tensor, scores: Tensor, count: float, corners: Tensor | None) -> Found:
    """The peaks inside a region (M, 2), or all where it is None, cut to what the count has room for."""
    if corners is not None:
        inside = inside_polygon(points, corners)
        points, scores = points[inside], scores[inside]
    room, clear = round(count), points[scores >= CLEAR].cpu().numpy()
    apart = float(np.median(cKDTree(clear).query(clear, k=2)[0][:, 1])) if len(clear) > 1 else None
    return Found(points[:room], scores[:room], len(points), len(clear), apart)
