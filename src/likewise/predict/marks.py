"""What marks the thing in an example: a mask, a box or clicks, checked, and as pixels.

Convention
----------
Boxes and clicks are in the pixels of the example's picture.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.data.images import IMAGE_SUFFIXES, read_mask
from likewise.data.masks import box_mask, discs_mask
from likewise.errors import LikewiseError
from likewise.types import Box, Point, Prompt

#: A click marks a disc of this radius, as a share of the picture's longer side.
CLICK_RADIUS = 0.02

#: Arrays may hold numbers of any kind: what is not 0 is the thing.
MaskSource = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor | Box | Sequence[Point]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Mark:
    """What a caller gave for a mask.

    Attributes:
        pixels: (H, W), the mask, the box's pixels, or a disc round each click.
        kind: what it was. A mask is the thing, a box holds it and more, clicks are on it.
    """

    pixels: Bools
    kind: Literal["mask", "box", "clicks"]


def mark_of(mask: MaskSource, width: int, height: int) -> Mark:
    """Whatever a caller gives for a mask of a picture of this size: see `likewise.predict.Segmenter.segment`.

    Raises:
        LikewiseError: it is none of what a mask may be, of another size, or outside the picture.
    """
    if isinstance(mask, Image.Image):
        return _exact(read_mask(mask), width, height, getattr(mask, "filename", "") or "the mask")
    if isinstance(mask, os.PathLike) or (isinstance(mask, str) and _names_a_file(mask)):
        return _exact(read_mask(mask), width, height, str(mask))
    if isinstance(mask, Tensor):
        return _exact(mask.detach().cpu().numpy() != 0, width, height, "the mask")
    if isinstance(mask, np.ndarray) and (mask.ndim > 2 or mask.shape == (height, width)):
        return _exact(_any_channel(mask), width, height, "the mask")
    values = np.asarray(mask, dtype=np.float64) if _is_numeric(mask) else np.empty(0)
    if values.shape == (4,):
        (box,) = Prompt((tuple(values.tolist()),)).inside(width, height).exemplars
        return Mark(box_mask(box, height, width), "box")
    if values.ndim == 2 and values.shape[1] == 2 and len(values) and np.isfinite(values).all():
        return Mark(_clicked(values, width, height), "clicks")
    if isinstance(mask, np.ndarray):
        return _exact(mask != 0, width, height, "the mask")
    raise LikewiseError(
        f"mask = {mask!r}: expected an array ({height}, {width}), a picture file, a box (x0, y0, x1, y1) or clicks "
        "[(x, y), ...]"
    )


def _clicked(points: NDArray[np.float64], width: int, height: int) -> Bools:
    for x, y in points.tolist():
        if not (0 <= x <= width and 0 <= y <= height):
            raise LikewiseError(
                f"the click ({x:g}, {y:g}) lies outside the picture, which is {width} x {height} pixels"
            )
    return discs_mask(points.tolist(), CLICK_RADIUS * max(width, height), height, width)


def _names_a_file(text: str) -> bool:
    """Whether a text is meant for a file: it may also be a box or clicks that were written wrongly."""
    return Path(text).suffix.lower() in IMAGE_SUFFIXES or Path(text).exists()


def _any_channel(values: NDArray[Any]) -> Bools:
    """Where (H, W) or (H, W, C) is not 0; of four channels the last is how opaque a place is."""
    if values.ndim != 3:
        return values != 0
    found: Bools = (values[..., :3] != 0).any(2)
    return found & (values[..., 3] != 0) if values.shape[2] == 4 else found


def _exact(mask: Bools, width: int, height: int, name: str) -> Mark:
    if mask.shape != (height, width):
        found = " x ".join(str(side) for side in mask.shape[::-1])
        raise LikewiseError(f"{name} is {found} pixels, its picture {width} x {height} (width x height)")
    return Mark(mask, "mask")


def _is_numeric(values: Any) -> bool:
    try:
        np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True
