"""More ways things stand in the world: stands and crowds in perspective, shelves, walls, stacks, parking lots, streets.

Each fills the picture with places for things of the field's size, makes things larger or smaller until there are enough
places, and takes as many as it needs. The table of every layout by name is here, too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from likewise.scenes.layouts import flat
from likewise.scenes.layouts.flat import Doubles, Field, Layout, Placement, draw_far, inside, pushed_apart, turned

#: How much larger or smaller than the field says things may be made to fill the picture.
_GROWTH = (0.25, 2.2)
#: Places (N, 2), sizes (N,) relative to the field's and turns (N,).
Places = tuple[Doubles, Doubles, Doubles]


def stands(rng: Generator, count: int, field: Field) -> Placement:
    """Curved rows that rise behind one another, each partly hidden by the next: seats in a stadium, pupils, bottles."""
    bow = rng.uniform(-0.35, 0.35)
    return _tiers(rng, count, field, across=rng.uniform(0.95, 1.25), up=rng.uniform(0.5, 1.15), bow=bow, jitter=0.02)


def crowd(rng: Generator, count: int, field: Field) -> Placement:
    """Upright bodies on the ground, seen from a little above, of which mostly the upper part shows."""
    across, up = rng.uniform(0.75, 1.3), rng.uniform(0.22, 0.8)
    return _tiers(rng, count, field, across=across, up=up, bow=0.0, jitter=rng.uniform(0.1, 0.3))


def shelves(rng: Generator, count: int, field: Field) -> Placement:
    """Side by side on boards, the rows level."""
    step = field.sides * (rng.uniform(0.98, 1.15), rng.uniform(1.12, 1.7))
    return _filled(rng, count, field, lambda f: _rows(field, step * f, 0.0), shuffled=rng.random() < 0.3)


def bond(rng: Generator, count: int, field: Field) -> Placement:
    """Edge to edge, as bricks, tiles, keys and windows are, every other row perhaps moved by half."""
    step = field.sides * rng.uniform(1.01, 1.15 if rng.random() < 0.6 else 1.6, 2)
    shift = float(rng.choice((0.0, 0.5)))
    tilt = rng.normal(0, 0.08) * float(rng.random() < 0.4)
    return _filled(rng, count, field, lambda f: _rows(field, step * f, shift, tilt), shuffled=rng.random() < 0.08)


def packed(rng: Generator, count: int, field: Field) -> Placement:
    """Discs of unequal size pressed together: stacked logs, pipes, pebbles in a tray."""
    share = np.exp(np.clip(rng.normal(0, rng.uniform(0.0, 0.3), count), -0.6, 0.6))
    extent = np.array([field.width, field.height], dtype=np.float64)
    low = rng.uniform(0.0, 0.35) * float(rng.random() < 0.4)
    room = extent * (1, 1 - low)
    # the densest random packing of unequal discs covers about 0.84 of the plane
    area = float((np.pi / 4 * share**2).sum()) * field.size**2
    fit = float(np.clip(np.sqrt(rng.uniform(0.78, 0.92) * room.prod() / area), *_GROWTH))
    xy = pushed_apart(rng.random((count, 2)) * room, share * field.size * fit / 2, room)
    xy += np.array([0, low * extent[1]])
    return Placement(np.clip(xy, 0, extent), share * fit, np.zeros(count))


def brim(rng: Generator, count: int, field: Field) -> Placement:
    """A layer, or two, over the whole picture: a full crate, sweets in a bag, gravel."""
    step = np.full(2, field.size * rng.uniform(0.5, 0.95))
    jitter = rng.uniform(0.1, 0.4)

    def places(f: float) -> Places:
        xy, size, angle = _rows(field, step * f, 0.5)
        return xy + rng.normal(0, jitter, xy.shape) * step * f, size, angle

    return _filled(rng, count, field, places, shuffled=False, mixed=True)


def lot(rng: Generator, count: int, field: Field) -> Placement:
    """Bays in double rows with lanes between them, nose or tail first: a car park, a marina, planted beds."""
    width, length = field.sides * (rng.uniform(1.1, 1.5), rng.uniform(1.03, 1.15))
    lane, slant, whole = rng.uniform(0.5, 1.3) * length, rng.choice((0.0, 0.0, 0.35)), rng.uniform(0, 2 * np.pi)

    def places(f: float) -> Places:
        reach = np.hypot(field.width, field.height) / 2 / f
        pairs = np.arange(-np.ceil(reach / (2 * length + lane)), np.ceil(reach / (2 * length + lane)) + 1)
        down = np.concatenate([pairs * (2 * length + lane), pairs * (2 * length + lane) + length])
        along = np.arange(-np.ceil(reach / width), np.ceil(reach / width) + 1) * width
        xy = np.stack(np.meshgrid(along, down), axis=-1).reshape(-1, 2) * f
        angle = whole + slant + np.pi * (rng.random(len(xy)) < 0.4)
        return turned(xy, whole) + _middle(field), np.ones(len(xy)), angle

    return _filled(rng, count, field, places, shuffled=rng.random() < 0.6)


def lanes(rng: Generator, count: int, field: Field) -> Placement:
    """One behind the other in lanes that go either way: a street, a queue, a conveyor."""
    width, length = field.sides * (rng.uniform(1.2, 2.2), rng.uniform(1.1, 1.5))
    whole, gap = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 2.0)

    def places(f: float) -> Places:
        reach = np.hypot(field.width, field.height) / 2
        across = np.arange(-np.ceil(reach / width / f), np.ceil(reach / width / f) + 1) * width * f
        number = int(np.ceil(2 * reach / (length * f))) + 1
        steps = length * f * (1 + gap * rng.exponential(1.0, (len(across), number)))
        down = np.cumsum(steps, axis=1) - reach
        xy = np.stack([np.broadcast_to(across[:, None], down.shape), down], axis=-1).reshape(-1, 2)
        angle = np.repeat(whole + np.pi * (across > 0), number)
        return turned(xy, whole) + _middle(field), np.ones(len(xy)), angle

    return _filled(rng, count, field, places, shuffled=rng.random() < 0.5)


def swarm(rng: Generator, count: int, field: Field) -> Placement:
    """A loose cloud, thick in the middle and thin at its edge: a flock, a shoal, bees, a school of boats."""
    centre = np.array([field.width, field.height]) * rng.uniform(0.3, 0.7, 2)
    spread = np.array([field.width, field.height]) * rng.uniform(0.12, 0.4, 2)
    xy = turned(rng.standard_normal((count, 2)) * spread, rng.uniform(0, 3.2)) + centre
    heading = rng.uniform(-0.5, 0.5) + rng.normal(0, rng.choice((0.05, 0.4)), count)
    scale = np.exp(np.clip(rng.normal(0, 0.16, count), -0.5, 0.5))
    near = pushed_apart(xy, scale * field.size * 0.4, None, rounds=4)
    return Placement(inside(near, field), scale, heading)


LAYOUTS: dict[str, Layout] = {
    **{made.__name__: made for made in (flat.scatter, flat.strewn, flat.grid, flat.rows, flat.hexagons)},
    **{made.__name__: made for made in (flat.clusters, flat.pile, flat.ground, flat.avenue, flat.curve)},
    **{made.__name__: made for made in (stands, crowd, shelves, bond, packed, brim, lot, lanes, swarm)},
}
#: Layouts whose things may cover one another heavily.
HEAPED = frozenset({"pile", "strewn", "clusters", "brim", "crowd"})
#: Layouts with a near and a far side.
DEEP = frozenset({"ground", "avenue", "stands", "crowd"})


def _tiers(
    rng: Generator, count: int, field: Field, *, across: float, up: float, bow: float, jitter: float
) -> Placement:
    """Rows from near and low to far and high, ``across`` and ``up`` apart in things' widths and heights."""
    far = draw_far(rng, field)
    top, bottom = field.height * rng.uniform(-0.02, 0.3), field.height * rng.uniform(0.95, 1.05)
    middle = field.width * rng.uniform(0.3, 0.7)

    def places(f: float) -> Places:
        xy, size, y = [], [], bottom
        while y > top:
            nearness = (1 + (far - 1) * (y - top) / (bottom - top)) / far**0.5
            width, height = field.sides * f * nearness
            x = np.arange(-np.ceil(field.width / width), np.ceil(field.width / width) + 1) + rng.random()
            x = x * width * across + middle
            x = x + rng.normal(0, jitter, len(x)) * width
            lift = bow * field.height * ((x - middle) / field.width) ** 2
            xy.append(np.stack([x, y + lift + rng.normal(0, jitter, len(x)) * height * up], axis=1))
            size.append(np.full(len(x), nearness))
            y -= up * height
        sizes = np.concatenate(size) if size else np.empty(0)
        return np.concatenate(xy) if xy else np.empty((0, 2)), sizes, np.zeros(len(sizes))

    return _filled(rng, count, field, places, shuffled=rng.random() < 0.35)


def _rows(field: Field, step: Doubles, shift: float, tilt: float = 0.0) -> Places:
    """Rows and columns over the whole picture and a little beyond."""
    half = np.hypot(field.width, field.height) / 2 if tilt else np.array([field.width, field.height]) / 2
    columns, lines = np.maximum(np.floor(half / step), 0).astype(int)
    down, along = np.mgrid[-lines : lines + 1, -columns : columns + 1].astype(np.float64)
    xy = np.stack([(along + shift * (down % 2)) * step[0], down * step[1]], axis=-1).reshape(-1, 2)
    xy = turned(xy, tilt) + _middle(field)
    return xy, np.ones(len(xy)), np.full(len(xy), tilt)


def _filled(
    rng: Generator,
    count: int,
    field: Field,
    places: Callable[[float], Places],
    *,
    shuffled: bool,
    mixed: bool = False,
) -> Placement:
    """``count`` of the places inside the picture, at the size at which there are just enough.

    Args:
        rng: source of randomness.
        count: how many.
        field: the picture.
        places: things' size relative to the field's -> places, some of them outside the picture.
        shuffled: some places, anywhere, are left empty; otherwise those at the end of the list are.
        mixed: painted in any order; otherwise from the top of the picture down.
    """
    low, high = _GROWTH
    wanted = count * rng.uniform(1.1, 1.8) if shuffled else count
    for _ in range(9):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if len(_within(places(middle), field)[0]) >= wanted else (low, middle)
    xy, size, angle = _within(places(low), field)
    chosen = np.arange(len(xy)) if not shuffled else rng.permutation(len(xy))
    chosen = chosen[:count] if len(xy) >= count else np.resize(chosen, count) if len(xy) else np.empty(0, np.int64)
    if not len(chosen):
        return flat.strewn(rng, count, field)
    order = rng.permutation(count) if mixed else np.argsort(xy[chosen, 1], kind="stable")
    chosen = chosen[order]
    # where there was no room for all, the rest stand a little beside the others
    beside = np.array([len(np.unique(chosen)) < count]) * rng.normal(0, 0.3, (count, 2)) * field.size * low
    # things at the edge are cut by it, not moved: they would fall upon their neighbours
    taken = np.clip(xy[chosen] + beside, 0, (field.width, field.height))
    return Placement(taken, size[chosen] * low, angle[chosen])


def _middle(field: Field) -> Doubles:
    return np.array([field.width, field.height]) / 2


def _within(places: Places, field: Field) -> Places:
    xy, size, angle = places
    kept = ((xy > 0) & (xy < (field.width, field.height))).all(1)
    return xy[kept], size[kept], angle[kept]
