"""PNG in strips: pictures larger than fit into memory twice, and 16 bits of every colour.

Pillow decodes a PNG whole, at four bytes a pixel, and keeps the high byte of 16-bit colours. Here the rows are inflated
bit by bit, and each strip of them is handed to Pillow as a small PNG of its own, behind the row above it, by which its
first row may be coded. That row has been decoded by then.

Pixels of 16 bits are pixels of twice as many 8-bit channels to a PNG's filters: grey is read as 8-bit grey and alpha,
grey and alpha as RGBA. Colours of 16 bits are decoded twice, for their high and their low bytes. Of fewer than 8 bits,
the filters see bytes: a strip is read as 8-bit grey first, and its bytes as what they are then.

An interlaced PNG is seven pictures, each of every so manieth row and column, one behind the other: so are its strips.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.decoders import DamagedError, keep_byte, open_image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bytes of rows a strip has, about.
STRIP = 1 << 22
_PIECE = 1 << 20
_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
#: First row and column of each of the seven pictures of an interlaced one, and the steps between them.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_CHANNELS = {_GREY: 1, _COLOUR: 3, _PALETTE: 1, _GREY_ALPHA: 2, _COLOUR_ALPHA: 4}


@dataclass(frozen=True)
class Header:
    """What a PNG says of itself, up to its pixels.

    Attributes:
        width: pixels.
        height: pixels.
        depth: bits a channel.
        kind: 0 grey, 2 colour, 3 palette, 4 grey and alpha, 6 colour and alpha.
        interlaced: whether its rows come in seven passes.
        chunks: the palette and the transparent colour, as they stand in the file.
        exif: the eXIf chunk, wherever it stands.
        frames: more than 1 in an animation.
    """

    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool
    chunks: bytes
    exif: bytes | None
    frames: int = 1

    @property
    def deep(self) -> bool:
        """Whether a channel has 16 bits."""
        return self.depth == 16

    @property
    def row(self) -> int:
        """Bytes of a row, with its filter's number."""
        return 1 + (self.width * self.depth * _CHANNELS[self.kind] + 7) // 8


def read_header(path: Path) -> Header | None:
    """A PNG's header; None: the file is no PNG, or one that Pillow shall judge."""
    with path.open("rb") as file:
        if file.read(8) != SIGNATURE:
            return None
        first, kept, exif, frames = None, b"", None, 1
        for kind, length in _chunks(file):
            if kind == b"IHDR" and length == 13:
                first = struct.unpack(">IIBBBBB", file.read(13))
            elif kind == b"acTL" and length == 8:
                frames = struct.unpack(">II", file.read(8))[0]
            elif kind in (b"PLTE", b"tRNS", b"eXIf") and length <= 1 << 20:
                data = file.read(length)
                kept += _chunk(kind, data) if kind != b"eXIf" else b""
                exif = data if kind == b"eXIf" else exif
    if first is None or first[3] not in _CHANNELS or not (first[0] and first[1]):
        return None
    width, height, depth, colours, _, _, interlace = first
    return Header(width, height, depth, colours, bool(interlace), kept, exif, frames)


def strips(path: Path, header: Header) -> Iterator[tuple[slice, slice, Image.Image | NDArray[np.uint16]]]:
    """The pixels of a PNG, strip by strip: from the top, or picture by picture where it is interlaced.

    Yields:
        The rows and the columns, and what they hold: a Pillow picture where a channel has up to 8 bits, an array
        (h, w, channels) of uint16 where it has 16.

    Raises:
        DamagedError: its data end early, or a checksum is wrong.
    """
    passes = _PASSES if header.interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(header.height - y) // dy), -(-(header.width - x) // dx)) for y, x, dy, dx in passes]
    kept = [
        (place, replace(header, height=height, width=width, interlaced=False))
        for place, (height, width) in zip(passes, sizes, strict=True)
        if height > 0 and width > 0
    ]
    rows = _filtered_rows(path, [part for _, part in kept])
    for (y, x, dy, dx), part in kept:
        done, above = 0, b""
        while done < part.height:
            piece, above = _strip(part, next(rows), above)
            height = len(piece) if isinstance(piece, np.ndarray) else piece.height
            last = done + height
            yield slice(y + done * dy, y + (last - 1) * dy + 1, dy), slice(x, None, dx), piece
            done = last
    next(rows, None)  # the rest of the data is looked at, too


def _strip(header: Header, rows: bytes, above: bytes) -> tuple[Image.Image | NDArray[np.uint16], bytes]:
    """What filtered rows hold, and the bytes of the last; above: those of the row before, where there is one."""
    lead = b"\0" + above if above else b""
    height = len(lead + rows) // header.row
    if header.deep:
        values = _sixteen(header, height, lead + rows)
        return values[bool(lead) :], values[-1].astype(">u2").tobytes()
    if header.depth < 8:
        as_bytes = replace(header, width=header.row - 1, depth=8, chunks=b"")
        held = np.asarray(_decoded(as_bytes, _GREY, 8, height, lead + rows))
        plain = np.pad(held[bool(lead) :], ((0, 0), (1, 0))).tobytes()  # without a filter
        return _decoded(header, header.kind, header.depth, height - bool(lead), plain), held[-1].tobytes()
    whole = _decoded(header, header.kind, 8, height, lead + rows)
    last = whole.crop((0, height - 1, header.width, height)).tobytes()
    return whole.crop((0, 1, header.width, height)) if lead else whole, last


def _sixteen(header: Header, height: int, rows: bytes) -> NDArray[np.uint16]:
    """Pixels from filtered rows."""
    twice = {_GREY: _GREY_ALPHA, _GREY_ALPHA: _COLOUR_ALPHA}.get(header.kind)
    if twice is not None:
        pairs = np.asarray(_decoded(header, twice, 8, height, rows))
        return pairs.view(">u2").astype(np.uint16)
    high, low = (np.asarray(_decoded(header, header.kind, 16, height, rows, byte=byte)) for byte in "BL")
    return high.astype(np.uint16) << np.uint16(8) | low


def _decoded(header: Header, kind: int, depth: int, height: int, rows: bytes, *, byte: str = "") -> Image.Image:
    start = struct.pack(">IIBBBBB", header.width, height, depth, kind, 0, 0, 0)
    chunks = header.chunks if depth == header.depth else b""  # a transparent grey of 16 bits is none of 8
    content = SIGNATURE + _chunk(b"IHDR", start) + chunks + _chunk(b"IDAT", zlib.compress(rows, 0))
    image = open_image(io.BytesIO(content + _chunk(b"IEND", b"")))
    if byte:
        keep_byte(image, byte)
    image.load()
    return image


def _filtered_rows(path: Path, parts: list[Header]) -> Iterator[bytes]:
    """The inflated rows of pictures one behind the other, each with its filter's number, in strips of whole rows."""
    sizes = _strip_sizes(parts)
    inflate, waiting, size = zlib.decompressobj(), bytearray(), next(sizes, 0)
    try:
        for piece in _compressed(path):
            left = piece
            while left and size:
                waiting += inflate.decompress(left, size - len(waiting))
                left = inflate.unconsumed_tail
                if len(waiting) == size:
                    yield bytes(waiting)
                    waiting.clear()
                    size = next(sizes, 0)
    except zlib.error as error:
        raise DamagedError(str(error)) from error
    if size:
        raise DamagedError(f"its data end {size - len(waiting) + sum(sizes)} bytes early")


def _strip_sizes(parts: list[Header]) -> Iterator[int]:
    for part in parts:
        rows = max(1, STRIP // max(part.row, part.width))
        yield from (min(rows, part.height - y) * part.row for y in range(0, part.height, rows))


def _compressed(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(8)
        for kind, length in _chunks(file):
            check, left = zlib.crc32(kind), length if kind == b"IDAT" else 0
            while left:
                piece = file.read(min(left, _PIECE))
                if not piece:
                    raise DamagedError("it is cut off")
                check, left = zlib.crc32(piece, check), left - len(piece)
                yield piece
            if kind == b"IDAT" and file.read(4) != struct.pack(">I", check):
                raise DamagedError("a checksum is wrong")


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk, the file at its data."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        start = file.tell()
        yield kind, length
        if kind == b"IEND":
            return
        file.seek(start + length + 4)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
