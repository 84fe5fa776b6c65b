"""TIFF in parts: stacks, channels and pyramids, OME's and ImageJ's names and pixel sizes, by tifffile (and zarr)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TiffFile, TiffPage, TiffPageSeries

from likewise.data.intensity import nodata_value
from likewise.data.tiff import GDAL_NODATA, are_colours, channel_names, only_series
from likewise.data.tiff_bands import DEFLATED, STORED, as_bright
from likewise.errors import needs_extra
from likewise.placement import Placement
from likewise.sources.base import Values, Window, bits_of
from likewise.sources.choice import Axes, Choice
from likewise.sources.stack import MICROMETRES, StackSource

#: Without zarr a stack of more bytes than this is not read: it would have to be decoded whole.
WHOLE = 1 << 30
#: tifffile's letters for time and depth; what else there is several of are channels.
TIME, DEPTH = "T", "Z"
_ALPHA = (1, 2)


def decodes(page: TiffPage) -> bool:
    """Whether tifffile can decode a page with what is installed."""
    return page.compression in (*STORED, *DEFLATED) or find_spec("imagecodecs") is not None


class TiffSource(StackSource):
    """A TIFF, of any number of planes, channels and frames, and its smaller copies.

    Args:
        path: of the file.
        choice: one channel, plane and frame, where there are several.

    Raises:
        LikewiseError: a choice is missing, or names what there is not; extras are missing.
    """

    def __init__(self, path: Path, choice: Choice) -> None:
        self.name, self.choice = str(path), choice
        self._file = TiffFile(path)
        try:
            self._series = series = only_series(self._file, path)
            self._page = series.keyframe
            lengths = dict(zip(series.axes, series.shape, strict=True))
            self._colours_last = are_colours(self._page, lengths.get("S", 1))
            self.axes = _axes(lengths, channel_names(self._file), colours=self._colours_last)
            self._channel, self._z, self._frame = choice.index(self.axes, self.name)
            self._levels = [level for level in series.levels if level.axes == series.axes]
            self._arrays: dict[int, Any] = {}
            self.sizes = tuple(map(_size, self._levels))
            dtype = np.dtype(series.dtype)
            self.bits = bits_of(dtype)
            nodata = self._page.tags.valueof(GDAL_NODATA)
            self._nodata = nodata_value(nodata, dtype) if isinstance(nodata, str) else None
            self.placement = placement_in(self._file)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Let the file go."""
        self._arrays.clear()
        self._file.close()

    def plane(self, level: int, window: Window, z: int) -> Values | np.ma.MaskedArray:
        """What is stored of a window; a transparent pixel is nothing."""
        x0, y0, x1, y1 = window
        chosen: dict[str, int | slice] = {"Y": slice(y0, y1), "X": slice(x0, x1), TIME: self._frame, DEPTH: z}
        axes = self._levels[level].axes
        if self._colours_last:
            chosen["S"] = slice(None)
        for axis, number in zip(_channel_axes(axes, colours=self._colours_last), self._of_channel(), strict=True):
            chosen[axis] = number
        try:
            values = np.asarray(self._array(level)[tuple(chosen[axis] for axis in axes)])
        except ValueError as error:
            if "imagecodecs" in str(error):
                with needs_extra(f"{self.name} is compressed in a way that", "bio"):
                    raise ModuleNotFoundError(name="imagecodecs") from error
            raise
        if self._colours_last and "S" in axes:
            left = [axis for axis in axes if isinstance(chosen[axis], slice)]
            values = np.moveaxis(values, left.index("S"), -1)
        found = self._without_alpha(as_bright(values.reshape(y1 - y0, x1 - x0, -1), self._page))
        return found if self._nodata is None else np.ma.MaskedArray(found, found == self._nodata)

    def _of_channel(self) -> tuple[int, ...]:
        """The place of the channel along every axis that is neither of the picture's nor depth nor time."""
        axes = _channel_axes(self._series.axes, colours=self._colours_last)
        lengths = [self._series.shape[self._series.axes.index(axis)] for axis in axes]
        return tuple(int(place) for place in np.unravel_index(self._channel or 0, lengths)) if axes else ()

    def _without_alpha(self, values: Values) -> Values | np.ma.MaskedArray:
        if values.shape[2] not in (2, 4):
            return values
        colours, alpha = values[..., :-1], values[..., -1:]
        if not set(self._page.extrasamples[-1:]) & set(_ALPHA):
            return colours
        return np.ma.MaskedArray(colours, np.broadcast_to(alpha == 0, colours.shape))

    def _array(self, level: int) -> Any:
        """A level as an array that is read where it is cut; whole, where zarr is not there and it is small."""
        if level not in self._arrays:
            series = self._levels[level]
            if find_spec("zarr") is None and series.nbytes <= WHOLE:
                self._arrays[level] = series.asarray()
                return self._arrays[level]
            with needs_extra(f"{self.name} is too large to be read whole, which otherwise", "bio"):
                import zarr

            self._arrays[level] = zarr.open(self._series.aszarr(level=self._series.levels.index(series)), mode="r")
        return self._arrays[level]


def _size(series: TiffPageSeries) -> tuple[int, int]:
    """(width, height) of a level."""
    lengths = dict(zip(series.axes, series.shape, strict=True))
    return int(lengths["X"]), int(lengths["Y"])


def _channel_axes(axes: str, *, colours: bool) -> list[str]:
    """The axes along which lie channels, positions, pages and whatever else there may be several of."""
    return [axis for axis in axes if axis not in ("Y", "X", TIME, DEPTH) and not (axis == "S" and colours)]


def _axes(lengths: Mapping[str, int], names: list[str], *, colours: bool) -> Axes:
    several = int(np.prod([lengths[axis] for axis in _channel_axes("".join(lengths), colours=colours)]))
    channels = () if several == 1 else tuple(names) if len(names) == several else tuple(map(str, range(several)))
    return Axes(channels, int(lengths.get(DEPTH, 1)), int(lengths.get(TIME, 1)))


def placement_in(file: TiffFile) -> Placement | None:
    """How large a pixel is, where OME or ImageJ say it in a unit of length."""
    found = _of_ome(file.ome_metadata) if file.ome_metadata else _of_imagej(file)
    return None if found is None or not all(0 < side < np.inf for side in found) else Placement(micrometres=found)


def _of_ome(text: str) -> tuple[float, float] | None:
    sides = []
    for axis in "XY":
        size = re.search(rf'PhysicalSize{axis}="([^"]+)"', text)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', text)
        factor = MICROMETRES.get(unit.group(1) if unit else "um")
        if size is None or factor is None:
            return None
        sides.append(float(size.group(1)) * factor)
    return sides[0], sides[1]


def _of_imagej(file: TiffFile) -> tuple[float, float] | None:
    factor = MICROMETRES.get(str((file.imagej_metadata or {}).get("unit")))
    tags = file.pages.first.tags
    across, down = tags.valueof("XResolution"), tags.valueof("YResolution")
    if factor is None or not across or not down:
        return None
    return factor * across[1] / max(across[0], 1), factor * down[1] / max(down[0], 1)
