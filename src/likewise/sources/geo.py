"""Rasters with a place on earth: orthomosaics and other GeoTIFF, by rasterio."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from likewise.errors import needs_extra
from likewise.placement import Placement
from likewise.sources.base import PictureSource, Values, Window, bits_of
from likewise.sources.choice import Axes, Choice


def reads_geo() -> bool:
    """Whether rasterio is installed."""
    return find_spec("rasterio") is not None


class GeoSource(PictureSource):
    """A raster with coordinates, its overviews, and places where nothing was recorded (nodata, alpha 0).

    Args:
        path: of the file.
        choice: a band, where they are not colours.

    Raises:
        LikewiseError: a choice is missing, or names what there is not; rasterio is missing.
    """

    def __init__(self, path: Path, choice: Choice) -> None:
        with needs_extra(f"{path} is a raster with coordinates, which", "geo"):
            import rasterio
        self.name, self.choice = str(path), choice
        self._raster = raster = rasterio.open(path)
        colours = [str(each.name) for each in raster.colorinterp]
        self._alpha = colours.index("alpha") + 1 if "alpha" in colours else None
        bands = [number for number in raster.indexes if number != self._alpha]
        are_colours = colours[: len(bands)] == ["red", "green", "blue"] or len(bands) == 1
        told = [raster.descriptions[number - 1] or str(number - 1) for number in bands]
        self.axes = Axes(() if are_colours else tuple(told))
        channel, _, _ = choice.index(self.axes, self.name)
        self._bands = bands if channel is None else [bands[channel]]
        self.sizes = tuple((-(-raster.width // by), -(-raster.height // by)) for by in (1, *raster.overviews(1)))
        dtype = np.dtype(raster.dtypes[self._bands[0] - 1])
        self.bits = bits_of(dtype)
        known = raster.crs is not None and not raster.transform.is_identity
        self.placement = Placement(crs=str(raster.crs), transform=tuple(raster.transform)[:6]) if known else None

    def stored(self, level: int, window: Window) -> Values | np.ma.MaskedArray:
        """What is stored of a window, masked where there is nothing."""
        x0, y0, x1, y1 = window
        across, down = self.factor(level)
        part = ((y0 * down, y1 * down), (x0 * across, x1 * across))
        shape = (y1 - y0, x1 - x0)
        found = self._raster.read(self._bands, window=part, out_shape=(len(self._bands), *shape), masked=True)
        values = np.moveaxis(found, 0, -1)
        if self._alpha is not None:
            clear = self._raster.read(self._alpha, window=part, out_shape=shape) == 0
            values = np.ma.MaskedArray(values, np.ma.getmaskarray(values) | clear[..., None])
        return values

    def close(self) -> None:
        """Let the file go."""
        self._raster.close()
