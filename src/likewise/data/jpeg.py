"""JPEG: how its pixels come, and a decoder that needs three bytes a pixel for them instead of seven."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Markers that stand alone, without a length.
_ALONE = {0x01, *range(0xD0, 0xD8)}
_SCAN = 0xDA


def comes_in_scans(path: Path, image: Image.Image) -> bool:
    """Whether the whole picture comes again and again, or colour by colour, rather than from the top down.

    Args:
        path: of a JPEG.
        image: opened from it, not decoded.
    """
    if image.info.get("progressive"):
        return True
    with path.open("rb") as file:
        file.seek(2)
        while len(head := file.read(2)) == 2 and head[0] == 0xFF:
            if head[1] == 0xFF:  # filling
                file.seek(-1, 1)
            elif head[1] == _SCAN:
                channels = len(image.getbands())
                return file.read(3)[2:] != bytes([channels])
            elif head[1] not in _ALONE:
                (length,) = struct.unpack(">H", file.read(2).rjust(2, b"\0"))
                file.seek(max(0, length - 2), 1)
    return False


def held_bytes(image: Image.Image) -> float:
    """What the decoder holds of a picture that comes in scans, bytes a pixel: two for every coefficient."""
    layers = cast(Any, image).layer
    largest = max(h for _, h, _, _ in layers) * max(v for _, _, v, _ in layers)
    return float(2 * sum(h * v for _, h, v, _ in layers) / largest)


def decoded(path: Path) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of a grey or RGB JPEG, as it is stored; the same as Pillow gives."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    data = torch.from_numpy(np.fromfile(path, np.uint8))
    found: NDArray[np.uint8] = decode_jpeg(data, mode=ImageReadMode.RGB).permute(1, 2, 0).numpy()
    return found
