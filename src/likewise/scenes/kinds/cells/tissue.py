"""Things packed with no gap, each shaped by its neighbours: tissue, cobbles, stacked logs, foam, a full crate.

Outlines are the cells of a power diagram, shrunk by the width of a gap and with their corners cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull

from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.surfaces import Paint, paint
from likewise.scenes.kinds.textures import smooth_noise
from likewise.scenes.layouts.flat import Doubles, pushed_apart

#: Radius, in steps of the lattice, of discs that cannot but touch their neighbours all round.
_DENSE = 0.5 * 0.95


@dataclass(frozen=True)
class Packing:
    """How cells fill a picture.

    Attributes:
        gap: share by which cells are shrunk.
        rounding: rounds of corner cutting.
        disorder: 0 a honeycomb, 1 points at random.
        variety: how much cells' paints differ.
        holes: share of the picture that cells leave empty.
        unequal: spread of the logarithm of the cells' radii, beyond what the disorder makes of them.
    """

    gap: float
    rounding: int
    disorder: float
    variety: float
    holes: float = 0.0
    unequal: float = 0.0


def draw_packing(rng: Generator) -> Packing:
    """A packing at random: from honeycomb to rubble."""
    return Packing(
        gap=float(rng.choice((0.02, 0.08, 0.16))),
        rounding=int(rng.integers(0, 4)),
        disorder=float(rng.uniform(0.05, 0.6)),
        variety=float(rng.uniform(0.1, 1.0)),
        unequal=float(rng.uniform(0.1, 0.45)) if rng.random() < 0.3 else 0.0,
    )


def thin_walled(rng: Generator, thickness: float) -> Packing:
    """A packing of cells with nothing but walls between them, often torn somewhere."""
    return Packing(
        gap=thickness,
        rounding=int(rng.integers(1, 4)),
        disorder=float(rng.uniform(0.3, 0.95)),
        variety=0.0,
        holes=float(rng.uniform(0, 0.3)) if rng.random() < 0.5 else 0.0,
        unequal=float(rng.uniform(0.15, 0.6)) if rng.random() < 0.65 else 0.0,
    )


def in_patches(rng: Generator, outlines: list[Doubles], width: int, height: int, share: float) -> list[Doubles]:
    """The outlines without those in a few holes that take up a share of the picture."""
    rough = smooth_noise(rng, height, width, max(height, width) / 2.5, 2)
    level = float(np.quantile(rough, share))
    centres = np.array([outline.mean(0) for outline in outlines])
    x, y = np.clip(centres, 0, (width - 1, height - 1)).astype(int).T
    return [outline for outline, value in zip(outlines, rough[y, x], strict=True) if value >= level]


def cell_outlines(rng: Generator, width: int, height: int, count: int, packing: Packing) -> list[Doubles]:
    """Outlines (n, 2) of about ``count`` cells that fill a picture; those at its edge stick out."""
    step = float(np.sqrt(width * height / count / 0.866))
    rows, columns = int(height / (step * 0.866)) + 4, int(width / step) + 4
    j, i = np.meshgrid(np.arange(columns) - 1.0, np.arange(rows) - 1.0)
    points = np.stack([(j + 0.5 * (i % 2)) * step, i * step * 0.866], axis=-1).reshape(-1, 2)
    points = points + rng.normal(0, packing.disorder * 0.45 * step, points.shape)
    radius = np.full(len(points), _DENSE * step)
    if packing.unequal:
        share = np.exp(np.clip(rng.normal(0, packing.unequal, len(points)), -1.2, 0.8))
        radius = radius * share / np.sqrt((share**2).mean())
        points = pushed_apart(points, radius, None)
    shaped = [_shape(outline, packing) for outline in power_cells(points, radius)]
    return [s for s in shaped if _centre_inside(s, width, height) and float(np.ptp(s, axis=0).max()) < 4 * step]


def power_cells(points: Doubles, radius: Doubles) -> list[Doubles]:
    """Cells of points (N, 2): where none of the other discs of ``radius`` (N,) has a lower power, |x - p|^2 - r^2.

    With equal radii they are Voronoi's. Open cells, those of the points' convex hull, and points whose disc is too
    small to have a cell are left out. From the lower hull of the points lifted to (x, y, x^2 + y^2 - r^2):
    Aurenhammer, "Power diagrams", SIAM J. Comput. 16 (1987).

    Returns:
        Corners (n, 2) of each cell, in order round it.
    """
    hull = ConvexHull(np.column_stack([points, (points**2).sum(1) - radius**2]))
    below = hull.equations[:, 2] < 0
    corners = -0.5 * hull.equations[below, :2] / hull.equations[below, 2:3]
    own: list[list[int]] = [[] for _ in points]
    for corner, triangle in enumerate(hull.simplices[below]):
        for point in triangle:
            own[point].append(corner)
    rim = set(ConvexHull(points).vertices)
    return [_in_order(corners[found]) for point, found in enumerate(own) if len(found) > 2 and point not in rim]


def tissue_stamps(
    rng: Generator, outlines: list[Doubles], look: Paint, variety: float, photos: PhotoBank
) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
    """Every cell painted: RGBA and the picture's pixel (x, y) of its top left corner."""
    for outline in outlines:
        left, top = (int(v) - 1 for v in np.floor(outline.min(0)))
        width, height = (int(v) + 3 for v in np.ceil(np.ptp(outline, axis=0)))
        image = Image.new("L", (2 * width, 2 * height))
        corners = (2 * (outline - (left, top))).tolist()
        ImageDraw.Draw(image).polygon([(x, y) for x, y in corners], fill=255)
        painted = paint(rng, np.asarray(image.reduce(2)), look.vary(rng, variety), photos)
        yield np.asarray(painted), left, top


def _in_order(corners: Doubles) -> Doubles:
    """Corners of a convex polygon in order round it."""
    x, y = (corners - corners.mean(0)).T
    return corners[np.argsort(np.arctan2(y, x))]


def _shape(outline: Doubles, packing: Packing) -> Doubles:
    centre = outline.mean(0)
    shaped = centre + (outline - centre) * (1 - packing.gap)
    for _ in range(packing.rounding):
        ahead = np.roll(shaped, -1, axis=0)
        shaped = np.stack([0.75 * shaped + 0.25 * ahead, 0.25 * shaped + 0.75 * ahead], axis=1).reshape(-1, 2)
    return shaped


def _centre_inside(outline: Doubles, width: int, height: int) -> bool:
    x, y = (outline.min(0) + outline.max(0)) / 2
    return bool(0 <= x < width and 0 <= y < height)
