"""Large pictures in parts: tiles of one size, as they are or reduced by a power of two, encoded for the page.

Convention
----------
A picture whose longer side is above `SHOWN` is shown reduced to that, and tiles show the rest: that of column c and row
r, reduced R times, covers ``TILE * R`` pixels of the picture a side, from (c * TILE * R, r * TILE * R) on.
"""

from __future__ import annotations

import io
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.app.limits import RefusedError
from likewise.app.opened import SHOWN, encoded_picture, named, opened
from likewise.app.picture_store import Picture
from likewise.sources import PictureSource, Window

#: Side of a tile, pixels; those at the right and lower edge are smaller.
TILE = 512
#: Pixels of a picture that are read at once for a tile.
AT_ONCE = 1 << 24


def is_tiled(picture: Picture) -> bool:
    """Whether a picture is larger than what is shown of it as a whole."""
    return max(picture.width, picture.height) > SHOWN


class Front:
    """The large picture that somebody looks at, kept open: its next part comes at once. For one thread."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._picture: Picture | None = None
        self._source: PictureSource | None = None

    def overview(self, picture: Picture) -> tuple[bytes, str]:
        """All of a picture, reduced, and its media type.

        Raises:
            LikewiseError: it cannot be read.
        """
        with named(picture):
            return encoded_picture(Image.fromarray(self._of(picture).thumbnail(SHOWN)))

    def tile(self, picture: Picture, reduction: int, column: int, row: int) -> bytes:
        """A tile, JPEG.

        Raises:
            RefusedError: there is no such tile.
            LikewiseError: it cannot be read.
        """
        window = tile_window((picture.width, picture.height), reduction, column, row)
        with named(picture):
            image = Image.fromarray(reduced(self._of(picture), window, reduction))
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=92)
        return encoded.getvalue()

    def let_go(self) -> None:
        """Close what is open."""
        self._open.close()
        self._picture = self._source = None

    def _of(self, picture: Picture) -> PictureSource:
        if self._source is None or self._picture != picture:
            self.let_go()
            self._source, self._picture = self._open.enter_context(opened(picture)), picture
        return self._source


def tile_window(size: tuple[int, int], reduction: int, column: int, row: int) -> Window:
    """What a tile covers of a picture of (width, height).

    Raises:
        RefusedError: nothing, or the reduction is no power of two.
    """
    if reduction & (reduction - 1):
        raise RefusedError(
            422, f"reduction = {reduction}: expected a power of two, such as {1 << reduction.bit_length()}"
        )
    side = TILE * reduction
    columns, rows = (-(-length // side) for length in size)
    if column >= columns or row >= rows:
        raise RefusedError(
            404, f"there is no tile {column}, {row} at 1:{reduction}; the last one is {columns - 1}, {rows - 1}"
        )
    return column * side, row * side, min((column + 1) * side, size[0]), min((row + 1) * side, size[1])


def reduced(source: PictureSource, window: Window, reduction: int) -> NDArray[np.uint8]:
    """A part of a picture, reduced: (h, w, 3). Where no smaller copy is in the file, it is read band by band."""
    x0, y0, x1, y1 = window
    rows = max(1, AT_ONCE // ((x1 - x0) * reduction)) * reduction
    bands = [(x0, y, x1, min(y + rows, y1)) for y in range(y0, y1, rows)]
    return np.concatenate([source.read(band, 1 / reduction) for band in bands])
