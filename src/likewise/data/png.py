"""PNG in strips: pictures larger than fit into memory twice, and 16 bits of every colour.

Pillow decodes a PNG whole, at four bytes a pixel, and keeps the high byte of 16-bit colours. Here the rows are inflated
bit by bit, and each strip of them is handed to Pillow as a small PNG of its own, behind the row above it, by which its
first row may be coded. That row has been decoded by then.

Pixels of 16 bits are pixels of twice as many 8-bit channels to a PNG's filters: grey is read as 8-bit grey and alpha,
grey and alpha as RGBA. Colours of 16 bits are decoded twice, for their high and their low bytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.decoders import keep_byte, open_image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bytes of rows a strip has, about.
STRIP = 1 << 22
_PIECE = 1 << 20
_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _COLOUR: 3, _PALETTE: 1, _GREY_ALPHA: 2, _COLOUR_ALPHA: 4}


class DamagedError(OSError):
    """A PNG's data end early or are not what they should be."""


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


def strips(path: Path, header: Header) -> Iterator[Image.Image | NDArray[np.uint16]]:
    """The rows of a PNG without interlacing and with at least 8 bits a channel, from the top, strip by strip.

    Yields:
        Pillow pictures where it has 8 bits, arrays (h, W, channels) of uint16 where it has 16.

    Raises:
        DamagedError: its data end early, or a checksum is wrong.
    """
    above = b""
    for rows in _filtered_rows(path, header):
        lead = b"\0" + above if above else b""
        height = len(lead + rows) // header.row
        if header.deep:
            values = _sixteen(header, height, lead + rows)
            above = values[-1].astype(">u2").tobytes()
            yield values[bool(lead) :]
            continue
        piece = _decoded(header, header.kind, 8, height, lead + rows)
        above = piece.crop((0, height - 1, header.width, height)).tobytes()
        yield piece.crop((0, 1, header.width, height)) if lead else piece


def interlaced_sixteen(path: Path, header: Header) -> NDArray[np.uint16]:
    """The pixels (H, W, channels) of an interlaced PNG of 16 bits, which is decoded whole."""
    with path.open("rb") as file:
        if file.read(8) != SIGNATURE:
            raise DamagedError("it changed while it was read")
        data = b"".join(file.read(length) for kind, length in _chunks(file) if kind == b"IDAT")
    return _sixteen(header, header.height, data, packed=True)


def _sixteen(header: Header, height: int, rows: bytes, *, packed: bool = False) -> NDArray[np.uint16]:
    """Pixels from filtered rows, or from the compressed data of the whole file."""
    twice = {_GREY: _GREY_ALPHA, _GREY_ALPHA: _COLOUR_ALPHA}.get(header.kind)
    if twice is not None:
        pairs = np.asarray(_decoded(header, twice, 8, height, rows, packed=packed))
        return pairs.view(">u2").astype(np.uint16)
    high, low = (np.asarray(_decoded(header, header.kind, 16, height, rows, packed=packed, byte=byte)) for byte in "BL")
    return high.astype(np.uint16) << np.uint16(8) | low


def _decoded(
    header: Header, kind: int, depth: int, height: int, rows: bytes, *, packed: bool = False, byte: str = ""
) -> Image.Image:
    interlace = int(header.interlaced)
    start = struct.pack(">IIBBBBB", header.width, height, depth, kind, 0, 0, interlace)
    data = rows if packed else zlib.compress(rows, 0)
    chunks = header.chunks if depth == header.depth else b""  # a transparent grey of 16 bits is none of 8
    content = SIGNATURE + _chunk(b"IHDR", start) + chunks + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    image = open_image(io.BytesIO(content))
    if byte:
        keep_byte(image, byte)
    image.load()
    return image


def _filtered_rows(path: Path, header: Header) -> Iterator[bytes]:
    """The inflated rows, each with its filter's number before it, in strips of whole rows."""
    size = max(1, STRIP // header.row) * header.row
    missing = header.row * header.height
    inflate, waiting = zlib.decompressobj(), bytearray()
    try:
        for piece in _compressed(path):
            left = piece
            while left and missing > len(waiting):
                waiting += inflate.decompress(left, min(size, missing) - len(waiting))
                left = inflate.unconsumed_tail
                if len(waiting) == min(size, missing):
                    yield bytes(waiting)
                    missing -= len(waiting)
                    waiting.clear()
    except zlib.error as error:
        raise DamagedError(str(error)) from error
    if missing:
        raise DamagedError(f"its data end {missing - len(waiting)} bytes early")


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
