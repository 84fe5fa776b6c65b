"""A picture's pixels as they are stored, piece by piece, and the RGB or the mask that is made of them.

Nothing here knows files: whoever opens one says how its pieces are read, and the result is put together upright without
a second copy of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.contrast import AUTO, Contrast
from likewise.data.decoders import DamagedError
from likewise.data.intensity import Levels, are_missing, blocks, eight_bits, full_scale, levels_of, sampling_step
from likewise.data.orientation import as_stored

#: A part of a picture: of Pillow, or an array (h, w) or (h, w, C).
Piece = Image.Image | NDArray[Any]
#: A piece, and the rows and columns that it is of.
Placed = tuple[slice, slice, Piece]


@dataclass(frozen=True, eq=False)
class Raster:
    """A picture's pixels as they are stored.

    Attributes:
        name: for messages.
        width: as stored.
        height: likewise.
        pieces: all of it, in any order. Can be called again.
        deep: whether they are arrays of another type than uint8 and bool.
        orientation: EXIF's number.
        lossy: whether black may not be black.
        ours: whether nobody else holds the arrays.
        nodata: the value of pixels that are none, in all their channels; None: there is no such value.
    """

    name: str
    width: int
    height: int
    pieces: Callable[[], Iterator[Placed]]
    deep: bool = False
    orientation: int = 1
    lossy: bool = False
    ours: bool = False
    nodata: float | None = None


def below(pieces: Iterable[Piece]) -> Iterator[Placed]:
    """The places of strips as wide as the picture, from the top."""
    y = 0
    for piece in pieces:
        rows = piece.height if isinstance(piece, Image.Image) else len(piece)
        yield slice(y, y + rows), slice(None), piece
        y += rows


def cut(piece: Piece) -> Iterator[Piece]:
    """Strips of a piece that is decoded."""
    if not isinstance(piece, Image.Image):
        yield from blocks(piece)
        return
    rows = max(1, (1 << 22) // piece.width)
    if rows >= piece.height:
        yield piece
        return
    for y in range(0, piece.height, rows):
        yield piece.crop((0, y, piece.width, min(y + rows, piece.height)))


def colours(raster: Raster, contrast: Contrast = AUTO) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, upright; of 8 bits, the contrast matters only where one is chosen."""
    asked = raster.deep or raster.nodata is not None or contrast != AUTO
    levels, opaque = _levels(raster, contrast) if asked else (None, 255.0)
    return _assembled(raster, lambda piece: _to_rgb(piece, levels, opaque), (3,), np.dtype(np.uint8))


def stored(raster: Raster) -> NDArray[Any]:
    """(H, W, C) of the type that is stored, upright: the values themselves."""
    first = _values(next(iter(raster.pieces()))[2])
    return _assembled(raster, _values, first.shape[2:], first.dtype)


def mask(raster: Raster) -> NDArray[np.bool_]:
    """(H, W) bool, upright: where it is neither black, nor transparent, nor nothing."""
    brightest = (int(_grey(piece).max()) for _, _, piece in raster.pieces()) if raster.lossy else ()
    least = max(brightest, default=0) / 2 if raster.lossy else None
    return _assembled(raster, lambda piece: _marked(piece, least, raster.nodata), (), np.dtype(np.bool_))


def _assembled(
    raster: Raster, make: Callable[[Piece], NDArray[Any]], channels: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """What is made of each piece, put together upright, without a second copy of the whole."""
    height, width = (raster.height, raster.width) if raster.orientation < 5 else (raster.width, raster.height)
    found: NDArray[Any] = np.empty((height, width, *channels), dtype)
    stored, done = as_stored(found, raster.orientation), 0
    for rows, columns, piece in raster.pieces():
        part = make(piece)
        if raster.ours and part is piece and part.shape == found.shape and raster.orientation == 1:
            return part
        stored[rows, columns] = part
        done += part.shape[0] * part.shape[1]
    if done != raster.height * raster.width:
        raise DamagedError(f"it ends early, with {done} of {raster.height * raster.width} pixels")
    return found


def _levels(raster: Raster, contrast: Contrast) -> tuple[Levels, float]:
    """How values become 8 bits, and the one that is opaque: from a regular grid over all pieces."""
    step, found, alphas, y = sampling_step(3 * raster.width * raster.height), [], [], 0
    for _, _, piece in raster.pieces():
        values = _values(piece)
        sample = values[-y % step :: step, ::step].reshape(-1, values.shape[2])
        last = sample.shape[1] - (sample.shape[1] in (2, 4))
        found.append(sample[:, :last])
        alphas.append(sample[:, last:])
        y += len(values)
    levels = levels_of(found, raster.name, contrast, raster.nodata)
    return levels, full_scale(np.concatenate(alphas)) if raster.deep else 255.0


def _values(piece: Piece) -> NDArray[Any]:
    """(h, w, C); of Pillow what its mode holds."""
    if isinstance(piece, Image.Image):
        piece = np.asarray(piece.convert("RGB") if piece.mode in ("P", "CMYK") else piece)
    return piece.reshape(*piece.shape[:2], 1 if piece.ndim == 2 else piece.shape[2])


def _to_rgb(piece: Piece, levels: Levels | None, opaque: float) -> NDArray[np.uint8]:
    """(h, w, 3) uint8; the array itself where it is that already."""
    if levels is None and isinstance(piece, Image.Image):
        return np.asarray(_on_white(piece))
    values = _values(piece)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if levels is None and values.dtype == np.uint8 and values.shape[2] == 3:
        return cast(NDArray[np.uint8], piece)
    alpha = values.shape[2] in (2, 4)
    shown, last = values[..., : values.shape[2] - alpha], values[..., -1:]
    shown = np.broadcast_to(shown if levels is None else levels.apply(shown), (*shown.shape[:2], 3))
    if not alpha:
        return shown
    clear = last if last.dtype == np.uint8 else eight_bits(last, (0.0, opaque))
    return np.asarray(_on_white(Image.fromarray(np.concatenate([shown, clear], axis=2))))


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    # Pillow fills transparent places with whatever colour is stored below them, often black
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def _grey(piece: Piece) -> NDArray[np.uint8]:
    image = piece if isinstance(piece, Image.Image) else Image.fromarray(piece)
    return np.asarray(image.convert("L"))


def _marked(piece: Piece, least: float | None, nodata: float | None) -> NDArray[np.bool_]:
    """Where a piece is something; least: how bright that is in a lossy picture."""
    if least is not None:
        grey = _grey(piece)
        return np.asarray((grey >= least) & (grey > 0))
    values = _values(piece.convert("RGBA") if isinstance(piece, Image.Image) and nodata is None else piece)
    there = ~are_missing(values, nodata).all(2)
    values = np.nan_to_num(values, nan=0)  # scaled to 8 bits, the first of many labels would be 0
    if values.shape[2] in (2, 4):
        return np.asarray(there & (values[..., :-1] != 0).any(2) & (values[..., -1] != 0))
    return np.asarray(there & (values != 0).any(2))
