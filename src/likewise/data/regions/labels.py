"""Regions in a label image: all pixels with the same number, whatever their shape."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from likewise.data.decoders import open_image
from likewise.data.tiff import is_tiff
from likewise.errors import LikewiseError
from likewise.regions import Polygon, Region, Ring


def read_labels(path: Path, size: tuple[int, int] | None) -> list[Region]:
    """A region for each number but 0, named by it, whose edges are those of its pixels.

    Raises:
        LikewiseError: a damaged file, colours instead of whole numbers, several planes, or another size.
    """
    try:
        held = np.squeeze(tifffile.imread(path)) if is_tiff(path) else np.asarray(open_image(path))
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise LikewiseError(f"{path} cannot be read as a label image: {error or type(error).__name__}") from error
    if held.ndim != 2 or held.dtype.kind not in "bui":
        raise LikewiseError(
            f"{path} is no label image: expected one plane of whole numbers, got {held.dtype} of shape {held.shape}"
        )
    if size is not None and held.shape != size[::-1]:
        raise LikewiseError(
            f"{path} has labels for {held.shape[1]} x {held.shape[0]} pixels, and the picture is {size[0]} x {size[1]}"
        )
    numbers, places = np.unique(held, return_inverse=True)
    boxes = ndimage.find_objects(places.reshape(held.shape) + 1)
    found = []
    for number, box in zip(numbers.tolist(), boxes, strict=True):
        if number != 0 and box is not None:
            found.append(Region(str(int(number)), (outline(held[box] == number, (box[1].start, box[0].start)),)))
    return found


def outline(mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> Polygon:
    """The edges of a mask's pixels as closed rings, holes among them.

    Args:
        mask: (h, w), True somewhere.
        corner: (x, y) of the picture where the mask begins.
    """
    onward = _edges(np.pad(mask, 1), corner)
    rings: list[Ring] = []
    while onward:
        start = at = next(iter(onward))
        before, ring = (0, 0), []
        while True:
            ends = onward[at]
            after = ends.pop()
            if not ends:
                del onward[at]
            step = (after[0] - at[0], after[1] - at[1])
            if step != before:  # only where it turns
                ring.append((float(at[0]), float(at[1])))
            at, before = after, step
            if at == start:
                break
        rings.append(tuple(ring))
    return tuple(rings)


def _edges(padded: NDArray[np.bool_], corner: tuple[int, int]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """From each corner of pixels where the edges from there end; the inside is to the right of an edge's way."""
    onward: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    down = padded[1:].astype(np.int8) - padded[:-1]
    across = padded[:, 1:].astype(np.int8) - padded[:, :-1]
    # an edge begins at (column, row) plus the first pair and ends there plus the second
    kinds = (
        (down == 1, (0, 0), (1, 0)),
        (down == -1, (1, 0), (0, 0)),
        (across == 1, (0, 1), (0, 0)),
        (across == -1, (0, 0), (0, 1)),
    )
    for found, first, last in kinds:
        # rows of `down` and columns of `across` begin at the mask's edge; in the other direction the pad comes first
        is_down = found.shape[0] == padded.shape[0] - 1
        rows, columns = np.nonzero(found)
        xs = columns + corner[0] - (1 if is_down else 0)
        ys = rows + corner[1] - (0 if is_down else 1)
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
            onward[x + first[0], y + first[1]].append((x + last[0], y + last[1]))
    return onward
