"""Pictures that are stored as plain rows (BMP, PPM): read some rows at a time, where Pillow reads all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.decoders import DamagedError

#: Bytes of rows that are read at once, about.
STRIP = 1 << 24
#: Channels of the ways to store a pixel that are read here, by Pillow's names of them.
_ORDERS = {"L": [0], "RGB": [0, 1, 2], "BGR": [2, 1, 0]}


def plain_rows(path: Path, image: Image.Image) -> Iterator[NDArray[np.uint8]] | None:
    """Strips (h, W, C) of 8-bit grey or RGB from the top; None: its rows are not plain.

    Args:
        path: of a file.
        image: opened from it, not decoded.
    """
    tiles: list[Any] = getattr(image, "tile", [])
    if image.format not in ("BMP", "DIB", "PPM") or len(tiles) != 1 or tiles[0][0] != "raw":
        return None
    _, extents, offset, args = tiles[0]
    order, stride, direction = args if isinstance(args, tuple) else (args, 0, 1)
    channels = _ORDERS.get(order)
    if channels is None or tuple(extents) != (0, 0, *image.size) or image.mode not in ("L", "RGB"):
        return None
    used = image.width * len(channels)
    return _strips(path, (image.height, image.width), offset, stride or used, direction, channels)


def _strips(
    path: Path, shape: tuple[int, int], offset: int, stride: int, direction: int, channels: list[int]
) -> Iterator[NDArray[np.uint8]]:
    height, width = shape
    step = max(1, STRIP // stride)
    for y in range(0, height, step):
        rows = min(step, height - y)
        first = y if direction > 0 else height - y - rows  # a BMP's last row comes first
        last = offset + (first + rows - 1) * stride + width * len(channels)  # nothing need follow the last pixel
        held = np.fromfile(path, np.uint8, last - offset - first * stride, offset=offset + first * stride)
        if len(held) < last - offset - first * stride:
            raise DamagedError("it ends early")
        held = np.pad(held, (0, rows * stride - len(held))).reshape(rows, stride)[:: 1 if direction > 0 else -1]
        yield held[:, : width * len(channels)].reshape(rows, width, len(channels))[..., channels]
