"""Which files are opened as pictures, by which of Pillow's decoders, and what other files are.

Every file is opened here. Pillow alone tries all the decoders it has, whatever a file is called: those of EPS, PDF and
WMF start other programs on a file that somebody else wrote.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL import Image, ImageFile

#: Pillow's decoders that may be reached, where they are built in; HEIF is pillow-heif's. All of them are libraries.
DECODERS = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "TIFF", "WEBP")

#: Files that are looked for in folders of pictures: what the decoders read.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"),
    *(".jfif", ".jpe", ".jif", ".mpo", ".apng", ".dib", ".pbm", ".pnm", ".pfm"),
    *(".avif", ".jp2", ".j2k", ".jpx", ".j2c", ".jpc", ".btf", ".tf8", ".qoi"),
)
#: The same, if large-image is installed; some of them are TIFF, but not only that.
SLIDE_SUFFIXES = (".svs", ".ndpi", ".scn", ".mrxs", ".bif", ".vms", ".vmu", ".svslide")
#: The same, if pillow-heif is installed.
HEIF_SUFFIXES = (".heic", ".heif", ".hif")

_RAW = "a camera's raw data", "develop it to TIFF or JPEG"
_FILM = "a film", "name it, and choose its frames with --frames"
_SCAN = "a microscope's own format", "save the plane you want as TIFF (Fiji and the maker's program do)"
_SLIDE = "a whole slide", "name it; the extra slide reads it: pip install 'likewise[slide]'"
_HEIF = "a HEIC photograph", "pip install 'likewise[heif]' (from a clone: '.[heif]') reads it, or save it as JPEG"
_DRAWING = "a drawing or page description", "save it as PNG"
_LAYERS = "a picture of layers", "save it flattened, as PNG or TIFF"
_ARCHIVE = "an archive", "unpack it"
_ARRAY = "a file of numbers", "load it in Python and give likewise the array"
_PAGE = "a web page", "download the picture itself"
_OTHER = "a picture of a kind that is not read", "save it as PNG"

#: What files are that are not read, by their suffixes, and what to do.
KINDS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(HEIF_SUFFIXES, _HEIF),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"), _RAW),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts"), _FILM),
    **dict.fromkeys((".czi", ".lif", ".nd2", ".oib", ".oif", ".oir", ".zvi", ".ims", ".vsi", ".dv", ".sld"), _SCAN),
    **dict.fromkeys((".n5", ".stk"), _SCAN),
    **dict.fromkeys((*SLIDE_SUFFIXES, ".isyntax"), _SLIDE),
    **dict.fromkeys((".pdf", ".svg", ".eps", ".ps", ".ai", ".wmf", ".emf"), _DRAWING),
    **dict.fromkeys((".psd", ".psb", ".xcf", ".kra"), _LAYERS),
    **dict.fromkeys((".zip", ".tar", ".gz", ".7z", ".rar", ".tgz"), _ARCHIVE),
    **dict.fromkeys((".npy", ".npz", ".h5", ".hdf5", ".mat", ".nii", ".nrrd", ".mha"), _ARRAY),
    **dict.fromkeys((".dcm", ".dicom"), ("a medical picture (DICOM)", "save the plane you want as TIFF or PNG")),
    **dict.fromkeys((".fits", ".fit", ".fts"), ("an astronomer's picture (FITS)", "save it as TIFF")),
    **dict.fromkeys((".html", ".htm"), _PAGE),
    **dict.fromkeys((".jxl", ".exr", ".hdr", ".tga", ".ico", ".icns", ".pcx", ".dds", ".jxr", ".wdp"), _OTHER),
}
#: The same by how files begin, where a suffix says nothing or something else.
_SIGNATURES: tuple[tuple[bytes, tuple[str, str]], ...] = (
    (rb"%PDF|%!PS|\xc5\xd0\xd3\xc6|\xd7\xcd\xc6\x9a|\s*<svg|\x01\0\0\0.{36} EMF", _DRAWING),
    (rb".{4}ftyp(?:hei|hev|mif|msf)", _HEIF),
    (rb".{4}ftypcrx", _RAW),
    (rb".{4}ftyp(?!avi[fs])|\x1aE\xdf\xa3|RIFF.{4}AVI |\0\0\x01[\xb3\xba]", _FILM),
    (rb"8BPS|gimp xcf", _LAYERS),
    (rb"ZISRAWFILE|\xda\xce\xbe\n|p\0\0\0.{4}\*|\xd0\xcf\x11\xe0", _SCAN),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", _ARCHIVE),
    (rb"\x93NUMPY|\x89HDF|MATLAB", _ARRAY),
    (rb".{128}DICM", ("a medical picture (DICOM)", "save the plane you want as TIFF or PNG")),
    (rb"SIMPLE  =", ("an astronomer's picture (FITS)", "save it as TIFF")),
    (rb"\s*<(?:!doctype html|html|\?xml.{0,500}<svg)", _PAGE),
    (rb"\xff\x0a|\0\0\0\x0cJXL |\0\0\x01\0|v/1\x01|#\?RADIANCE", _OTHER),
    (rb"\0\x05\x16\x07", ("macOS's notes on another file", "take that file itself")),
    (rb"version https://git-lfs", ("a pointer of Git LFS", "fetch the file itself with git lfs pull")),
)
#: An address rather than a path; a drive's single letter is none.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class DamagedError(OSError):
    """What is wrong with a file's data, in words that a person understands: they end early, a checksum is wrong."""


_lock = threading.Lock()
#: How many threads want Pillow's own limit away, and what it was before the first of them.
_lifted: list[int | None] = []


@contextlib.contextmanager
def without_pillows_limit() -> Iterator[None]:
    """For pictures whose size was looked at already: Pillow's own limit is lower, and one for all threads.

    It reads its limit not only as a file is opened, but at each page and each cut, too.
    """
    with _lock:
        _lifted.append(_lifted[0] if _lifted else Image.MAX_IMAGE_PIXELS)
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _lock:
            before = _lifted.pop()
            if not _lifted:
                Image.MAX_IMAGE_PIXELS = before


def open_image(file: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """Open a picture, whose pixels are not decoded yet: `PIL.Image.open` with `DECODERS` and nothing else.

    There is no limit on the pixels: whoever decodes them looks at the size first.

    Raises:
        Exception: nearly anything, as decoders do on what is not theirs; `PIL.UnidentifiedImageError` most often.
    """
    with without_pillows_limit():
        return Image.open(file, formats=_available())


def keep_byte(image: Image.Image, order: str) -> None:
    """Let Pillow keep another byte of 16-bit colours than it would, in a file that is opened and not decoded.

    It keeps one, and which one follows from the name of the byte order: of "B" the first, of "L" the second.
    """
    tiles = []
    for tile in cast(ImageFile.ImageFile, image).tile:
        args: Any = tile[3]
        packed = isinstance(args, tuple)
        changed = f"{(args[0] if packed else args)[:-1]}{order}"
        kept = (*tile[:3], (changed, *args[1:]) if packed else changed)
        tiles.append(type(tile)(*kept) if hasattr(tile, "_fields") else kept)
    cast(Any, image).tile = tiles


def is_read(path: Path) -> bool:
    """Whether a file's name is that of a picture that can be read: by its suffix, and not a hidden one."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):  # also ._coins.jpg, macOS's notes on coins.jpg
        return False
    if suffix in SLIDE_SUFFIXES:
        return find_spec("large_image") is not None
    return suffix in IMAGE_SUFFIXES or (suffix in HEIF_SUFFIXES and reads_heif())


def reads_heif() -> bool:
    """Whether pillow-heif is there, and the decoder with it."""
    return "HEIF" in _available()


def other_kind(path: Path) -> tuple[str, str] | None:
    """What a file is that is no picture to us, and what to do with it; None: that cannot be told."""
    by_name = KINDS.get(path.suffix.lower())
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return by_name
    if not start:
        return "empty", "copy it again"
    for signature, kind in _SIGNATURES:
        if re.match(signature, start, re.DOTALL | re.IGNORECASE):
            return kind
    return by_name


def begins_as_picture(path: Path) -> bool:
    """Whether a file begins as those do that one of the decoders reads."""
    with path.open("rb") as file:
        start = file.read(16).ljust(16, b"\0")
    tests = (Image.OPEN[name][1] for name in _available())
    return any(test(start) for test in tests if test is not None)


def is_address(text: str) -> bool:
    """Whether a text is an address (https://...), of which nothing is fetched here."""
    return _ADDRESS.match(text) is not None


@cache
def _available() -> tuple[str, ...]:
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    return tuple(name for name in DECODERS if name in Image.OPEN)
