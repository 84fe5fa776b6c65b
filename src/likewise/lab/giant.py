"""A slide of any size whose truth is known: written tile by tile, JPEG-compressed, with smaller copies of itself.

Tissue is an island of cells on an empty ground, as on a glass slide. Tiles are drawn and compressed a few times and
used many times, so that a picture of 60 000 x 60 000 pixels is on the disk in a minute; every cell lies whole in its
tile, so that the truth is a sum.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.types import Box

#: Side of a tile, pixels; the picture's side is a whole number of them, and of those of its smaller copies.
TILE = 512
#: Different tiles of tissue, and of ground.
KINDS, GROUNDS = 24, 4
#: How much smaller each copy is than the one before, and how many there are.
STEP, COPIES = 4, 3
#: Radius of a cell, pixels, and how near the middles of two may be, in radii.
RADIUS, APART = 22.0, 2.3
_GROUND, _CELL = (238, 236, 240), (120, 70, 140)


@dataclass(frozen=True)
class Giant:
    """What was written.

    Attributes:
        path: of the TIFF.
        side: of the picture, pixels.
        count: of the cells in it.
        exemplars: boxes of three of them.
    """

    path: Path
    side: int
    count: int
    exemplars: tuple[Box, ...]


@dataclass(frozen=True, eq=False)
class _Tile:
    """A tile as it is stored, and at each smaller size, and the middles of its cells (N, 2)."""

    jpeg: bytes
    smaller: tuple[NDArray[np.uint8], ...]
    cells: NDArray[np.float64]


def write_giant(path: Path, side: int = 60_000, seed: int = 0) -> Giant:
    """Write a slide, and its truth beside it as ``NAME.json``.

    Args:
        path: of the TIFF.
        side: so many pixels wide and high, or a little more: whole tiles.
        seed: of where the cells are.

    Raises:
        LikewiseError: a side without room for a tile; imagecodecs, which writes the file, is missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
        ...     write_giant(Path(folder) / "slide.tif", side=4096).count
    """
    if side < TILE:
        raise LikewiseError(f"side = {side}: expected at least {TILE} pixels")
    rng = np.random.default_rng(seed)
    across = math.ceil(side / TILE)
    tissue = [_tile(rng, cells=True) for _ in range(KINDS)]
    ground = [_tile(rng, cells=False) for _ in range(GROUNDS)]
    layout = [[_pick(rng, x, y, across, tissue, ground) for x in range(across)] for y in range(across)]
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        _write(out, (tile.jpeg for row in layout for tile in row), across * TILE, subifds=COPIES)
        for copy in range(1, COPIES + 1):
            _write(out, _copy_tiles(layout, copy), across * (TILE // STEP**copy), subfiletype=1)
    found = Giant(path, across * TILE, sum(len(tile.cells) for row in layout for tile in row), _examples(layout))
    truth = {"count": found.count, "exemplars": found.exemplars, "side": found.side}
    path.with_suffix(".json").write_text(json_text(truth), encoding="utf-8")
    return found


def _write(out: tifffile.TiffWriter, tiles: Iterator[bytes], length: int, **more: int) -> None:
    out.write(
        tiles,
        shape=(length, length, 3),
        dtype=np.uint8,
        photometric="ycbcr",
        compression="jpeg",
        tile=(TILE, TILE),
        subsampling=(1, 1),
        **more,  # type: ignore[arg-type]  # numbers of copies
    )


def _pick(rng: np.random.Generator, x: int, y: int, across: int, tissue: list[_Tile], ground: list[_Tile]) -> _Tile:
    """A tile of tissue inside an island with a ragged shore, of ground outside."""
    angle = math.atan2(y + 0.5 - across / 2, x + 0.5 - across / 2)
    reach = across * (0.27 + 0.05 * math.sin(3 * angle) + 0.03 * math.sin(7 * angle + 1))
    inside = across < 4 or math.hypot(x + 0.5 - across / 2, y + 0.5 - across / 2) < reach
    kinds = tissue if inside else ground
    return kinds[int(rng.integers(len(kinds)))]


def _tile(rng: np.random.Generator, *, cells: bool) -> _Tile:
    grain = rng.normal(0, 1.5, (TILE, TILE, 1))
    picture = np.array(_GROUND, np.float64) + grain
    middles: list[NDArray[np.float64]] = []
    for _ in range(int(rng.integers(120, 260)) if cells else 0):
        middle = rng.uniform(RADIUS + 2, TILE - RADIUS - 2, 2)
        if all(math.dist(middle, other) > APART * RADIUS for other in middles):
            middles.append(middle)
            _draw(picture, middle, rng)
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    smaller = [pixels]
    for copy in range(1, COPIES + 1):
        size = TILE // STEP**copy
        smaller.append(np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX)))
    return _Tile(_jpeg(pixels), tuple(smaller), np.array(middles).reshape(-1, 2))


def _draw(picture: NDArray[np.float64], middle: NDArray[np.float64], rng: np.random.Generator) -> None:
    """A cell: an ellipse with a darker core."""
    reach = int(RADIUS) + 3
    x0, y0 = (int(v) - reach for v in middle)
    part = picture[max(y0, 0) : y0 + 2 * reach, max(x0, 0) : x0 + 2 * reach]
    yy, xx = np.mgrid[max(y0, 0) : max(y0, 0) + part.shape[0], max(x0, 0) : max(x0, 0) + part.shape[1]] + 0.5
    turn, flat = rng.uniform(0, math.pi), rng.uniform(0.85, 1.0)
    u = (xx - middle[0]) * math.cos(turn) + (yy - middle[1]) * math.sin(turn)
    v = (yy - middle[1]) * math.cos(turn) - (xx - middle[0]) * math.sin(turn)
    away = np.hypot(u, v / flat)
    colour = np.array(_CELL) * rng.uniform(0.85, 1.15)
    share = np.clip(RADIUS * 0.95 + 0.5 - away, 0, 1)[..., None] * (0.65 + 0.35 * (away < 0.4 * RADIUS)[..., None])
    part[:] = part * (1 - share) + colour * share


def _copy_tiles(layout: list[list[_Tile]], copy: int) -> Iterator[bytes]:
    """The tiles of a smaller copy, row by row, the last ones filled up with ground."""
    size, across = TILE // STEP**copy, len(layout)
    a_side = TILE // size
    for y in range(0, across, a_side):
        for x in range(0, across, a_side):
            picture = np.full((TILE, TILE, 3), _GROUND, np.uint8)
            for j, row in enumerate(layout[y : y + a_side]):
                for i, tile in enumerate(row[x : x + a_side]):
                    picture[j * size : (j + 1) * size, i * size : (i + 1) * size] = tile.smaller[copy]
            yield _jpeg(picture)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    with io.BytesIO() as out:
        Image.fromarray(pixels).save(out, "JPEG", quality=88, subsampling=0)
        return out.getvalue()


def _examples(layout: list[list[_Tile]]) -> tuple[Box, ...]:
    """Boxes round three cells of the tile in the middle."""
    y = x = len(layout) // 2
    tile, corner = layout[y][x], np.array([x * TILE, y * TILE])
    boxes = []
    for middle in tile.cells[:3]:
        (x0, y0), (x1, y1) = (middle + corner - RADIUS).tolist(), (middle + corner + RADIUS).tolist()
        boxes.append((round(x0, 1), round(y0, 1), round(x1, 1), round(y1, 1)))
    return tuple(boxes)
