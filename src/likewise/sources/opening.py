"""Which kind of source a file is."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from tifffile import TiffFile

from likewise.data.decoders import SLIDE_SUFFIXES
from likewise.data.images import LARGE, ImageSource
from likewise.data.tiff import (
    DNG_VERSION,
    GDAL_NODATA,
    ORIENTATION,
    are_colours,
    count_pages,
    is_tiff,
    only_series,
)
from likewise.data.unreadable import unreadable
from likewise.errors import LikewiseError
from likewise.sources.base import PictureSource
from likewise.sources.choice import PLAIN, Choice
from likewise.sources.plain import PlainSource

#: Stacks of more pages than this are not opened: tifffile would read the tags of each.
MOST_PAGES = 100_000
_GEO_TAGS = (33550, 34264, 34735)  # pixel scale, transformation, keys


def open_source(picture: ImageSource | PictureSource, choice: Choice = PLAIN) -> PictureSource:
    """Open a picture of any kind, to be read in parts.

    Args:
        picture: a path, a Pillow picture or an array as `likewise.data.images.read_image` takes them; or a source,
            which is given back.
        choice: which channel, plane and frame of it, and its contrast.

    Raises:
        LikewiseError: no such file, nothing that is read, or a damaged one; several planes, channels or frames and no
            choice among them; an extra is missing.

    Example:
        >>> from skimage import data
        >>> with open_source(data.coins()) as source:
        ...     source.width, source.height, source.read((0, 0, 100, 50), scale=0.5).shape
        (384, 303, (25, 50, 3))
    """
    if isinstance(picture, PictureSource):
        return picture
    if not isinstance(picture, (str, os.PathLike)):
        return PlainSource(picture, choice)
    path = Path(picture)
    try:
        return _opened(path, choice)
    except LikewiseError:
        raise
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise unreadable(str(path), path, error) from error


def _opened(path: Path, choice: Choice) -> PictureSource:
    from likewise.sources.film import FILM_SUFFIXES, open_frame
    from likewise.sources.slide import SlideSource
    from likewise.sources.zarr import ZarrSource, is_zarr

    if is_zarr(path):
        return ZarrSource(path, choice)
    if not path.is_file():
        return PlainSource(path, choice)  # which says what is wrong
    if path.suffix.lower() in FILM_SUFFIXES:
        return open_frame(path, choice)
    if path.suffix.lower() in SLIDE_SUFFIXES:
        return SlideSource(path, choice)
    return (_tiff(path, choice) if is_tiff(path) else None) or PlainSource(path, choice)


def _tiff(path: Path, choice: Choice) -> PictureSource | None:
    """A TIFF whose tags tell what it is; None: they cannot be read, or only Pillow reads it."""
    from likewise.sources.geo import GeoSource, reads_geo
    from likewise.sources.tiff import TiffSource, decodes, placement_in

    if not 0 < count_pages(path, MOST_PAGES) <= MOST_PAGES:
        return None
    try:
        with TiffFile(path) as file:
            page = file.pages.first
            if DNG_VERSION in page.tags:  # a camera's raw data
                return None
            if any(tag in page.tags for tag in _GEO_TAGS) and reads_geo():
                return GeoSource(path, choice)
            series = only_series(file, path)
            several = any(n > 1 for axis, n in zip(series.axes, series.shape, strict=True) if axis not in "YXS")
            several |= not are_colours(page, dict(zip(series.axes, series.shape, strict=True)).get("S", 1))
            asked = several or choice.is_made()
            if not asked and (page.tags.valueof(ORIENTATION, 1) != 1 or not decodes(page)):
                return None
            gaps = series.dtype.kind == "f" or GDAL_NODATA in page.tags
            large = page.imagewidth * page.imagelength > LARGE and find_spec("zarr") is not None
            placement = placement_in(file)
    except LikewiseError:
        raise
    except Exception:  # noqa: BLE001  # tifffile raises nearly anything on broken tags
        return None
    if asked or gaps or large:
        return TiffSource(path, choice)
    plain = PlainSource(path, choice)
    plain.placement = placement
    return plain
