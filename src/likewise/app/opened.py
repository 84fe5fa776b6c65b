"""Pictures opened to be read in parts, and what their files tell of them beside their pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from likewise.app.picture_store import Picture
from likewise.data.decoders import SLIDE_SUFFIXES
from likewise.data.tiff import is_tiff
from likewise.errors import LikewiseError
from likewise.placement import Placement
from likewise.results.by_region import square_metres
from likewise.sources import PictureSource, open_source

SQUARE_MICROMETRES = 1e12  # in a square metre


@contextmanager
def opened(picture: Picture) -> Iterator[PictureSource]:
    """A picture's source, closed afterwards.

    Raises:
        LikewiseError: it cannot be read; its name is in the message, its path is not.
    """
    try:
        source = open_source(picture.path)
    except LikewiseError as error:
        raise LikewiseError(str(error).replace(str(picture.path), picture.name)) from None
    with source:
        yield source


def about(picture: Picture) -> dict[str, Any]:
    """What the file tells of a picture: ``micrometres``, width and height of a pixel, or None.

    Raises:
        LikewiseError: it cannot be read.
    """
    if not (is_tiff(picture.path) or picture.path.suffix.lower() in SLIDE_SUFFIXES):
        return {"micrometres": None}  # others do not tell, and some would have to be decoded to be opened
    with opened(picture) as source:
        return {"micrometres": pixel_size(source.placement, (source.width, source.height))}


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
    from rasterio.crs import CRS

    x, y = size[0] / 2, size[1] / 2
    middle, right, below = placement.places([(x, y), (x + 1, y), (x, y + 1)], "crs")
    shrink = 1.0
    if CRS.from_user_input(placement.crs).is_geographic:
        shrink = math.cos(math.radians(float(middle[1])))
    across, down = right - middle, below - middle
    return math.hypot(across[0] * shrink, across[1]) / math.hypot(down[0] * shrink, down[1])
