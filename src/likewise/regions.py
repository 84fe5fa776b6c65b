"""Parts of a picture with names: wells of a plate, plots of a field, what somebody outlined.

Convention
----------
Corners are ``(x, y)`` in pixels of the picture. A region is made of polygons, each of them of rings: an outline and its
holes, by the even-odd rule. Regions may overlap; what lies in two of them is counted in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.types import Box, Point

Ring = tuple[Point, ...]
Polygon = tuple[Ring, ...]

#: Wells of a plate -> rows and columns.
PLATES = {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24), 1536: (32, 48)}


@dataclass(frozen=True)
class Region:
    """A part of a picture.

    Attributes:
        name: what it is called.
        polygons: what it is made of, at least one; each has an outline first and then its holes.

    Raises:
        LikewiseError: nothing in it, or a ring of fewer than three corners or with one that is not finite.

    Example:
        >>> Region.of_box("A1", (0, 0, 10, 5)).box
        (0.0, 0.0, 10.0, 5.0)
        >>> ring = ((0, 0), (4, 0), (4, 4), (0, 4)), ((1, 1), (3, 1), (3, 3), (1, 3))
        >>> Region("frame", (ring,)).inside(np.array([[0.5, 0.5], [2, 2]])).tolist()
        [True, False]
    """

    name: str
    polygons: tuple[Polygon, ...]

    def __post_init__(self) -> None:
        polygons = tuple(tuple(map(self._ring, polygon)) for polygon in self.polygons)
        if not polygons or not all(polygons):
            raise LikewiseError(f"region {self.name!r} holds no polygon; expected an outline of three or more corners")
        object.__setattr__(self, "polygons", polygons)

    def _ring(self, corners: Sequence[Sequence[float]]) -> Ring:
        ring = tuple((float(x), float(y)) for x, y in corners)
        if len(ring) < 3 or not all(math.isfinite(value) for corner in ring for value in corner):
            raise LikewiseError(f"region {self.name!r}: expected rings of three or more corners with finite places")
        return ring

    @classmethod
    def of_box(cls, name: str, box: Box) -> Region:
        """A rectangle (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = box
        return cls(name, ((((x0, y0), (x1, y0), (x1, y1), (x0, y1)),),))

    @cached_property
    def box(self) -> Box:
        """(x0, y0, x1, y1), round all of it."""
        corners = np.array([corner for polygon in self.polygons for ring in polygon for corner in ring])
        x0, y0 = corners.min(0).tolist()
        x1, y1 = corners.max(0).tolist()
        return x0, y0, x1, y1

    def inside(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of the points (N, 2) lie in it: (N,)."""
        import torch

        from likewise.ops.polygon import inside_rings

        held = np.zeros(len(points), bool)
        x0, y0, x1, y1 = self.box
        near = np.flatnonzero(((points >= (x0, y0)) & (points <= (x1, y1))).all(1))
        for polygon in self.polygons if len(near) else ():
            rings = [torch.tensor(ring, dtype=torch.float64) for ring in polygon]
            held[near] |= inside_rings(torch.from_numpy(points[near].astype(np.float64)), rings).numpy()
        return held

    def coverage(
        self, size: tuple[int, int], shape: tuple[int, int]
    ) -> tuple[slice, slice, NDArray[np.float32]] | None:
        """How much of each cell of a grid over the picture it covers.

        Args:
            size: (width, height) of the picture.
            shape: (h, w), cells of the grid.

        Returns:
            Rows and columns of the part of the grid round the region, and the share of each cell there in [0, 1],
            exact but where polygons of the region overlap within a cell; None: it lies outside the picture.
        """
        import torch

        from likewise.ops.polygon import rings_coverage

        cells = np.array(shape[::-1]) / np.array(size)
        low = np.floor(np.array(self.box[:2]) * cells).clip(0, shape[::-1]).astype(int)
        high = np.ceil(np.array(self.box[2:]) * cells).clip(0, shape[::-1]).astype(int)
        if (high <= low).any():
            return None
        (left, top), (right, bottom) = low.tolist(), high.tolist()
        share = torch.zeros(bottom - top, right - left)
        for polygon in self.polygons:
            rings = [torch.from_numpy(np.array(ring) * cells - low) for ring in polygon]
            share += rings_coverage(rings, bottom - top, right - left)
        return slice(top, bottom), slice(left, right), share.clamp_(max=1).numpy()


def grid_regions(box: Box, rows: int, columns: int) -> list[Region]:
    """Rectangles of one size side by side, named as wells of a plate: A1, A2, ..., B1, ..., and AA1 after Z's.

    Args:
        box: (x0, y0, x1, y1), what they fill.
        rows: from A downwards.
        columns: from 1 to the right.

    Raises:
        LikewiseError: fewer than one row or column, or more than 10 000 wells.

    Example:
        >>> [well.name for well in grid_regions((0, 0, 30, 20), 2, 3)]
        ['A1', 'A2', 'A3', 'B1', 'B2', 'B3']
    """
    if min(rows, columns) < 1 or rows * columns > 10_000:
        raise LikewiseError(f"a grid of {rows} rows x {columns} columns: expected at least 1, and at most 10000 wells")
    x0, y0, x1, y1 = box
    across, down = np.linspace(x0, x1, columns + 1).tolist(), np.linspace(y0, y1, rows + 1).tolist()
    return [
        Region.of_box(f"{_letters(row)}{column + 1}", (across[column], down[row], across[column + 1], down[row + 1]))
        for row in range(rows)
        for column in range(columns)
    ]


def _letters(row: int) -> str:
    """A to Z, then AA, AB and so on."""
    return (_letters(row // 26 - 1) if row >= 26 else "") + chr(ord("A") + row % 26)
