"""How large a pixel of a picture is on average, whatever its file tells of where it lies."""

from __future__ import annotations

import math

from likewise.errors import needs_extra
from likewise.placement import Placement
from likewise.results.by_region import square_metres

SQUARE_MICROMETRES = 1e12  # in a square metre


def pixel_size(placement: Placement | None, size: tuple[int, int]) -> tuple[float, float] | None:
    """Width and height of a pixel, micrometres, of a picture of (width, height) pixels; None: not known.

    Where the file has coordinates, it is the mean of all pixels.
    """
    if placement is None or placement.micrometres is not None or placement.transform is None:
        return None if placement is None else placement.micrometres
    try:
        area = square_metres(placement, (0.0, 0.0, float(size[0]), float(size[1])))
        wide = _width_by_height(placement, size)
    except Exception:  # noqa: BLE001  # GDAL raises nearly anything on a reference system without a unit of length
        return None
    if area is None:
        return None
    side = math.sqrt(area * SQUARE_MICROMETRES)
    return side * math.sqrt(wide), side / math.sqrt(wide)


def _width_by_height(placement: Placement, size: tuple[int, int]) -> float:
    """How many times as wide as high a pixel is; degrees of longitude are shorter the further from the equator."""
    with needs_extra("to tell how large a pixel is", "geo"):
        from rasterio.crs import CRS

    x, y = size[0] / 2, size[1] / 2
    middle, right, below = placement.places([(x, y), (x + 1, y), (x, y + 1)], "crs")
    shrink = 1.0
    if CRS.from_user_input(placement.crs).is_geographic:
        shrink = math.cos(math.radians(float(middle[1])))
    across, down = right - middle, below - middle
    return math.hypot(across[0] * shrink, across[1]) / math.hypot(down[0] * shrink, down[1])
