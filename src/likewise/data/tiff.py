"""TIFF: how many pictures a file holds, and the pixels of those that Pillow does not give as they are.

A TIFF may be a photograph, or a stack of planes, channels and frames as microscopes write them. Which of them is meant
cannot be guessed, so a file with more than one is refused, with what there is. Smaller copies and masks of the same
picture are not counted, and three or four samples a pixel are its colours.
"""

from __future__ import annotations

import logging
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import TiffFile, TiffPage, TiffPageSeries

from likewise.data.intensity import nodata_value
from likewise.data.tiff_bands import ALONE, DEFLATED, STORED, band_bytes, bands, pillow_bands
from likewise.errors import LikewiseError

#: The first bytes of TIFF and of BigTIFF, in both byte orders.
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: What tifffile's letters for axes stand for.
AXES = {"T": "frames", "Z": "planes", "C": "channels", "S": "channels", "I": "pages", "P": "positions", "R": "tiles"}
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2
_ALPHA = (1, 2)
#: A file with more pages is refused before all of them are looked at; a page with more tags is damaged.
MOST_PAGES, MOST_TAGS = 1000, 1000
#: Tags, by TIFF's, Adobe's and GDAL's numbers.
ORIENTATION, DNG_VERSION, GDAL_NODATA = 274, 50706, 42113

# it reports what it makes of odd tags; whether the picture can be read is all that matters here
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


@dataclass(frozen=True)
class TiffPicture:
    """The one picture of a TIFF.

    Attributes:
        width: as stored, before it is turned upright.
        height: likewise.
        samples: a pixel's values, 1 to 4.
        dtype: of the values.
        simple: whether Pillow gives it as it is.
        plain: whether its bytes are 8-bit grey or RGB and nothing else.
        orientation: EXIF's number.
        nodata: the value of pixels that are none; None: there is no such value.
        least: bytes of the smallest part that is decoded at once.
        alone: whether its parts can be decoded one by one.
        values: the values (h, W, samples) of bands from the top, as stored; raises nearly anything on damaged files.
        pictures: the same as Pillow's pictures, where it is simple.
    """

    width: int
    height: int
    samples: int
    dtype: np.dtype[Any]
    simple: bool
    plain: bool
    orientation: int
    nodata: float | None
    least: int
    alone: bool
    values: Callable[[], Iterator[NDArray[Any]]]
    pictures: Callable[[], Iterator[Image.Image]]


def is_tiff(path: Path) -> bool:
    """Whether a file begins as a TIFF does."""
    with path.open("rb") as file:
        return file.read(4) in MAGIC


def read_tiff(path: Path) -> TiffPicture | None:
    """What a TIFF holds; None: its tags cannot be read, and Pillow shall judge.

    Raises:
        LikewiseError: it holds several planes, channels or pages, or a camera's raw data.
    """
    pages = count_pages(path)
    if pages > MOST_PAGES:
        raise LikewiseError(f"{path} holds more than {MOST_PAGES} pages; {_SAVE}")
    try:
        if not pages:
            return None
        with TiffFile(path) as file:
            if DNG_VERSION in file.pages.first.tags:
                raise LikewiseError(f"{path} is a camera's raw data (DNG); develop it to TIFF or JPEG")
            series = only_series(file, path)
            _refuse_several(file, series, path)
            return _described(path, series)
    except LikewiseError:
        raise
    except Exception:  # noqa: BLE001  # tifffile raises nearly anything on broken tags
        return None


def count_pages(path: Path, most: int = MOST_PAGES) -> int:
    """How many pages a TIFF's chain of directories has, counted up to ``most`` + 1; 0: the chain is broken.

    tifffile follows any chain, and reads all tags of every page: of one damaged byte there may be millions.
    """
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\0", b"\0+")
        number, place, size = ("Q", "Q", 20) if big else ("H", "I", 12)
        try:
            (at,) = struct.unpack_from(order + place, head, 8 if big else 4)
            seen: set[int] = set()
            while at and len(seen) <= most:
                file.seek(at)
                (tags,) = struct.unpack(order + number, file.read(struct.calcsize(order + number)))
                if at in seen or not 0 < tags <= MOST_TAGS:
                    return 0
                seen.add(at)
                file.seek(tags * size, os.SEEK_CUR)
                (at,) = struct.unpack(order + place, file.read(struct.calcsize(order + place)))
        except (struct.error, OSError, OverflowError, ValueError):
            return 0
    return len(seen)


def bytes_missing(path: Path) -> int:
    """How many bytes of a TIFF's pixels lie beyond its end; 0: none, or its directories cannot be read."""
    if not 0 < count_pages(path) <= MOST_PAGES:
        return 0
    with suppress(Exception), TiffFile(path) as file:  # tifffile raises nearly anything on broken tags
        ends = [
            offset + count
            for page in file.pages
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
        ]
        return max(0, max(ends) - path.stat().st_size)
    return 0


def only_series(file: TiffFile, path: Path) -> TiffPageSeries:
    """The one series of pages that is no smaller copy, mask or label of another."""
    own = [each for each in file.series if not _is_secondary(each)] or list(file.series[:1])
    if len(own) > 1:
        sizes = ", ".join(f"{each.keyframe.imagewidth} x {each.keyframe.imagelength}" for each in own[:4])
        more = ", ..." if len(own) > 4 else ""
        pages = sum(len(each) for each in own)
        raise LikewiseError(f"{path} holds {pages} pages ({sizes}{more}); {_SAVE}")
    return own[0]


_SAVE = "only one can be read: save the one you want as a picture of its own"


def _is_secondary(series: TiffPageSeries) -> bool:
    page = series.keyframe
    kind = int(page.subfiletype)
    return bool(kind & 0b101) or series.name.lower() in ("thumbnail", "label", "macro", "overview")


def _refuse_several(file: TiffFile, series: TiffPageSeries, path: Path) -> None:
    counts = {axis: size for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YX" and size > 1}
    samples = counts.pop("S", 1)
    page = series.keyframe
    if not are_colours(page, samples):
        counts["S"] = samples
    if not counts:
        return
    names = channel_names(file)
    told = [
        f"{size} {AXES.get(axis, 'planes')}" + (f" ({', '.join(names[:16])})" if axis in "CS" and names else "")
        for axis, size in counts.items()
    ]
    raise LikewiseError(
        f"{path} holds {' and '.join(told)} of {page.imagewidth} x {page.imagelength} pixels "
        f"(axes {series.axes}); {_SAVE}"
    )


def are_colours(page: TiffPage, samples: int) -> bool:
    """Whether a pixel's values are grey or colours, perhaps with an alpha, rather than channels of an instrument."""
    alpha = bool(page.extrasamples) and page.extrasamples[-1] in _ALPHA
    if page.photometric == _RGB and samples == 4:  # Photoshop keeps a selection as a fourth channel beside the colours
        return True
    return samples in (1, 3) or (samples in (2, 4) and (alpha or page.photometric > _RGB))


def channel_names(file: TiffFile) -> list[str]:
    """What OME or ImageJ call the channels."""
    if file.ome_metadata:
        return re.findall(r'<Channel\b[^>]*?\bName="([^"<]*)"', file.ome_metadata)
    labels = (file.imagej_metadata or {}).get("Labels")
    if isinstance(labels, str):
        return [labels]
    return [str(label) for label in labels] if isinstance(labels, (list, tuple)) else []


def _described(path: Path, series: TiffPageSeries) -> TiffPicture:
    page = series.keyframe
    samples = int(dict(zip(series.axes, series.shape, strict=True)).get("S", 1))
    eight = page.dtype is None or page.dtype.kind == "b" or page.bitspersample <= 8
    usual = page.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK) or samples == 1
    alike = (page.photometric, samples) in ((_RGB, 3), (_MIN_IS_BLACK, 1)) and page.bitspersample == 8
    dtype = np.dtype(page.dtype or np.uint8)
    orientation = page.tags.valueof(ORIENTATION, 1)
    selection = page.photometric == _RGB and samples == 4 and page.extrasamples[-1:] not in ((1,), (2,))
    nodata = page.tags.valueof(GDAL_NODATA)
    return TiffPicture(
        width=int(page.imagewidth),
        height=int(page.imagelength),
        samples=samples,
        dtype=dtype,
        simple=eight and usual and not (page.dtype is not None and page.dtype.kind == "i"),
        plain=eight and alike and page.compression in (*STORED, *DEFLATED),
        orientation=orientation if orientation in range(1, 9) else 1,
        nodata=nodata_value(nodata, dtype) if isinstance(nodata, str) else None,
        least=band_bytes(page),
        alone=int(page.compression) in ALONE,
        values=lambda: (band[..., :3] if selection else band for band in bands(path, page)),
        pictures=lambda: pillow_bands(path, page),
    )
