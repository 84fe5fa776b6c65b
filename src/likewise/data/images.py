"""Any picture, as 8-bit RGB or as a mask.

One reader serves Python, the command line and the workbench. It opens what `likewise.data.decoders` lists, reads values
of more than 8 bits as `likewise.data.intensity` says, turns pictures upright, and works in strips of rows: it needs
three bytes a pixel for the result and little beside it, wherever the file's format allows.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from likewise.data import jpeg, png
from likewise.data.bitmaps import plain_rows
from likewise.data.contrast import AUTO, Contrast
from likewise.data.decoders import IMAGE_SUFFIXES, is_address, open_image, other_kind, without_pillows_limit
from likewise.data.deep_colours import deep_colours, jpeg2000_tile
from likewise.data.intensity import blocks, check_type
from likewise.data.memory import check_memory, check_whole
from likewise.data.orientation import orientation_of
from likewise.data.raster import Piece, Placed, Raster, below, colours, cut, mask, stored
from likewise.data.tiff import TiffPicture, is_tiff, read_tiff
from likewise.data.unreadable import unreadable
from likewise.errors import LikewiseError, nearest

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "ImageSource", "natural", "pixel_bound", "read_image", "read_mask"]
__all__ += ["read_stored"]

#: Pictures with more pixels than this are refused before they are decoded: 3 bytes a pixel, so 3 GB.
MAX_PIXELS = 1_000_000_000
#: The name of an environment variable with another bound.
BOUND_VARIABLE = "LIKEWISE_MAX_PIXELS"
#: Pictures with more pixels than this are decoded with care for memory.
LARGE = 1 << 25

#: Pillow's names of formats that do not keep black black.
LOSSY = ("JPEG", "MPO")
#: Formats whose further frames belong to the first one: phones write ordinary photographs with a preview, a depth map
#: or the other eye's view behind them. The first is the photograph.
PRIMARY_FIRST = ("MPO", "HEIF")

ImageSource = str | os.PathLike[str] | Image.Image | NDArray[np.generic]
_Making = Callable[[Raster], NDArray[Any]]


def read_image(source: ImageSource, *, contrast: Contrast = AUTO, max_pixels: int | None = None) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8 RGB, whatever it was before.

    EXIF rotation is applied, transparency is laid on white, palettes and CMYK become RGB. What has 8 bits is taken as
    it is. Of more bits, and of floats, a thousandth of the values is black and a thousandth white, and what lies
    between is spread evenly, with one range for all colours. What is no value (NaN, infinite, a TIFF's nodata) is
    nothing: it has no say in the range, and becomes the picture's median. Values that lie in [0, 1] (floats) or
    [0, 255] and fill at least half of it, and 8-bit values in a wider type, keep their meaning
    (`likewise.data.intensity`).

    Args:
        source: a path, a Pillow picture, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) in RGB(A) order.
        contrast: which values become black and white; where nothing is said, as above.
        max_pixels: larger pictures are refused before they are decoded; None: `pixel_bound`.

    Returns:
        A new array (H, W, 3), contiguous.

    Raises:
        LikewiseError: no such file, not a picture, one of several planes, channels, frames or pages, a damaged or too
            large one (its name is in the message), an array of another shape or without a finite value.
    """
    if not isinstance(source, np.ndarray):
        return _read(source, max_pixels, lambda raster: colours(raster, contrast))
    channels = 1 if source.ndim == 2 else source.shape[-1] if source.ndim == 3 else 0
    if channels not in (1, 3, 4) or 0 in source.shape:
        raise LikewiseError(f"the array has shape {source.shape}; expected (H, W), (H, W, 3) or (H, W, 4), RGB")
    return colours(_of_array(source, "the array"), contrast)


def read_mask(source: str | os.PathLike[str] | Image.Image, *, max_pixels: int | None = None) -> NDArray[np.bool_]:
    """Where a picture is neither black nor transparent, (H, W); EXIF rotation is applied.

    JPEG's compression leaves traces round everything: there, where it is at least half as bright as anywhere.

    Args:
        source: a path or a Pillow picture of any kind: black and white, labels in any number of bits, a cut-out.
        max_pixels: larger pictures are refused before they are decoded; None: `pixel_bound`.

    Raises:
        LikewiseError: as `read_image`.
    """
    return _read(source, max_pixels, mask)


def read_stored(source: ImageSource) -> NDArray[Any]:
    """A picture's values as they are stored, (H, W, C) of their own type, upright; what `read_image` makes 8 bits of.

    C is 1 for grey and 3 for colours, and one more with transparency; a palette and CMYK become RGB.

    Args:
        source: as of `read_image`.

    Raises:
        LikewiseError: as `read_image`.
    """
    if isinstance(source, np.ndarray):
        return source.reshape(*source.shape[:2], -1)
    return _read(source, None, stored)


def pixel_bound() -> int:
    """The most pixels a picture may have: the number in LIKEWISE_MAX_PIXELS, or `MAX_PIXELS`.

    Raises:
        LikewiseError: the variable holds no whole number above 0.
    """
    text = os.environ.get(BOUND_VARIABLE, "")
    if text and not (text.isdecimal() and int(text)):
        raise LikewiseError(f"{BOUND_VARIABLE}={text}: expected a whole number of pixels, such as {2 * MAX_PIXELS}")
    return int(text or MAX_PIXELS)


def _read(source: str | os.PathLike[str] | Image.Image, max_pixels: int | None, make: _Making) -> NDArray[Any]:
    most = pixel_bound() if max_pixels is None else max_pixels
    path = _path_of(source)
    if path is None:
        image = cast(Image.Image, source)
        name = str(getattr(image, "filename", "") or "the picture")
        return _guarded(name, None, lambda: make(_of_image(image, name, most)))
    if not path.is_file():
        raise LikewiseError(_missing(path, str(source)))
    return _guarded(str(path), path, lambda: _read_file(path, most, make))


def _path_of(source: str | os.PathLike[str] | Image.Image) -> Path | None:
    """Where to read from; None: from the Pillow picture itself."""
    if not isinstance(source, Image.Image):
        return Path(source)
    name = getattr(source, "filename", "")
    if not (isinstance(source, ImageFile.ImageFile) and source.tile and source.tell() == 0 and name):
        return None
    # Pillow keeps a byte of 16 and the first of many planes: as long as it has not begun, the file is read instead
    partial_only = source.format in ("TIFF", "PPM") or (source.mode in ("RGB", "RGBA") and ";16" in str(source.tile))
    if not (partial_only and Path(name).is_file()):
        return None
    with contextlib.suppress(
        Exception
    ):  # so that the caller's picture is as it is after any other: decoded, and closed
        source.load()
    return Path(name)


def _guarded(name: str, path: Path | None, work: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """What work gives; whatever a decoder raises becomes an error with the picture's name."""
    try:
        with warnings.catch_warnings(), without_pillows_limit():
            warnings.simplefilter("ignore")  # decoders warn of tags, which do not matter here
            return work()
    except LikewiseError:
        raise
    except Exception as error:  # decoders of damaged files raise nearly anything: OSError, SyntaxError, struct.error
        raise unreadable(name, path, error) from error


def _read_file(path: Path, most: int, make: _Making) -> NDArray[Any]:
    header = png.read_header(path)
    if header is not None:
        _check_frames(header.frames, str(path))
        _check_size(header.width, header.height, str(path), most)
        if header.deep or _is_large(header.width, header.height):
            return make(_of_png(path, header))
    tiff = read_tiff(path) if is_tiff(path) else None
    if tiff is not None:
        _check_size(tiff.width, tiff.height, str(path), most)
        wanted = _is_large(tiff.width, tiff.height) or tiff.nodata is not None
        if not tiff.simple or (wanted and tiff.alone):
            return make(_of_tiff(path, tiff, most))
    with open_image(path) as image:
        _check_size(*image.size, str(path), most)
        values = deep_colours(path, image)
        if values is not None:
            return make(_of_array(values, str(path)))
        if _is_large(*image.size):
            return make(_of_large(path, image, most, tiff))
        return make(_of_image(image, str(path), most, tiff))


def _of_png(path: Path, header: png.Header) -> Raster:
    with open_image(path) as image:  # its pixels are not decoded
        if header.exif is not None:
            image.info["exif"] = header.exif
        orientation = orientation_of(image)
    return Raster(str(path), header.width, header.height, partial(png.strips, path, header), header.deep, orientation)


def _of_tiff(path: Path, tiff: TiffPicture, most: int) -> Raster:
    """A TIFF in bands; a small one is decoded once."""
    name, large = str(path), _is_large(tiff.width, tiff.height)
    why = "a part of it that has to be decoded at once is large"
    check_memory((tiff.width, tiff.height), 3, name, max(most, MAX_PIXELS), why, extra=4 * tiff.least)
    deep = tiff.dtype not in (np.uint8, np.bool_)
    check_type(tiff.dtype, name)
    bands: Callable[[], Iterator[Piece]] = tiff.pictures if tiff.simple and not tiff.plain else tiff.values
    if not large:
        bands = partial(iter, list(bands()))

    def strips() -> Iterator[Placed]:
        return below(strip for band in bands() for strip in cut(band))

    return Raster(name, tiff.width, tiff.height, strips, deep, tiff.orientation, nodata=tiff.nodata)


def _of_large(path: Path, image: Image.Image, most: int, tiff: TiffPicture | None) -> Raster:
    """A picture for which memory matters, of a format that is neither PNG nor TIFF in parts."""
    lossy, bound = image.format in LOSSY, max(most, MAX_PIXELS)
    orientation = orientation_of(image)
    if lossy:
        if jpeg.comes_in_scans(path, image):
            need = 3 + jpeg.held_bytes(image) + (4 if image.mode == "CMYK" else 0)
            check_memory(image.size, need, str(path), bound, "as a progressive JPEG it is decoded whole")
        if image.mode in ("L", "RGB"):
            pieces = partial(_once, path)
            return Raster(str(path), *image.size, pieces, orientation=orientation, lossy=True, ours=True)
    if plain_rows(path, image) is not None:
        rows = partial(plain_rows, path, image)
        return Raster(str(path), *image.size, lambda: below(cast(Iterator[Piece], rows())), orientation=orientation)
    check_whole(image, str(path), bound, jpeg2000_tile(path) if image.format == "JPEG2000" else None)
    return _of_image(image, str(path), most, tiff)


def _once(path: Path) -> Iterator[Placed]:
    yield slice(None), slice(None), jpeg.decoded(path)


def _of_array(values: NDArray[Any], name: str, *, ours: bool = False) -> Raster:
    check_type(values.dtype, name)
    height, width = values.shape[:2]
    deep = values.dtype not in (np.uint8, np.bool_)
    return Raster(name, width, height, lambda: below(blocks(values)), deep=deep, ours=ours)


def _of_image(image: Image.Image, name: str, most: int, tiff: TiffPicture | None = None) -> Raster:
    """A Pillow picture's pixels; those of a file are decoded here."""
    _check_size(*image.size, name, most)
    if tiff is None and image.format not in PRIMARY_FIRST and image.tell() == 0:
        _check_frames(getattr(image, "n_frames", 1), name)
    lossy, orientation = image.format in LOSSY, None
    if image.format == "TIFF" and isinstance(image, ImageFile.ImageFile) and image.tile:
        _keep_only_orientation(image)
    image.load()
    orientation = 1 if image.format == "TIFF" else orientation_of(image)  # of TIFF, Pillow turns the pixels itself
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        return Raster(name, *image.size, lambda: below(blocks(values)), deep=True, orientation=orientation)
    return Raster(name, *image.size, lambda: below(cut(image)), orientation=orientation, lossy=lossy)


def _keep_only_orientation(image: Image.Image) -> None:
    """Let Pillow, which looks through a TIFF's EXIF as it decodes it, find nothing there that can be broken."""
    exif = Image.Exif()
    exif[0x0112] = orientation_of(image)
    image.getexif = lambda: exif  # type: ignore[method-assign]


def _is_large(width: int, height: int) -> bool:
    return width * height > LARGE


def _check_frames(frames: int, name: str) -> None:
    if frames > 1:
        raise LikewiseError(
            f"{name} holds {frames} frames or pages; only one can be read: save the one you want as a picture of its "
            "own (in Python: image.seek(number), then image.copy())"
        )


def _check_size(width: int, height: int, name: str, most: int) -> None:
    if width * height > most:
        raise LikewiseError(
            f"{name} is {width} x {height} pixels, more than the {most / 1e6:g} million that are read "
            f"({3 * most / 1e9:.2g} GB); crop or reduce it, or raise {BOUND_VARIABLE}"
        )


def _missing(path: Path, text: str) -> str:
    if path.is_dir():
        kind = other_kind(path)
        return f"{path} is {kind[0]}; {kind[1]}" if kind else f"{path} is a folder; expected a picture"
    if is_address(text):
        return f"{text} is an address; download the picture and give its file"
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which is not there"
    if path.exists():
        return f"{path} is a pipe or a device; expected a file"
    there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"no such file: {path}{nearest(path.name, there)}"


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by that puts IMG_9 before IMG_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
