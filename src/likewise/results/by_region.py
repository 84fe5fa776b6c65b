"""Counts of a picture's parts.

A region's count is the density inside it: of a cell that its edge cuts, the share inside, so that regions that fit
together add up to the whole. What lies in two regions is counted in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, needs_extra
from likewise.placement import UNPLACED, Placement
from likewise.plain_text import BOM, csv_field, name_cell, text_cell
from likewise.regions import Region
from likewise.types import Box

#: Columns of a table of regions.
COLUMNS = ("picture", "region", "count", "points", "area_px", "area_um2", "per_mm2", "area_m2", "per_m2")
#: A reference system of the whole earth in which areas are true.
_EQUAL_AREA = "EPSG:6933"


@dataclass(frozen=True)
class RegionCount:
    """How many there are in a region, as far as it lies in the picture.

    Attributes:
        name: the region's.
        count: the density in it.
        points: how many of the points lie in it.
        area_px: in pixels.
        area_um2: in square micrometres, where the pixels' size is known.
        area_m2: in square metres, where the picture has coordinates.
    """

    name: str
    count: float
    points: int
    area_px: float
    area_um2: float | None = None
    area_m2: float | None = None

    @property
    def per_mm2(self) -> float | None:
        """The count a square millimetre, where that is known."""
        return self.count / self.area_um2 * 1e6 if self.area_um2 else None

    @property
    def per_m2(self) -> float | None:
        """The count a square metre, where that is known."""
        return self.count / self.area_m2 if self.area_m2 else None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; what is not known is left out."""
        measured = {name: getattr(self, name) for name in COLUMNS[5:]}
        known = {name: float(f"{value:.6g}") for name, value in measured.items() if value is not None}
        whole = {"region": self.name, "count": round(self.count, 4), "points": self.points}
        return {**whole, "area_px": round(self.area_px, 2), **known}


def count_regions(
    regions: Sequence[Region],
    grid: NDArray[np.float32],
    size: tuple[int, int],
    points: NDArray[np.float32],
    placement: Placement | None = None,
) -> list[RegionCount]:
    """How many there are in each region, in their order.

    Args:
        regions: of the picture.
        grid: (h, w), the density over the whole picture.
        size: (width, height) of the picture.
        points: (N, 2) in its pixels.
        placement: where it lies.

    Raises:
        LikewiseError: none of the regions touches the picture; what areas in square metres need is not installed.
    """
    placed = placement or UNPLACED
    found = [_count(region, grid, size, points, placed) for region in regions]
    if regions and not any(each.area_px for each in found):
        x0, y0, x1, y1 = regions[0].box
        raise LikewiseError(
            f"none of the regions lies in the picture, which is {size[0]} x {size[1]} pixels: {regions[0].name!r} is "
            f"at x {x0:g} to {x1:g} and y {y0:g} to {y1:g}. Are they of another picture, or in another unit?"
        )
    return found


def _count(
    region: Region, grid: NDArray[np.float32], size: tuple[int, int], points: NDArray[np.float32], placed: Placement
) -> RegionCount:
    covered = region.coverage(size, (grid.shape[0], grid.shape[1]))
    if covered is None:
        return RegionCount(region.name, 0.0, 0, 0.0)
    rows, columns, share = covered
    count = float((grid[rows, columns].astype(np.float64) * share).sum())
    area = float(share.sum(dtype=np.float64)) * size[0] * size[1] / grid.size
    square = None if placed.micrometres is None else placed.micrometres[0] * placed.micrometres[1]
    metres = square_metres(placed, region.box) if area else None
    return RegionCount(
        name=region.name,
        count=count,
        points=int(region.inside(points).sum()),
        area_px=area,
        area_um2=None if square is None else area * square,
        area_m2=None if metres is None else area * metres,
    )


def square_metres(placed: Placement, box: Box) -> float | None:
    """Area of one pixel of the picture, on average in a box; None: not known.

    Where coordinates are degrees, the box's own area on the ellipsoid tells, by an equal-area projection.
    """
    if placed.transform is None or placed.crs is None:
        return None
    with needs_extra("areas in square metres", "geo"):
        from rasterio.crs import CRS
        from rasterio.errors import CRSError
        from rasterio.warp import transform
    try:
        crs = CRS.from_user_input(placed.crs)
    except CRSError as error:
        raise LikewiseError(f"crs = {placed.crs!r} is no reference system: {error}") from error
    a, b, _, d, e, _ = placed.transform
    if not crs.is_geographic:
        return abs(a * e - b * d) * float(crs.linear_units_factor[1]) ** 2
    x0, y0, x1, y1 = box
    corners = placed.places([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], "crs")
    xs, ys = map(np.array, transform(crs, _EQUAL_AREA, corners[:, 0].tolist(), corners[:, 1].tolist()))
    around = float(abs((xs * np.roll(ys, -1) - np.roll(xs, -1) * ys).sum()) / 2)
    return around / ((x1 - x0) * (y1 - y0))


def regions_table(counts: Sequence[tuple[str, RegionCount]], kinds: Sequence[str] = ()) -> str:
    """A table of (picture, count) pairs as text of a CSV file, as spreadsheets open it.

    Args:
        counts: the pairs.
        kinds: of which kind each is, for a column behind the region's name; none: there is no such column.
    """
    lines = [",".join((*COLUMNS[:2], *(["kind"] if kinds else ()), *COLUMNS[2:]))]
    for number, (picture, each) in enumerate(counts):
        told = [each.area_um2, each.per_mm2, each.area_m2, each.per_m2]
        numbers = ["" if value is None else f"{value:.6g}" for value in told]
        kind = [csv_field(text_cell(kinds[number]))] if kinds else []
        names = [csv_field(name_cell(picture)), csv_field(text_cell(each.name)), *kind]
        lines.append(",".join([*names, f"{each.count:.4f}", str(each.points), f"{each.area_px:.2f}", *numbers]))
    table = "".join(line + "\r\n" for line in lines)
    return table if table.isascii() else BOM.decode() + table
