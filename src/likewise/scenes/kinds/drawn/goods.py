"""Things of shops, kitchens and workbenches, drawn: bottles, tins, books, cutlery, coins, buttons, keys, bolts.

A drawer takes a pen whose sheet has the family's aspect, a generator, the main and the second colour.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.random import Generator

from likewise.scenes.kinds.drawn.pen import Pen, dim, wobbly
from likewise.scenes.kinds.textures import Floats

_DARK, _WHITE, _STEEL = (0.07, 0.07, 0.08), (0.95, 0.95, 0.93), np.array((0.72, 0.73, 0.75), dtype=np.float32)


def _upright(pen: Pen, x0: float, y0: float, x1: float, y1: float, colour: Floats, *, gloss: float = 1.0) -> None:
    """A standing cylinder's side: dark at both edges, a light streak left of the middle."""
    edges = np.linspace(x0, x1, 13)
    for k, (a, b) in enumerate(itertools.pairwise(edges.tolist())):
        across = 2 * (k + 0.5) / 12 - 1
        light = 0.5 + 0.55 * np.sqrt(1 - across**2) + gloss * 0.45 * np.exp(-(((across + 0.4) / 0.14) ** 2))
        pen.box(a, y0, b + 0.01, y1, dim(colour, light))


def _print(pen: Pen, rng: Generator, x0: float, y0: float, x1: float, y1: float, ink: Floats) -> None:
    """Something like a word and a picture on a label."""
    wide, high = x1 - x0, y1 - y0
    pen.disc((x0 + x1) / 2, y0 + 0.62 * high, 0.22 * wide, 0.2 * high, dim(ink, 0.8))
    for k in range(3):
        y = y0 + high * (0.1 + 0.12 * k)
        pen.box(x0 + wide * 0.15, y, x1 - wide * (0.15 + 0.1 * k), y + 0.07 * high, ink)


def bottle(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A bottle: body, shoulder, neck, cap, label."""
    neck, top = 0.25 + 0.2 * second[1], -0.55 + 0.35 * second[2]
    _upright(pen, -neck, -0.95, neck, top + 0.1, colour)
    for k in range(8):
        half, y = neck + (0.95 - neck) * np.sin(k / 7 * np.pi / 2), top - 0.25 + 0.33 * k / 7
        _upright(pen, -half, y, half, y + 0.06, colour, gloss=0.6)
    _upright(pen, -0.97, top + 0.07, 0.97, 0.98, colour)
    _upright(pen, -neck * 1.1, -1, neck * 1.1, -0.84, second)
    label = rng.uniform(0.0, 0.06)
    _upright(pen, -0.98, 0.12 + label, 0.98, 0.72 + label, dim(second, 1.3), gloss=0.2)
    _print(pen, rng, -0.6, 0.15 + label, 0.6, 0.7 + label, dim(colour, 0.7))


def tin(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A tin or drinks can: rims of metal and a printed side."""
    _upright(pen, -1, -0.9, 1, 0.92, colour)
    _upright(pen, -1, 0.1, 1, 0.45, second)
    _print(pen, rng, -0.6, -0.7, 0.6, 0.6, dim(second, 1.2))
    _upright(pen, -0.95, 0.9, 0.95, 1, _STEEL)
    _upright(pen, -0.95, -1, 0.95, -0.88, _STEEL)
    pen.disc(0, -0.94, 0.9, 0.05, dim(_STEEL, 0.75))


def jar(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A glass jar of something, with a screw cap and a label."""
    pen.box(-1, -0.7, 1, 1, dim(colour, 0.7), 0.2)
    _upright(pen, -0.93, -0.55, 0.93, 0.93, colour, gloss=1.4)
    _upright(pen, -0.85, -1, 0.85, -0.66, second)
    pen.box(-0.7, -0.15, 0.7, 0.6, _WHITE, 0.1)
    _print(pen, rng, -0.6, -0.1, 0.6, 0.55, dim(second, 0.7))


def carton(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """The front of a packet: a printed panel, a band, lines of words."""
    pen.box(-1, -1, 1, 1, dim(colour, 0.85))
    pen.box(-0.94, -0.95, 0.94, 0.97, colour)
    band = -0.5 + second[0]
    pen.box(-0.94, band - 0.2, 0.94, band + 0.2, second)
    _print(pen, rng, -0.7, -0.85, 0.7, 0.85, dim(second, 0.6))


def spine(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """The back of a book on a shelf: bands, a title, a slightly rounded cover."""
    height = rng.uniform(-1.0, -0.75)
    _upright(pen, -1, height, 1, 1, colour, gloss=0.25)
    for y in (height + 0.12, height + 0.2, 0.85):
        pen.box(-1, y, 1, y + 0.025, second)
    words = rng.uniform(0.2, 0.6)
    pen.box(-0.3, -0.45, 0.3, -0.45 + words, second)
    for y in np.arange(-0.42, -0.45 + words, 0.07):
        pen.box(-0.3, y, 0.3, y + 0.025, colour)


def coin(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A coin: a rim, a worn head or number, a little dirt."""
    pen.shape(wobbly(rng, 0.006), dim(colour, 0.6))
    pen.disc(-0.02, -0.02, 0.95, 0.95, dim(colour, 1.15))
    pen.disc(0, 0, 0.84, 0.84, dim(colour, 0.92))
    turn = rng.normal(0, 0.06)
    head = wobbly(rng, 0.07, 30) * (0.4, 0.52) + (turn, -0.05)
    pen.shape(head + 0.05, dim(colour, 0.55))
    pen.shape(head, dim(colour, 1.2))
    pen.shape(head * 0.7 + (0.05, 0.06), dim(colour, 0.95))
    for k in range(16):
        angle = 2 * np.pi * k / 16 + turn
        pen.disc(0.74 * np.cos(angle), 0.74 * np.sin(angle), 0.045, 0.045, dim(colour, 0.65))


def button(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A button with two or four holes in a dish."""
    pen.disc(0, 0, 1, 1, dim(colour, 0.7))
    pen.disc(-0.03, -0.03, 0.94, 0.94, dim(colour, 1.1))
    pen.disc(0.02, 0.02, 0.68, 0.68, dim(colour, 0.78))
    pen.disc(0, 0, 0.64, 0.64, colour)
    for k in range(4 if second[0] > 0.4 else 2):
        angle = np.pi / 4 + k * (np.pi / 2 if second[0] > 0.4 else np.pi)
        pen.disc(0.24 * np.cos(angle), 0.24 * np.sin(angle), 0.11, 0.11, dim(colour, 0.25))


def keycap(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A key of a keyboard with a letter-like mark that differs from key to key."""
    pen.box(-1, -1, 1, 1, dim(colour, 0.55), 0.15)
    pen.box(-0.8, -0.9, 0.8, 0.7, colour, 0.15)
    pen.box(-0.7, -0.82, 0.7, 0.6, dim(colour, 1.12), 0.2)
    for _ in range(int(rng.integers(2, 5))):
        a, b = rng.uniform(-0.4, 0.25, (2, 2))
        pen.stroke([tuple(a), (b[0], a[1]) if rng.random() < 0.5 else (a[0], b[1])], 0.07, second)


def fork(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A fork, tines up."""
    pen.shape([(-0.22, -0.3), (0.22, -0.3), (0.42, 0.9), (0.3, 1), (-0.3, 1), (-0.42, 0.9)], dim(colour, 0.9))
    pen.box(-0.9, -0.68, 0.9, -0.38, colour, 0.6)
    for x in np.linspace(-0.8, 0.8, 3 + round(float(second[0]))):
        pen.box(x - 0.13, -1, x + 0.13, -0.5, dim(colour, 1.1), 0.4)
    pen.shape([(-0.06, -0.2), (0.06, -0.2), (0.12, 0.85), (-0.12, 0.85)], dim(colour, 1.3))


def spoon(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A spoon, its bowl at the top, light caught in it."""
    pen.shape([(-0.2, -0.4), (0.2, -0.4), (0.45, 0.9), (0.3, 1), (-0.3, 1), (-0.45, 0.9)], dim(colour, 0.85))
    pen.disc(0, -0.68, 0.98, 0.32, dim(colour, 0.8))
    pen.disc(0, -0.67, 0.85, 0.27, dim(colour, 0.6))
    pen.disc(-0.2, -0.72, 0.45, 0.16, dim(colour, 1.3))
    pen.shape([(-0.05, -0.3), (0.05, -0.3), (0.15, 0.85), (-0.15, 0.85)], dim(colour, 1.25))


def knife(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A knife: a blade with one curved edge and a handle."""
    pen.shape([(-0.6, 0.1), (-0.6, -0.85), (-0.1, -1), (0.6, -0.8), (0.75, 0.1)], dim(colour, 1.0))
    pen.shape([(-0.6, 0.1), (-0.6, -0.85), (-0.3, -0.95), (-0.2, 0.1)], dim(colour, 1.3))
    pen.box(-0.75, 0.08, 0.75, 1, dim(second, 0.8) if second[1] > 0.4 else dim(colour, 0.8), 0.35)


def pencil(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A pencil or crayon, its tip at the top."""
    pen.shape([(-0.9, -0.75), (0, -1), (0.9, -0.75)], (0.87, 0.7, 0.5))
    pen.shape([(-0.3, -0.92), (0, -1), (0.3, -0.92)], dim(colour, 0.6))
    _upright(pen, -0.95, -0.76, 0.95, 0.88, colour, gloss=0.8)
    _upright(pen, -0.95, 0.86, 0.95, 1, second)


def bolt(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A bolt or screw from the side: head, shank and thread."""
    _upright(pen, -1, -1, 1, -0.72, colour)
    for y in np.linspace(-0.72, 0.9, 14):
        _upright(pen, -0.48, y, 0.48, y + 0.07, colour, gloss=0.5)
        _upright(pen, -0.4, y + 0.07, 0.4, y + 0.13, dim(colour, 0.5), gloss=0.2)
    if second[0] > 0.5:
        pen.shape([(-0.4, 0.9), (0.4, 0.9), (0, 1)], dim(colour, 0.8))


def pipe(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A pipe or tyre seen end on: a wall round a dark hole."""
    pen.disc(0, 0, 1, 1, dim(colour, 0.7))
    pen.disc(-0.02, -0.03, 0.95, 0.95, colour)
    inner = 0.5 + 0.35 * second[0]
    pen.disc(0.01, 0.02, inner, inner, dim(colour, 0.45))
    pen.disc(0.05, 0.08, inner * 0.93, inner * 0.92, dim(second, 0.12))


def brick(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """The face of a brick or block, chipped and stained."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (1 - np.abs(rng.normal(0, 0.012, (4, 2))))
    pen.shape(corners, dim(colour, 0.85))
    pen.shape(corners * (0.97, 0.93) - 0.01, colour)
    for _ in range(12):
        at = rng.uniform(-0.85, 0.85, 2)
        pen.shape(wobbly(rng, 0.1, 12) * rng.uniform(0.02, 0.12, 2) + at, dim(colour, rng.uniform(0.75, 1.2)))


def cup(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A cup or bowl from above with something in it."""
    pen.box(0.6, -0.12, 1.0, 0.12, dim(colour, 0.8), 0.5)
    pen.disc(-0.1, 0, 0.88, 0.9, dim(colour, 0.85))
    pen.disc(-0.11, -0.02, 0.82, 0.84, dim(colour, 1.15))
    pen.disc(-0.1, 0.02, 0.7, 0.72, dim(second, 0.8))
    pen.disc(-0.25, -0.15, 0.3, 0.25, dim(second, 1.1))


def pill(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A two-coloured capsule lying on its side."""
    pen.box(-1, -0.96, 1, 0.96, dim(colour, 0.75), 0.5)
    pen.box(-0.97, -0.92, 0.97, 0.7, colour, 0.5)
    pen.box(0.0, -0.95, 0.55, 0.95, dim(second, 0.75))
    pen.box(-0.02, -0.96, 1, 0.96, dim(second, 0.85), 0.5)
    pen.box(0.0, -0.9, 0.95, 0.66, second, 0.5)
    pen.box(-0.02, -0.9, 0.4, 0.7, second)
    pen.box(-0.7, -0.6, 0.7, -0.35, dim(np.maximum(colour, second), 1.3), 0.5)


def bead(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A glass bead: lit within, a highlight, a dark hole or none."""
    for k in np.linspace(1, 0.2, 9):
        pen.disc(0.25 * (1 - k), 0.3 * (1 - k), k, k, dim(colour, 0.55 + 0.75 * (1 - k)))
    pen.disc(-0.35, -0.4, 0.2, 0.15, _WHITE)
    if second[0] > 0.6:
        pen.disc(0.05, 0.05, 0.16, 0.16, _DARK)
