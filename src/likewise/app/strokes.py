"""Masks of a project's pictures: brushed by hand, or found by a model and kept as COCO's run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from likewise.app.limits import RefusedError
from likewise.app.project import ProjectPicture
from likewise.app.requests import Stroke
from likewise.errors import LikewiseError
from likewise.ops.run_lengths import decode_rle

#: Masks of pictures with more pixels than any that can be opened are not drawn.
MOST_PIXELS = 1 << 28


@dataclass(frozen=True, eq=False)
class Marked:
    """Where a picture shows the thing.

    Attributes:
        mask: (H, W) bool.
        by: "hand" where it was brushed, "model" where it was found.
        model: which one found it; empty where it was brushed.
        seconds: how long that took.
    """

    mask: NDArray[np.bool_]
    by: str
    model: str = ""
    seconds: float = 0.0


def marked(picture: ProjectPicture) -> Marked | None:
    """What was brushed in a picture, or else found in it; None where nothing was.

    Raises:
        LikewiseError: its mask does not fit the picture.
    """
    if picture.width * picture.height > MOST_PIXELS:
        raise RefusedError(413, f"{picture.name}: {picture.width} x {picture.height} pixels are too many for a mask")
    if picture.brushed:
        return Marked(mask_of(picture.strokes, picture.width, picture.height), "hand")
    found = picture.segmented
    if found is None or found.segmentation is None:
        return None
    if found.segmentation.size != (picture.height, picture.width):
        raise LikewiseError(f"{picture.name}: its mask is that of a picture of another size")
    mask = decode_rle({"size": found.segmentation.size, "counts": found.segmentation.counts})
    return Marked(mask, "model", found.model, found.seconds)


def mask_of(strokes: Sequence[Stroke], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width) bool: what strokes of a round brush cover, in their order, erasing ones included."""
    image = Image.new("1", (width, height))
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        radius, ink = stroke.width / 2, 0 if stroke.erase else 1
        path = list(stroke.points)
        if len(path) > 1:
            pen.line(path, fill=ink, width=max(1, round(stroke.width)), joint="curve")
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return np.array(image, dtype=bool)
