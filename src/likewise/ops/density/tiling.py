"""Tiling: count a picture of any size in overlapping tiles and blend what they say.

Convention
----------
Tiles are half-open boxes ``(y0, x0, y1, x1)`` in whole pixels of the picture that is tiled. Neighbouring tiles
share at least ``overlap`` pixels; all are equally large; a picture smaller than the tile is one tile of its own size.

The blend is a partition of unity: at every pixel the weights of the tiles that cover it sum to one, so that a
density seen identically by every tile comes back unchanged and its sum with it. Each tile's weight fades to
(almost) nothing at its inner borders, where a network sees only half of its surroundings.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.errors import LikewiseError

Span = tuple[int, int]
TileBox = tuple[int, int, int, int]


def tile_spans(length: int, tile: int, overlap: int, multiple: int = 1) -> list[Span]:
    """Cover ``length`` pixels by as few half-open spans of at most ``tile`` as share ``overlap`` with their neighbours.

    They are all of one size, and no larger than so many have to be: what neighbours share is looked at twice.

    Args:
        length: pixels.
        tile: longest span.
        overlap: least number of pixels that neighbours share.
        multiple: the size is rounded up to a multiple of this, as far as ``tile`` and ``length`` allow.

    Raises:
        LikewiseError: a length, tile or multiple below one, or an overlap outside 0 .. tile - 1.

    Example:
        >>> tile_spans(100, tile=60, overlap=20)
        [(0, 60), (40, 100)]
    """
    if length < 1 or tile < 1 or multiple < 1 or not 0 <= overlap < tile:
        numbers = f"{length=}, {tile=}, {overlap=}, {multiple=}"
        raise LikewiseError(f"expected length, tile, multiple >= 1 and 0 <= overlap < tile, got {numbers}")
    if length <= tile:
        return [(0, length)]
    count = math.ceil((length - overlap) / (tile - overlap))
    least = math.ceil((length + (count - 1) * overlap) / count)
    size = min(math.ceil(least / multiple) * multiple, tile)
    starts = [i * (length - size) // (count - 1) for i in range(count)]
    return [(start, start + size) for start in starts]


def blend_weights(spans: list[Span], overlap: int) -> list[Tensor]:
    """One weight vector (float32) a span: smooth, positive, and summing to one over the spans at every pixel.

    A span's raw weight rises as sin^2 over ``overlap`` pixels from each of its ends; dividing by the sum makes
    the partition of unity, also where three spans overlap and at the picture's ends.
    """
    total = torch.zeros(spans[-1][1], dtype=torch.float64)
    raw = [_ramp(end - start, overlap) for start, end in spans]
    for (start, end), weight in zip(spans, raw, strict=True):
        total[start:end] += weight
    return [(w / total[start:end]).float() for (start, end), w in zip(spans, raw, strict=True)]


class Blend:
    """Collects the densities of overlapping tiles into the density of the whole picture.

    Args:
        height: of the picture that is tiled, pixels.
        width: of the picture that is tiled, pixels.
        tile: longest side of a tile.
        overlap: least number of pixels that neighbours share.
        cell: the result is summed over cells of ``cell`` x ``cell`` pixels, which bounds its memory.
        multiple: sides of tiles are rounded up to a multiple of this; see `tile_spans`.

    Attributes:
        boxes: the tiles to `add`, row by row.

    Example:
        >>> blend = Blend(8, 20, tile=12, overlap=4)
        >>> for y0, x0, y1, x1 in blend.boxes:
        ...     blend.add((y0, x0, y1, x1), torch.ones(y1 - y0, x1 - x0))  # every tile sees the same
        >>> len(blend.boxes), round(blend.result().sum().item(), 3)
        (2, 160.0)
    """

    def __init__(self, height: int, width: int, tile: int, overlap: int, *, cell: int = 1, multiple: int = 1) -> None:
        """Lay out the tiles; see the class for the arguments."""
        rows, columns = (tile_spans(length, tile, overlap, multiple) for length in (height, width))
        self.boxes: list[TileBox] = [(y0, x0, y1, x1) for y0, y1 in rows for x0, x1 in columns]
        self._rows = dict(zip(rows, blend_weights(rows, overlap), strict=True))
        self._columns = dict(zip(columns, blend_weights(columns, overlap), strict=True))
        self._cell = cell
        self._sum = torch.zeros(math.ceil(height / cell), math.ceil(width / cell))

    def add(self, box: TileBox, density: Tensor) -> None:
        """Blend in the density (h, w) of one tile of `boxes`; every tile is to be added exactly once.

        Raises:
            LikewiseError: a density whose shape is not the box's.
        """
        y0, x0, y1, x1 = box
        if density.shape != (y1 - y0, x1 - x0):
            raise LikewiseError(
                f"expected a density of shape {(y1 - y0, x1 - x0)} for {box}, got {tuple(density.shape)}"
            )
        weight = self.weight(box)
        cells = _cell_sums(density.to(weight) * weight, y0 % self._cell, x0 % self._cell, self._cell)
        top, left = y0 // self._cell, x0 // self._cell
        self._sum[top : top + cells.shape[0], left : left + cells.shape[1]] += cells

    def weight(self, box: TileBox) -> Tensor:
        """How much each pixel (h, w) of one tile of `boxes` says in the blend; those of all tiles sum to 1."""
        y0, x0, y1, x1 = box
        return self._rows[y0, y1][:, None] * self._columns[x0, x1]

    def result(self) -> Tensor:
        """The blended density (ceil(height / cell), ceil(width / cell)), float32."""
        return self._sum


def _ramp(length: int, overlap: int) -> Tensor:
    place = torch.arange(length, dtype=torch.float64) + 0.5
    depth = torch.minimum(place, length - place) / max(overlap, 1)
    return torch.sin(depth.clamp(max=1.0) * (math.pi / 2)).square()


def _cell_sums(density: Tensor, top: int, left: int, cell: int) -> Tensor:
    """Sums over cells of a density whose first pixel lies at (top, left) inside its first cell."""
    if cell == 1:
        return density
    height, width = density.shape[0] + top, density.shape[1] + left
    padded = F.pad(density, (left, -width % cell, top, -height % cell))
    return F.avg_pool2d(padded[None], cell, divisor_override=1)[0]
