"""Masks of a project's pictures: brushed by hand, or found by a model and kept as COCO's run lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from likewise.app.budget import check_masks
from likewise.app.project import ProjectPicture
from likewise.app.requests import RunLengths, Stroke
from likewise.errors import LikewiseError
from likewise.ops.run_lengths import decode_rle


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
    check_masks(_masks([picture]))
    if picture.brushed:
        return Marked(mended(picture.base, picture.strokes, picture.name, picture.width, picture.height), "hand")
    found = picture.segmented
    if found is None or found.segmentation is None:
        return None
    mask = _decoded(found.segmentation, picture.name, picture.width, picture.height)
    return Marked(mask, "model", found.model, found.seconds)


def mended(base: RunLengths | None, strokes: Sequence[Stroke], name: str, width: int, height: int) -> NDArray[np.bool_]:
    """(height, width) bool: a found mask, or none, and what strokes of a brush added to it and took away.

    Raises:
        LikewiseError: the mask is not one of a picture of that size; the picture's name is for the message.
    """
    return mask_of(strokes, width, height, None if base is None else _decoded(base, name, width, height))


def _decoded(runs: RunLengths, name: str, width: int, height: int) -> NDArray[np.bool_]:
    if runs.size != (height, width):
        raise LikewiseError(f"{name}: its mask is that of a picture of another size")
    return decode_rle({"size": runs.size, "counts": runs.counts})


def check_all_masks(pictures: Iterable[ProjectPicture]) -> None:
    """See, before any is drawn, that the masks of a whole project can be.

    Raises:
        RefusedError: they cannot.
    """
    check_masks(_masks(pictures))


def _masks(pictures: Iterable[ProjectPicture]) -> Iterator[tuple[str, int, int, Sequence[Stroke]]]:
    """Name, size and strokes of those that have a mask."""
    for each in pictures:
        if each.brushed or (each.segmented is not None and each.segmented.segmentation is not None):
            yield each.name, each.width, each.height, each.strokes if each.brushed else ()
            if each.base is not None:
                yield each.name, each.width, each.height, ()


def mask_of(
    strokes: Sequence[Stroke], width: int, height: int, base: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """(height, width) bool: what strokes of a round brush cover, in their order, erasing ones included, on a base."""
    image = Image.new("1", (width, height)) if base is None else Image.fromarray(base)
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        radius, ink = stroke.width / 2, 0 if stroke.erase else 1
        path = list(stroke.points)
        if len(path) > 1:
            pen.line(path, fill=ink, width=max(1, round(stroke.width)))
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return np.array(image, dtype=bool)
