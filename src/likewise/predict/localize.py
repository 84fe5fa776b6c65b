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

from likewise.ops.density.peaks import density_peaks, peak_basins, smooth
from likewise.ops.polygon import inside_polygon

#: Objects are told apart when their centres are further apart than this many object sizes.
PEAK_RADIUS = 0.35
#: Before points are looked for, the density is blurred by this many object sizes.
PEAK_BLUR = 0.12
#: A point needs at least this share of the density of one object spread evenly over its box.
PEAK_SHARE = 0.1
#: Density belongs to the nearest peak within this many object sizes.
BASIN = 0.5
#: Density that stands for no thing of its own is nothing where there is less of it in a whole picture.
STRAY = 0.5
#: Peaks within this share of an example's box, round its middle, are of the example.
CORE = 0.5
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


class Peaks(NamedTuple):
    """Where a density may show a thing.

    Attributes:
        points: (N, 2), best first.
        scores: (N,) density round each.
        shown: (N,) bool, which of them are examples: one thing, whatever their density.
        owner: (h, w) int64, 1 + the index of the one that each cell of the density belongs to; 0: to none.
    """

    points: Tensor
    scores: Tensor
    shown: Tensor
    owner: Tensor

    def of(self, wanted: Tensor) -> Peaks:
        """Those that are wanted (N,)."""
        place = torch.cat([wanted.new_zeros(1), wanted]).cumsum(0)
        place[1:][~wanted] = 0
        return Peaks(self.points[wanted], self.scores[wanted], self.shown[wanted], place[self.owner])

    def joined(self, which: Tensor) -> Peaks:
        """Some of them (N,), at least one, as the one example that they are parts of: in their middle."""
        best, shown = int(which.nonzero()[0]), self.shown.clone()
        shown[best] = True
        if which.sum() == 1:
            return self._replace(shown=shown)
        points, weights = self.points.clone(), self.scores[which, None]
        points[best] = (points[which] * weights).sum(0) / weights.sum()
        place, kept = torch.arange(len(which) + 1), ~which
        place[1:][which] = best + 1
        kept[best] = True
        return Peaks(points, self.scores, shown, place[self.owner]).of(kept)

    def part(self, grid: Tensor) -> Tensor:
        """What of a density (h, w) belongs to them."""
        return grid * (self.owner > 0)

    def masses(self, grid: Tensor) -> Tensor:
        """(1 + N,) float64: how much of a density (h, w) belongs to none, and to each."""
        sums = grid.new_zeros(len(self.points) + 1, dtype=torch.float64)
        return sums.index_add_(0, self.owner.flatten(), grid.flatten().double())


def find_peaks(grid: Tensor, side: float, examples: Tensor) -> Peaks:
    """Every peak of a density (h, w); those in the middle of an example are one, for its box says so.

    Args:
        grid: the density.
        side: sqrt(width x height) of an object, in cells.
        examples: (K, 4) their boxes on the grid, xyxy.
    """
    threshold = PEAK_SHARE / side**2
    points, scores = density_peaks(smooth(grid, PEAK_BLUR * side), radius=PEAK_RADIUS * side, threshold=threshold)
    owner = peak_basins(points, (grid.shape[0], grid.shape[1]), BASIN * side) + 1
    peaks = Peaks(points, scores, torch.zeros(len(points), dtype=torch.bool), owner)
    for box in examples:
        away = (peaks.points - (box[:2] + box[2:]) / 2).abs()
        within = ~peaks.shown & (away <= CORE / 2 * (box[2:] - box[:2])).all(1)
        peaks = peaks.joined(within) if within.any() else peaks
    return peaks


def snap_peaks(grid: Tensor, peaks: Peaks, between: tuple[float, float]) -> Tensor:
    """A density in which each peak that stands for about one thing holds exactly one, and the rest is as it was.

    Counting peaks is exact where a density is sharp and wrong where it is not, summing it the other way round: so each
    peak is counted as one where the density nearest to it, within half an object size, is about one. An example is one.
    What is left, of fainter peaks and of none, is nothing where all of it together is not worth half a thing.

    Args:
        grid: (h, w).
        peaks: of it.
        between: what about one is: more than the first, less than the second.
    """
    mass = peaks.masses(grid)
    low, high = between
    shown = torch.cat([peaks.shown.new_zeros(1), peaks.shown])
    left = (mass <= low) & ~shown
    left[0] = True  # what belongs to no peak
    one = ~left & ((mass < high) | shown) & (mass > 0)
    factor = torch.where(one, 1 / mass, 1.0)
    if mass[left].sum() < STRAY:
        factor[left] = 0.0
    return grid * factor[peaks.owner].to(grid.dtype)


def best_points(peaks: Peaks, count: float, corners: Tensor | None) -> Found:
    """The peaks inside a region (M, 2), or all where it is None, cut to what the count has room for."""
    points, scores = peaks.points, peaks.scores
    if corners is not None:
        inside = inside_polygon(points, corners)
        points, scores = points[inside], scores[inside]
    room, clear = round(count), points[scores >= CLEAR].cpu().numpy()
    apart = float(np.median(cKDTree(clear).query(clear, k=2)[0][:, 1])) if len(clear) > 1 else None
    return Found(points[:room], scores[:room], len(points), len(clear), apart)
