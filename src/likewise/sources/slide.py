"""Whole slides, in the formats of the scanners' makers, by large-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data.decoders import DamagedError
from likewise.data.tiff import bytes_missing, is_tiff
from likewise.errors import needs_extra
from likewise.placement import Placement
from likewise.sources.base import PictureSource, Window
from likewise.sources.choice import Choice


class SlideSource(PictureSource):
    """A slide, seen at each half of its size.

    Args:
        path: of the file.
        choice: of which only the contrast matters: a slide is in colours.

    Raises:
        LikewiseError: large-image is missing; a channel, plane or frame is chosen.
    """

    def __init__(self, path: Path, choice: Choice) -> None:
        with needs_extra(f"{path} is a whole slide, which", "slide"):
            import large_image
        self.name, self.choice = str(path), choice
        choice.index(self.axes, self.name)
        missing = bytes_missing(path) if is_tiff(path) else 0
        if missing:  # some readers of slides take what is not there for black
            raise DamagedError(f"it ends early: {missing} bytes of its pixels are missing; copy it again")
        self._numpy = large_image.constants.TILE_FORMAT_NUMPY
        self._slide = large_image.open(str(path))
        told = self._slide.getMetadata()
        width, height = int(told["sizeX"]), int(told["sizeY"])
        halves = range(max(1, int(told["levels"])))
        self.sizes = tuple((max(1, width >> half), max(1, height >> half)) for half in halves)
        sides = told.get("mm_x"), told.get("mm_y")
        self.placement = Placement(micrometres=(sides[0] * 1e3, sides[1] * 1e3)) if all(sides) else None

    def stored(self, level: int, window: Window) -> NDArray[np.uint8]:
        """The colours of a window, on white where the scanner saw nothing."""
        x0, y0, x1, y1 = window
        across, down = self.factor(level)
        region = {
            "left": x0 * across,
            "top": y0 * down,
            "right": x1 * across,
            "bottom": y1 * down,
            "units": "base_pixels",
        }
        size = {"maxWidth": x1 - x0, "maxHeight": y1 - y0}
        found, _ = self._slide.getRegion(region=region, output=size, format=self._numpy)
        values = np.asarray(found)
        if values.shape[2] in (2, 4):
            alpha = values[..., -1:].astype(np.float32) / 255
            values = np.rint(values[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        return _fitted(values[..., :3], y1 - y0, x1 - x0)


def _fitted(values: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Exactly so many rows and columns: what is cut or scaled elsewhere may be off by one."""
    rows = np.minimum(np.arange(height), values.shape[0] - 1)
    columns = np.minimum(np.arange(width), values.shape[1] - 1)
    return values if values.shape[:2] == (height, width) else values[rows[:, None], columns]
