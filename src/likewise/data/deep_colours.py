"""Colours of more than 8 bits in PPM and JPEG 2000, of which Pillow keeps the upper 8."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.decoders import DamagedError
from likewise.errors import LikewiseError

#: How the description of its channels begins in a JPEG 2000 code stream.
_SIZE_MARKER = b"\xff\x4f\xff\x51"


def deep_colours(path: Path, image: Image.Image) -> NDArray[np.uint16] | None:
    """Colours (H, W, 3) of more than 8 bits; None: there are none, and Pillow gives all there is.

    Args:
        path: of a file.
        image: opened from it, not decoded.

    Raises:
        LikewiseError: they are coded in a way that cannot be read exactly.
        OSError: the file ends early.
    """
    if image.mode not in ("RGB", "RGBA", "LA"):
        return None
    if image.format == "PPM":
        return _of_ppm(path, image)
    if image.format == "JPEG2000" and _jpeg2000_bits(path) > 8:
        raise LikewiseError(f"{path} has colours of more than 8 bits in JPEG 2000, which are not read; save it as TIFF")
    return None


def _of_ppm(path: Path, image: Image.Image) -> NDArray[np.uint16] | None:
    with path.open("rb") as file:
        head = re.sub(rb"#[^\n\r]*", b"", file.read(4096)).split()
        if len(head) < 4 or not head[3].isdigit() or int(head[3]) <= 255:
            return None
        if head[0] != b"P6":
            raise LikewiseError(f"{path} has colours of more than 8 bits as text, which are not read; save it as PNG")
        file.seek(image.tile[0][2])  # type: ignore[attr-defined]
        values = np.fromfile(file, ">u2", image.width * image.height * 3)
    if values.size != image.width * image.height * 3:
        raise DamagedError("it ends early")
    return values.reshape(image.height, image.width, 3).astype(np.uint16)


def jpeg2000_tile(path: Path) -> tuple[int, int] | None:
    """Width and height of the tiles that a JPEG 2000 is decoded in; None: they are not found."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    at = start.find(_SIZE_MARKER)
    if at < 0:
        return None
    return int.from_bytes(start[at + 24 : at + 28], "big"), int.from_bytes(start[at + 28 : at + 32], "big")


def _jpeg2000_bits(path: Path) -> int:
    """The most bits a channel has; 8 where that is not found."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    at = start.find(_SIZE_MARKER)
    if at < 0:
        return 8
    # after the marker: 2 bytes of length, 2 of capabilities, 8 sizes of 4 bytes, the number of channels, 3 bytes each
    channels = int.from_bytes(start[at + 40 : at + 42], "big")
    described = start[at + 42 : at + 42 + 3 * channels : 3]
    return max(((bits & 0x7F) + 1 for bits in described), default=8)
