"""Things of streets, stands and facades, drawn: cars and people from above, seats, windows, boats, heads.

A drawer takes a pen whose sheet has the family's aspect, a generator, the main and the second colour.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.random import Generator

from likewise.scenes.kinds.drawn.pen import Pen, dim, wobbly
from likewise.scenes.kinds.textures import Floats

_GLASS, _DARK, _SKIN = (0.12, 0.15, 0.19), (0.06, 0.06, 0.07), (0.80, 0.60, 0.48)
_HAIR = ((0.08, 0.06, 0.05), (0.25, 0.16, 0.09), (0.45, 0.32, 0.18), (0.6, 0.6, 0.58), (0.75, 0.6, 0.35))


def car(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A car seen from above, its front at the top."""
    nose = rng.uniform(0.25, 0.6)
    pen.box(-0.95, -1, 0.95, 1, dim(colour, 0.8), nose)
    pen.box(-0.84, -0.97, 0.84, 0.97, colour, nose)
    front, back = rng.uniform(-0.45, -0.3), rng.uniform(0.5, 0.72)
    pen.box(-0.78, front, 0.78, back, _GLASS, 0.3)
    pen.box(-0.7, front + rng.uniform(0.2, 0.3), 0.7, back - rng.uniform(0.1, 0.25), dim(colour, 1.08), 0.15)
    for x in (-0.62, 0.62):
        pen.disc(x, -0.93, 0.17, 0.04, (0.95, 0.95, 0.85))
        pen.disc(x, 0.95, 0.16, 0.03, (0.7, 0.1, 0.08))
    if rng.random() < 0.25:
        pen.box(-0.4, front + 0.35, 0.4, front + 0.62, _DARK, 0.1)


def van(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A van or lorry seen from above: a cab and a long box."""
    cab = rng.uniform(-0.72, -0.5)
    pen.box(-0.9, -1, 0.9, cab + 0.06, second, 0.25)
    pen.box(-0.78, -0.9, 0.78, cab - 0.08, _GLASS, 0.2)
    pen.box(-1, cab, 1, 1, dim(colour, 0.85), 0.03)
    pen.box(-0.93, cab + 0.03, 0.93, 0.97, colour, 0.03)
    if rng.random() < 0.4:
        for y in np.linspace(cab + 0.15, 0.85, 6):
            pen.stroke([(-0.9, y), (0.9, y)], 0.02, dim(colour, 0.85))


def walker(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A person seen from above: shoulders, arms and a head."""
    hair = _HAIR[int(rng.integers(len(_HAIR)))]
    swing = rng.uniform(-0.25, 0.25)
    pen.disc(rng.uniform(-0.3, 0.3), 0.45 * np.sign(swing), 0.2, 0.35, dim(second, 0.6))
    pen.disc(-0.75, swing, 0.2, 0.4, dim(colour, 0.85))
    pen.disc(0.75, -swing, 0.2, 0.4, dim(colour, 0.85))
    pen.disc(0, 0, 0.82, 0.5, colour)
    pen.disc(0.02, -0.06, 0.36, 0.5, dim(_SKIN, 0.9))
    pen.disc(0, 0.0, 0.36, 0.5, hair)


def bust(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """Head and shoulders of somebody in a crowd, from the front or from behind."""
    hair, skin = _HAIR[int(rng.integers(len(_HAIR)))], dim(_SKIN, rng.uniform(0.4, 1.2))
    pen.disc(0, 0.75, rng.uniform(0.85, 1.0), 0.75, colour)
    pen.box(-0.95, 0.75, 0.95, 1, colour)
    pen.box(-0.22, 0.0, 0.22, 0.3, dim(skin, 0.8), 0.3)
    pen.disc(0, -0.42, 0.46, 0.56, hair)
    if rng.random() < 0.65:
        turn = rng.uniform(-0.14, 0.14)
        pen.disc(turn, -0.3, 0.38, 0.47, skin)
        for x in (-0.15, 0.15):
            pen.disc(x + turn, -0.36, 0.06, 0.045, _DARK)
        pen.disc(turn, -0.04, 0.12, 0.04, dim(skin, 0.6))
        pen.shape([(-0.2, 0.2), (0.2, 0.2), (0, 0.55)], second)


def standing(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A whole person, standing or walking, from the front or from behind."""
    hair, skin = _HAIR[int(rng.integers(len(_HAIR)))], dim(_SKIN, rng.uniform(0.4, 1.2))
    stride = rng.uniform(0.05, 0.45)
    for side in (-1, 1):
        pen.stroke([(0.2 * side, 0.1), (side * stride, 0.95)], 0.38, dim(second, 0.9 if side < 0 else 0.75))
        pen.stroke([(0.5 * side, -0.55), (side * rng.uniform(0.6, 0.9), 0.1)], 0.26, dim(colour, 0.85))
    pen.box(-0.6, -0.68, 0.6, 0.2, colour, 0.35)
    pen.disc(0, -0.83, 0.3, 0.16, hair)
    if rng.random() < 0.6:
        pen.disc(0, -0.79, 0.24, 0.12, skin)


def seat(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A moulded plastic seat seen from the front: a back with slots, the folded or open seat, and its shadow."""
    pen.box(-0.85, -1, 0.85, 0.55, dim(colour, 0.75), 0.3)
    pen.box(-0.76, -0.93, 0.76, 0.5, colour, 0.3)
    pen.box(-0.55, -0.72, 0.55, 0.05, dim(colour, 0.9), 0.3)
    if second[0] > 0.5:
        pen.box(-0.3, -0.8, 0.3, -0.66, dim(colour, 0.35), 0.5)
    pen.box(-0.95, 0.25, 0.95, 0.75, dim(colour, 1.12), 0.4)
    pen.box(-0.9, 0.62, 0.9, 1, dim(colour, 0.45), 0.3)


def window(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A window of a facade: a frame, panes that reflect or show a blind, a sill."""
    pen.box(-1, -1, 1, 0.92, colour)
    shade = dim((0.3, 0.36, 0.42), rng.uniform(0.25, 1.6))
    bars = 1 + int(2.99 * second[0])
    edges = np.linspace(-0.88, 0.88, bars + 1)
    for x0, x1 in itertools.pairwise(edges.tolist()):
        for y0, y1 in ((-0.9, -0.05), (0.03, 0.84)) if second[1] > 0.5 else ((-0.9, 0.84),):
            pen.box(x0 + 0.03, y0, x1 - 0.03, y1, dim(shade, rng.uniform(0.85, 1.15)))
    if rng.random() < 0.3:
        pen.box(-0.85, -0.9, 0.85, rng.uniform(-0.6, 0.4), (0.85, 0.83, 0.78))
    pen.box(-1, 0.88, 1, 1, dim(colour, 0.6))


def boat(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A boat seen from above, its bow at the top."""
    y = np.linspace(-1, 1, 30)
    half = np.clip((y + 1) * rng.uniform(1.0, 1.6), 0, 1) ** 0.6 * (1 - 0.15 * (y > 0) * y)
    hull = np.concatenate([np.stack([half, y], 1), np.stack([-half, y], 1)[::-1]])
    pen.shape(hull, (0.9, 0.9, 0.88) if rng.random() < 0.6 else dim(colour, 0.8))
    pen.shape(hull * (0.8, 0.88) + (0, 0.03), colour)
    pen.box(-0.5, rng.uniform(-0.35, -0.05), 0.5, rng.uniform(0.3, 0.6), second, 0.25)
    pen.box(-0.4, -0.15, 0.4, 0.02, _GLASS, 0.3)


def roof(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A house seen from the air: two or four slopes of a roof, a chimney."""
    hip = rng.uniform(0.0, 0.45)
    pen.shape([(-1, -1), (1, -1), (1 - hip, 0), (hip - 1, 0)], dim(colour, 1.1))
    pen.shape([(-1, 1), (1, 1), (1 - hip, 0), (hip - 1, 0)], dim(colour, 0.75))
    for side in (-1, 1):
        pen.shape([(side, -1), (side, 1), (side * (1 - hip), 0)], dim(colour, 0.92))
    for x in np.arange(-0.9, 1, 0.15):
        pen.stroke([(x, -1), (x * (1 - hip), 0), (x, 1)], 0.008, dim(colour, 0.7))
    pen.box(0.3, -0.5, 0.48, -0.25, dim(second, 0.7))


def awning(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A parasol seen from above: sectors of two colours."""
    edge = wobbly(rng, 0.01, 48)
    for k in range(8):
        pen.shape([(0.0, 0.0), *map(tuple, edge[6 * k : 6 * k + 7]), *map(tuple, edge[: k // 7])],
                  dim(colour if k % 2 else second, 0.85 + 0.2 * np.cos(k * 0.8)))  # fmt: skip
    pen.disc(0, 0, 0.06, 0.06, (0.9, 0.9, 0.9))
