"""Pictures opened: their pixels, as they are worked with and as the page shows them, and what their files tell."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.app.limits import RefusedError
from likewise.app.picture_store import Picture
from likewise.app.requests import Seen
from likewise.app.upload_checks import FIRST
from likewise.data.decoders import SLIDE_SUFFIXES, open_image
from likewise.data.images import pixel_bound, read_image
from likewise.data.tiff import is_tiff
from likewise.errors import LikewiseError
from likewise.results.pixel_size import pixel_size
from likewise.sources import GIANT, PLAIN, Axes, Choice, PictureSource, open_source

#: Longest side of what the page shows of a picture, and of its small picture in the table.
SHOWN, SMALL = 4096, 160
#: Shown pictures with at most this many pixels are sent without loss.
LOSSLESS = 1_500_000


def chosen(picture: Picture, seen: Seen | None) -> Picture:
    """A picture, as a part of its file.

    Raises:
        LikewiseError: what was said of it means nothing.
    """
    return picture if seen is None else replace(picture, choice=seen.choice())


@contextmanager
def opened(picture: Picture) -> Iterator[PictureSource]:
    """A picture's source, closed afterwards.

    Raises:
        RefusedError: it is a stack, and what of it is meant was not said, or is not there.
        LikewiseError: it cannot be read; its name is in the message, its path is not.
    """
    try:
        source = open_source(picture.path, picture.choice)
    except LikewiseError as error:
        raise _told(picture, str(error).replace(str(picture.path), picture.name)) from None
    with named(picture), source:
        yield source


@contextmanager
def named(picture: Picture) -> Iterator[None]:
    """What goes wrong with a picture meanwhile is told by its name, without its path."""
    try:
        yield
    except LikewiseError as error:
        if str(picture.path) not in str(error):
            raise
        raise LikewiseError(str(error).replace(str(picture.path), picture.name)) from None


def is_giant(picture: Picture) -> bool:
    """Whether a picture is too large to be held in memory where that can be helped."""
    return picture.width * picture.height > GIANT


def in_parts(picture: Picture) -> bool:
    """Whether a picture is a giant of which only what is looked at is read."""
    return is_giant(picture) and _has_more(picture) and find_spec("zarr") is not None


def check_whole(picture: Picture) -> None:
    """See that a picture may be read whole.

    Raises:
        RefusedError: it is too large for that.
    """
    if picture.width * picture.height > pixel_bound():
        raise RefusedError(
            413,
            f"{picture.name} is {picture.width} x {picture.height} pixels, too large to be looked at whole; "
            "count in it by boxes, or crop it first",
        )


def _told(picture: Picture, error: str) -> LikewiseError:
    """Why a picture cannot be opened: a file of which something else could be opened is not damaged."""
    there = axes_of(picture)
    if there is None:
        return LikewiseError(error)
    if picture.choice.is_made():
        return RefusedError(422, error)
    sizes = {"channel": len(there.channels), "z": there.planes, "frame": there.frames}
    several = ", ".join(f"{size} of {what}" for what, size in sizes.items() if size > 1)
    names = f" (channels {', '.join(there.channels[:16])})" if there.channels else ""
    return RefusedError(422, f"{picture.name} is a stack{names}: {several}; say with seen which of them is the picture")


def axes_of(picture: Picture) -> Axes | None:
    """What there is several of in a file, whatever is chosen of it; None: it cannot be opened."""
    with suppress(LikewiseError), open_source(picture.path, FIRST) as source:
        return source.axes
    return None


def pixels_of(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3) uint8.

    Raises:
        LikewiseError: as `opened`; or it is too large.
    """
    check_whole(picture)
    with opened(picture) as source:
        return source.whole()[0]


def drawn_on(picture: Picture) -> NDArray[np.uint8]:
    """What results are drawn on: (H, W, 3) uint8, the picture or, of a giant, a reduced copy of it.

    Raises:
        LikewiseError: as `opened`.
    """
    if not is_giant(picture):
        return pixels_of(picture)
    with opened(picture) as source:
        return source.thumbnail(SHOWN)


def shown(picture: Picture, *, small: bool = False) -> tuple[bytes, str]:
    """The picture encoded anew for the page, and its media type.

    Raises:
        LikewiseError: as `opened`; but of a stack of which nothing was said, the small one shows the first.
    """
    image = Image.fromarray(_small_pixels(picture) if small else pixels_of(picture))
    side = SMALL if small else SHOWN
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.BILINEAR if small else Image.Resampling.LANCZOS)
    return encoded_picture(image, small=small)


def encoded_picture(image: Image.Image, *, small: bool = False) -> tuple[bytes, str]:
    """A picture encoded for the page, and its media type."""
    encoded = io.BytesIO()
    if not small and image.width * image.height <= LOSSLESS:
        image.save(encoded, "PNG", compress_level=1)
        return encoded.getvalue(), "image/png"
    image.save(encoded, "JPEG", quality=80 if small else 92)
    return encoded.getvalue(), "image/jpeg"


def _small_pixels(picture: Picture) -> NDArray[np.uint8]:
    """As `pixels_of`, but a JPEG is decoded at a fraction of its size: a folder's small pictures come in seconds."""
    if picture.choice == PLAIN and not is_giant(picture):
        with suppress(Exception), open_image(picture.path) as image:  # whatever it is, reading all of it says what
            image.draft("RGB", (2 * SMALL, 2 * SMALL))
            return read_image(image)
    try:
        with opened(picture) as source:
            return source.thumbnail(SMALL)
    except RefusedError:
        with opened(replace(picture, choice=FIRST)) as source:
            return source.thumbnail(SMALL)


def about(picture: Picture) -> dict[str, Any]:
    """What the file tells of a picture, see `likewise.app.answers.AboutAnswer`.

    Raises:
        LikewiseError: as `opened`; but nothing need be said of a stack.
    """
    if picture.choice.is_made():
        with opened(picture):
            pass  # which says what is wrong with it
    axes, micrometres = Axes(), None
    if _has_more(picture):
        with opened(replace(picture, choice=FIRST)) as source:
            axes, micrometres = source.axes, pixel_size(source.placement, (source.width, source.height))
    return {
        "micrometres": micrometres,
        "channels": list(axes.channels),
        "planes": axes.planes,
        "frames": axes.frames,
        "deep": _is_deep(picture),
    }


def fits(picture: Picture, choice: Choice) -> bool:
    """Whether a picture has such channels, planes and frames, and values of which contrast says something."""
    if picture.problem is not None or not (_has_more(picture) or _is_deep(picture)):
        return False
    if choice.is_made() and not _has_more(picture):
        return False
    with suppress(LikewiseError), opened(replace(picture, choice=choice)):
        return True
    return False


def _has_more(picture: Picture) -> bool:
    """Whether a file is of a kind that may tell more than pixels; the others would have to be decoded to be opened."""
    with suppress(OSError):  # it is gone
        return picture.path.suffix.lower() in SLIDE_SUFFIXES or is_tiff(picture.path)
    return False


def _is_deep(picture: Picture) -> bool:
    """Whether values have more than 8 bits, so that something has to be black and something white."""
    with suppress(Exception), open_image(picture.path) as image:  # what Pillow does not know, sources may
        return image.mode[0] in "IF" or ";16" in str(getattr(image, "tile", ""))
    return True
