"""Where things stand: scatters, rows, grids, hexagons, clusters, piles, perspective ground, curves.

Every layout takes a generator, how many things, and the `Field` they stand in, and returns a `Placement`.
Convention: x to the right, y downwards, pixels; a thing's place is the centre of its portrait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """What a layout must fill.

    Attributes:
        width: of the picture.
        height: of the picture.
        size: typical side of a thing.
        ratio: largest ratio of sides a perspective may make.
        aspect: width / height of a thing where things stand upright, else 1.
    """

    width: int
    height: int
    size: float
    ratio: float = 4.0
    aspect: float = 1.0

    @property
    def sides(self) -> Doubles:
        """Width and height of a typical thing, (2,)."""
        return self.size * np.array([self.aspect**0.5, self.aspect**-0.5])


@dataclass(frozen=True)
class Placement:
    """Places of N things, in painting order (the first is painted first, so lies lowest).

    Attributes:
        xy: (N, 2) centres.
        scale: (N,) size relative to the field's.
        angle: (N,) turns in radians added to each thing's own, 0 where the layout does not turn things.
    """

    xy: Doubles
    scale: Doubles
    angle: Doubles

    @classmethod
    def flat(cls, xy: Doubles, scale: float = 1.0) -> Placement:
        """Things of one size that the layout does not turn."""
        return cls(xy, np.full(len(xy), scale), np.zeros(len(xy)))


#: Share of lattices whose things grow until the picture is full, and how much they may grow for that.
_FILLING, _MAX_GROWTH = 0.65, 2.5

Layout = Callable[[Generator, int, Field], Placement]


def scatter(rng: Generator, count: int, field: Field) -> Placement:
    """Anywhere, kept apart where there is room: some overlap remains in crowded scenes."""
    apart = field.size * rng.uniform(0.7, 1.25)
    placed = np.empty((count, 2))
    extent = np.array([field.width, field.height])
    for i in range(count):
        tries = rng.random((6, 2)) * extent
        if i:
            nearest = ((tries[:, None] - placed[None, :i]) ** 2).sum(-1).min(1)
            free = np.flatnonzero(nearest > apart**2)
            placed[i] = tries[free[0]] if len(free) else tries[nearest.argmax()]
        else:
            placed[i] = tries[0]
    return Placement.flat(inside(placed, field))


def strewn(rng: Generator, count: int, field: Field) -> Placement:
    """Anywhere, whatever lies there."""
    return Placement.flat(inside(rng.random((count, 2)) * (field.width, field.height), field))


def grid(rng: Generator, count: int, field: Field) -> Placement:
    """Rows and columns, slightly jittered, perhaps turned a little, perhaps with gaps."""
    step = field.sides * np.exp(rng.uniform(np.log(0.9), np.log(1.6), 2))
    return lattice(rng, count, field, step, shift=0.0, jitter=rng.choice((0.0, 0.03, 0.1)))


def rows(rng: Generator, count: int, field: Field) -> Placement:
    """Shelves: tight along the row, wide between rows."""
    step = field.sides * np.array([rng.uniform(0.75, 1.15), rng.uniform(1.3, 2.4)])
    return lattice(rng, count, field, step, shift=0.0, jitter=0.03)


def hexagons(rng: Generator, count: int, field: Field) -> Placement:
    """The densest packing of discs."""
    step = field.sides * rng.uniform(0.8, 1.2)
    return lattice(rng, count, field, step * (1, 0.866), shift=0.5, jitter=rng.choice((0.0, 0.05, 0.12)))


def clusters(rng: Generator, count: int, field: Field) -> Placement:
    """A few loose heaps."""
    heaps = int(rng.integers(2, 7))
    centres = rng.random((heaps, 2)) * (field.width, field.height)
    spread = field.size * np.sqrt(count / heaps) * rng.uniform(0.25, 0.6)
    xy = centres[rng.integers(heaps, size=count)] + rng.normal(0, spread, (count, 2))
    return Placement.flat(inside(_loosened(xy, field.size * 0.75), field))


def pile(rng: Generator, count: int, field: Field) -> Placement:
    """One heap, heavily overlapping, the lowest things at the rim."""
    centre = np.array([field.width, field.height]) * rng.uniform(0.35, 0.65, 2)
    spread = field.size * np.sqrt(count) * rng.uniform(0.22, 0.4)
    xy = centre + rng.normal(0, 1, (count, 2)) * spread * (1.0, rng.uniform(0.5, 1.0))
    xy = _loosened(xy, field.size * 0.5)
    order = np.argsort(-np.linalg.norm(xy - centre, axis=1), kind="stable")
    return Placement.flat(inside(xy[order], field))


def ground(rng: Generator, count: int, field: Field) -> Placement:
    """Strewn over a plane that recedes: the far ones are smaller, higher, denser and painted first."""
    far = draw_far(rng, field)
    # even on the ground: as much of it lies at a depth as the view is wide there
    depth = np.sqrt(1 + (far**2 - 1) * rng.random(count))
    across = rng.uniform(-0.5, 0.5, count)
    return _receding(rng, across * depth, depth, far, field)


def avenue(rng: Generator, count: int, field: Field) -> Placement:
    """Rows and columns on a receding plane, such as seats, crops or bottles on a belt."""
    far = draw_far(rng, field)
    columns = int(np.clip(round(np.sqrt(count * field.width / field.height * rng.uniform(0.5, 1.5))), 1, count))
    index = np.arange(count)
    across = (index % columns + 0.5) / columns - 0.5
    line = (index // columns + 0.5) / np.ceil(count / columns)
    jitter = rng.choice((0.0, 0.1, 0.25))
    across = (across + rng.normal(0, jitter / columns, count)) * far ** rng.uniform(0.1, 1.0)
    return _receding(rng, across, 1 + (far - 1) * (1 - line), far, field)


def curve(rng: Generator, count: int, field: Field) -> Placement:
    """Beads on a string: along a winding line, each turned with it."""
    lines = [_winding(rng, field) for _ in range(4)]
    lengths = [np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]) for line in lines]
    line, length = max(zip(lines, lengths, strict=True), key=lambda pair: float(pair[1][-1]))
    at = np.linspace(0, length[-1], count + 2)[1:-1]
    xy = np.stack([np.interp(at, length, line[:, k]) for k in range(2)], axis=1)
    ahead = np.stack([np.interp(at + 1, length, line[:, k]) for k in range(2)], axis=1) - xy
    room = length[-1] / (count + 1) / field.size
    scale = float(np.clip(room / rng.uniform(0.8, 1.3), 0.3, 1.0))
    return Placement(inside(xy, field), np.full(count, scale), np.arctan2(ahead[:, 1], ahead[:, 0]))


def lattice(rng: Generator, count: int, field: Field, step: Doubles, *, shift: float, jitter: float) -> Placement:
    """Rows and columns ``step`` (2,) apart, every other row moved by ``shift``; perhaps grown, tilted or with gaps."""
    extent = np.array([field.width, field.height], dtype=np.float64)
    ideal = np.sqrt(count * extent[0] * step[1] / (extent[1] * step[0])) * rng.uniform(0.7, 1.4)
    columns = int(np.clip(round(ideal), 1, count))
    lines = int(np.ceil(count / columns))
    needed = np.array([(columns + shift) * step[0], lines * step[1]])
    fit = float((extent / needed).min())
    fit = min(fit, _MAX_GROWTH) if rng.random() < _FILLING else min(fit, 1.0)
    step, needed = step * fit, needed * fit
    cells = np.arange(columns * lines)
    if rng.random() < 0.3:
        cells = np.sort(rng.permutation(cells)[:count])
    cells = cells[:count]
    column, line = cells % columns, cells // columns
    xy = np.stack([(column + 0.5 + shift * (line % 2)) * step[0], (line + 0.5) * step[1]], axis=1)
    xy = xy + rng.normal(0, jitter, xy.shape) * field.size * fit + rng.random(2) * (extent - needed)
    tilt = rng.normal(0, 0.06) if rng.random() < 0.5 else 0.0
    xy = turned(xy - extent / 2, tilt) + extent / 2
    return Placement(inside(xy, field), np.full(count, fit), np.full(count, tilt))


def draw_far(rng: Generator, field: Field) -> float:
    """How many times smaller the farthest things of a scene are."""
    return float(np.exp(rng.uniform(np.log(1.25), np.log(max(field.ratio, 1.6)))))


def _receding(rng: Generator, across: Doubles, depth: Doubles, far: float, field: Field) -> Placement:
    """Places on a plane seen at an angle: image size and distance from the horizon go as 1 / depth.

    ``across`` 1 is the picture's width at depth 1, which lies at the bottom; depth ``far`` lies near the top.
    """
    top, bottom = field.height * rng.uniform(0.0, 0.4), field.height * rng.uniform(0.85, 1.0)
    reach = (bottom - top) / (1 - 1 / far)
    vanish = field.width * rng.uniform(0.3, 0.7)
    x = vanish + (across * field.width + field.width / 2 - vanish) / depth
    xy = np.stack([x, bottom - reach + reach / depth], axis=1)
    order = np.argsort(-depth, kind="stable")
    return Placement(inside(xy, field)[order], (far**0.5 / depth)[order], np.zeros(len(xy)))


def _loosened(xy: Doubles, apart: float) -> Doubles:
    """Things that are closer than ``apart``, pushed off one another a little."""
    return pushed_apart(xy, np.full(len(xy), apart / 2), None, rounds=4, strength=0.45)


def pushed_apart(
    xy: Doubles, radius: Doubles, room: Doubles | None, *, rounds: int = 30, strength: float = 0.4
) -> Doubles:
    """Discs (N, 2) pushed off one another, and back into the ``room`` (2,) where there is one.

    ``strength`` is the share of an overlap by which either moves: with a half, two discs by themselves just touch.
    """
    reach = 2 * float(radius.max())
    for _ in range(rounds):
        pairs = cKDTree(xy).query_pairs(reach, output_type="ndarray")
        away = xy[pairs[:, 0]] - xy[pairs[:, 1]]
        distance = np.linalg.norm(away, axis=1) + 1e-6
        overlap = np.clip(radius[pairs].sum(1) - distance, 0, None)
        push = strength * away * (overlap / distance)[:, None]
        for k in range(2):
            xy[:, k] += np.bincount(pairs[:, 0], push[:, k], len(xy)) - np.bincount(pairs[:, 1], push[:, k], len(xy))
        if room is not None:
            edge = np.minimum(radius[:, None] * 0.8, room / 2)
            xy = np.clip(xy, edge, room - edge)
    return xy


def inside(xy: Doubles, field: Field) -> Doubles:
    """Things whose centre left the picture are mirrored back into it at its edges."""
    extent = np.array([field.width, field.height], dtype=np.float64)
    margin = min(0.25 * field.size, 0.2 * float(extent.min()))
    inner = extent - 2 * margin
    return margin + inner - np.abs((xy - margin) % (2 * inner) - inner)


def turned(xy: Doubles, angle: float) -> Doubles:
    """Points (N, 2) turned about the origin."""
    cos, sin = np.cos(angle), np.sin(angle)
    return xy @ np.array([[cos, sin], [-sin, cos]])


def _winding(rng: Generator, field: Field) -> Doubles:
    """400 points along a Bezier curve through the picture, (400, 2)."""
    knots = (rng.random((int(rng.integers(3, 7)), 2)) * 1.4 - 0.2) * (field.width, field.height)
    t = np.linspace(0, 1, 400)
    return np.stack([np.polynomial.polynomial.polyval(t, c) for c in _bezier(knots).T], axis=1)


def _bezier(knots: Doubles) -> Doubles:
    """Power-basis coefficients (n, 2) of the Bezier curve through control points ``knots`` (n, 2)."""
    n = len(knots) - 1
    rows_ = [_bernstein(n, k) for k in range(n + 1)]
    return np.sum([np.outer(row, knot) for row, knot in zip(rows_, knots, strict=True)], axis=0)


def _bernstein(n: int, k: int) -> Doubles:
    binomial = np.polynomial.polynomial.polypow([1.0, 1.0], n)[k]
    rise = np.polynomial.polynomial.polypow([0.0, 1.0], k)
    fall = np.polynomial.polynomial.polypow([1.0, -1.0], n - k)
    product: Doubles = binomial * np.polynomial.polynomial.polymul(rise, fall)
    return np.pad(product, (0, n + 1 - len(product)))
