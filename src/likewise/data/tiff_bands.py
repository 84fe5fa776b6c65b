"""A TIFF's pixels in bands of rows, whatever they are compressed by.

What tifffile decodes by itself is decoded by it, a strip or tile at a time. Of the rest, the strips or tiles of a band
are put, as they are, into a small TIFF of their own, which Pillow decodes: it knows them all, but only whole files.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import COMPRESSION, TiffFile, TiffPage

from likewise.data.decoders import DamagedError, keep_byte, open_image
from likewise.errors import LikewiseError

#: Bytes of pixels that a band has, about, and at least a row of strips or tiles.
BAND = 1 << 23
#: Compressions whose output is bounded before it is made.
STORED, DEFLATED = (COMPRESSION.NONE, COMPRESSION.PACKBITS), (COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE)
#: Those whose strips and tiles stand alone, by TIFF's numbers: CCITT, LZW, JPEG, LZMA, Zstandard, WebP, and the above.
ALONE = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000, 50001}
#: Tags that say how pixels are coded and what they mean.
_CODED = (258, 259, 262, 266, 277, 284, 292, 293, 317, 320, 332, 338, 339, 347, 529, 530, 531, 532)
#: Bytes of a tag's values, by its type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_MIN_IS_WHITE = 0
_SHORT, _LONG = 3, 4
_RAW, _NATIVE = "raw", "native"


def band_bytes(page: TiffPage) -> int:
    """How many bytes the smallest part of a page has that is decoded at once."""
    if _way(page) == _RAW:
        return 0
    across = -(-page.imagewidth // _columns(page))
    rows = min(_rows(page), page.imagelength)
    width = page.imagewidth if page.is_tiled else across
    return int(rows * width * page.samplesperpixel * max(1, page.bitspersample // 8))


def bands(path: Path, page: TiffPage) -> Iterator[NDArray[Any]]:
    """Values (h, W, samples) as they are stored, from the top; what is large is bright.

    Args:
        path: of the file.
        page: of it, which may be closed.

    Raises:
        Exception: nearly anything, of damaged files.
    """
    way, planes = _way(page), _planes(page)
    with TiffFile(path) as file:
        for first, last in _groups(page):
            if way == _RAW:
                values = _raw(file, page, first, last)
            elif way == _NATIVE:
                values = np.concatenate([_native(file, page, row) for row in range(first, last)])
            else:
                each = [_by_pillow(file, page, first, last, plane) for plane in range(planes)]
                values = each[0] if planes == 1 else np.concatenate(each, axis=2)
            yield as_bright(values, page)


def pillow_bands(path: Path, page: TiffPage) -> Iterator[Image.Image]:
    """The same as Pillow's pictures, of pages of up to 8 bits: palettes, inks and colour spaces are its business."""
    with TiffFile(path) as file:
        for first, last in _groups(page, whole=True):
            with open_image(io.BytesIO(_small_tiff(file, page, first, last))) as image:
                image.load()
                yield image


def _way(page: TiffPage) -> str:
    """How a page's values are decoded."""
    if page.compression not in (*STORED, *DEFLATED):
        return "pillow"
    whole_bytes = page.dtype is not None and page.bitspersample == 8 * np.dtype(page.dtype).itemsize
    plain = page.compression == COMPRESSION.NONE and not page.is_tiled and whole_bytes
    return _RAW if plain and page.fillorder == 1 and page.predictor == 1 else _NATIVE


def _rows(page: TiffPage) -> int:
    return int(page.tilelength if page.is_tiled else min(page.rowsperstrip or page.imagelength, page.imagelength))


def _columns(page: TiffPage) -> int:
    return -(-page.imagewidth // page.tilewidth) if page.is_tiled else 1


def _planes(page: TiffPage) -> int:
    return int(page.samplesperpixel) if page.planarconfig == 2 else 1


def _groups(page: TiffPage, *, whole: bool = False) -> Iterator[tuple[int, int]]:
    """First and last row of strips or tiles of each band, or of pixels where they need not be decoded."""
    raw = _way(page) == _RAW and not whole
    rows = 1 if raw else _rows(page)
    row_bytes = page.imagewidth * page.samplesperpixel * max(1, page.bitspersample // 8)
    count, step = -(-page.imagelength // rows), max(1, BAND // (rows * row_bytes))
    for first in range(0, count, step):
        yield first, min(first + step, count)


def _segment(page: TiffPage, plane: int, row: int, column: int = 0) -> int:
    """The number of a strip or tile."""
    columns = _columns(page)
    return (plane * -(-page.imagelength // _rows(page)) + row) * columns + column


def _raw(file: TiffFile, page: TiffPage, first: int, last: int) -> NDArray[Any]:
    """Rows that are stored as they are."""
    planes, rows = _planes(page), _rows(page)
    dtype = np.dtype(page.dtype).newbyteorder(file.byteorder)
    inner = page.samplesperpixel // planes
    length = page.imagewidth * inner * dtype.itemsize
    found = np.empty((last - first, page.imagewidth, page.samplesperpixel), dtype.newbyteorder("="))
    for plane in range(planes):
        y = first
        while y < last:
            until = min(last, (y // rows + 1) * rows)
            file.filehandle.seek(page.dataoffsets[_segment(page, plane, y // rows)] + y % rows * length)
            data = file.filehandle.read((until - y) * length)
            if len(data) < (until - y) * length:
                raise DamagedError("it ends early")
            values = np.frombuffer(data, dtype).reshape(until - y, page.imagewidth, inner)
            found[y - first : until - first, :, plane * inner : (plane + 1) * inner] = values
            y = until
    return found


def _native(file: TiffFile, page: TiffPage, row: int) -> NDArray[Any]:
    """A row of strips or tiles, decoded by tifffile."""
    rows, planes = _rows(page), _planes(page)
    height = min(rows, page.imagelength - row * rows)
    found = np.full((height, page.imagewidth, page.samplesperpixel), page.nodata, page.dtype)
    for plane in range(planes):
        for column in range(_columns(page)):
            index = _segment(page, plane, row, column)
            file.filehandle.seek(page.dataoffsets[index])
            data = file.filehandle.read(page.databytecounts[index])
            _check_bounded(data, page)
            values, place, shape = page.decode(data or None, index)
            if values is None:  # left out where there is nothing
                continue
            part = np.asarray(values)[0, : shape[1], : shape[2]]
            x, z = place[3], (slice(plane, plane + 1) if planes > 1 else slice(None))
            found[: part.shape[0], x : x + part.shape[1], z] = part[:height, : page.imagewidth - x]
    return found


def _check_bounded(data: bytes, page: TiffPage) -> None:
    """Refuse deflated parts that hold more than their share of the pixels: a small file must not fill the memory.

    Raises:
        DamagedError: they do.
    """
    if page.compression not in DEFLATED:
        return
    inflate, left = zlib.decompressobj(), int(np.prod(page.chunks)) * np.dtype(page.dtype).itemsize
    while data and left >= 0:
        left -= len(inflate.decompress(data, min(1 << 20, left + 1)))
        data = inflate.unconsumed_tail
    if left < 0:
        raise DamagedError("a part of it holds more than its pixels")


def _by_pillow(file: TiffFile, page: TiffPage, first: int, last: int, plane: int) -> NDArray[Any]:
    """A band, or of separate planes one, of values whose compression only Pillow knows."""
    dtype, separate = np.dtype(page.dtype), _planes(page) > 1
    content = _small_tiff(file, page, first, last, plane if separate else None)
    with open_image(io.BytesIO(content)) as image:
        if image.mode in ("RGB", "RGBA") and dtype == np.uint16:
            return _sixteen_by_pillow(content)
        deep = image.mode.startswith("I") or image.mode == "F" or dtype == np.uint8
        if not deep or dtype.itemsize > 4:
            kind = f"{COMPRESSION(page.compression).name}-compressed {dtype}"
            raise LikewiseError(f"{file.filehandle.path} is {kind}, which is not read; save it without compression")
        values = np.asarray(image)
    values = values.reshape(*values.shape[:2], -1)
    return values.view(np.uint32) if dtype == np.uint32 else values


def _sixteen_by_pillow(content: bytes) -> NDArray[np.uint16]:
    """Colours of 16 bits, of which Pillow keeps one byte: by the name of the byte order, this one or that."""
    halves = []
    for order in "LB":
        with open_image(io.BytesIO(content)) as image:
            keep_byte(image, order)
            halves.append(np.asarray(image).astype(np.uint16))
    high, low = halves if sys.byteorder == "little" else halves[::-1]
    return high << np.uint16(8) | low


def _small_tiff(file: TiffFile, page: TiffPage, first: int, last: int, plane: int | None = None) -> bytes:
    """A TIFF that holds some rows of a page's strips or tiles, as they are; plane: of the separate ones only this."""
    order, rows, columns = file.byteorder, _rows(page), _columns(page)
    tags = {code: raw for code in _CODED if (raw := _raw_tag(file, page, code)) is not None}
    if plane is not None:
        kept = {258: int(page.bitspersample), 277: 1, 284: 1}
        tags |= {code: (_SHORT, 1, struct.pack(f"{order}H", value)) for code, value in kept.items()}
        tags[262] = (_SHORT, 1, struct.pack(f"{order}H", int(page.photometric == _MIN_IS_WHITE) ^ 1))
        tags.pop(338, None)
    planes = [plane] if plane is not None else range(_planes(page))
    wanted = [_segment(page, p, row, column) for p in planes for row in range(first, last) for column in range(columns)]
    parts = []
    for index in wanted:
        file.filehandle.seek(page.dataoffsets[index])
        parts.append(file.filehandle.read(page.databytecounts[index]))
    offsets = np.cumsum([8, *(len(part) for part in parts)])
    height = min(page.imagelength, last * rows) - first * rows
    own: dict[int, list[int]] = {256: [page.imagewidth], 257: [height]}
    own |= {322: [page.tilewidth], 323: [rows]} if page.is_tiled else {278: [rows]}
    counts = [len(part) for part in parts]
    places = cast(list[int], offsets[:-1].tolist())
    own |= {324: places, 325: counts} if page.is_tiled else {273: places, 279: counts}
    tags |= {code: (_LONG, len(held), struct.pack(f"{order}{len(held)}I", *held)) for code, held in own.items()}
    return _written(tags, b"".join(parts), order)


def _raw_tag(file: TiffFile, page: TiffPage, code: int) -> tuple[int, int, bytes] | None:
    """Type, number and bytes of a tag's values."""
    tag = page.tags.get(code)
    if tag is None or int(tag.dtype) not in _SIZES:
        return None
    file.filehandle.seek(tag.valueoffset)
    return int(tag.dtype), int(tag.count), file.filehandle.read(tag.count * _SIZES[int(tag.dtype)])


def _written(tags: dict[int, tuple[int, int, bytes]], body: bytes, order: str) -> bytes:
    """A TIFF of pixels that begin at its ninth byte."""
    body += b"\0" * (len(body) % 2)
    behind = 8 + len(body) + 2 + 12 * len(tags) + 4
    entries, extra = b"", b""
    for code, (kind, count, held) in sorted(tags.items()):
        place = held.ljust(4, b"\0") if len(held) <= 4 else struct.pack(f"{order}I", behind + len(extra))
        extra += (held + b"\0" * (len(held) % 2)) if len(held) > 4 else b""
        entries += struct.pack(f"{order}HHI", code, kind, count) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + extra


def as_bright(values: NDArray[Any], page: TiffPage) -> NDArray[Any]:
    """Values of which the largest is the brightest."""
    if page.photometric != _MIN_IS_WHITE:
        return values
    return np.invert(values) if values.dtype.kind in "ui" else -values
