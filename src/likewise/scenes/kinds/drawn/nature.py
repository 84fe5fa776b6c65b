"""Things that grow and live, drawn: log ends, tree crowns, fruit, flowers, birds, penguins, cattle, fish.

A drawer takes a pen whose sheet has the family's aspect, a generator, the main and the second colour.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from likewise.scenes.kinds.drawn.pen import Pen, dim, wobbly
from likewise.scenes.kinds.textures import Floats, near_colour

_DARK, _WHITE = (0.07, 0.07, 0.08), (0.94, 0.94, 0.92)


def log_end(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """The sawn end of a log: bark, sapwood, rings about a pith off the middle, cracks."""
    edge = wobbly(rng, 0.025)
    pith = rng.normal(0, 0.1, 2)
    pen.shape(edge, second)
    pen.shape(edge * (1 - rng.uniform(0.05, 0.14)), dim(colour, 1.1))
    for k in np.linspace(0.84, 0.1, int(rng.integers(5, 10))):
        tone = rng.uniform(0.82, 1.05) * (1 - 0.25 * (1 - k))
        pen.shape(pith * (1 - k) + edge * k * rng.uniform(0.97, 1.0), dim(colour, tone))
    for _ in range(int(rng.integers(0, 4))):
        angle, reach = rng.uniform(0, 6.3), rng.uniform(0.3, 0.85)
        pen.stroke([tuple(pith), (reach * np.cos(angle), reach * np.sin(angle))], 0.015, dim(colour, 0.45))


def crown(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A tree from the air: tufts, bright towards the sun and dark on the far side."""
    outline = wobbly(rng, 0.05)
    pen.shape(outline * 0.9, dim(colour, 0.45))
    for k in range(70):
        radius, angle = 0.82 * np.sqrt(rng.random()), rng.uniform(0, 6.3)
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        size = rng.uniform(0.08, 0.2)
        light = np.clip(0.85 - 0.45 * (x + y) + rng.normal(0, 0.15), 0.35, 1.6)
        pen.disc(x, y, size, size, dim(colour, light) if k % 4 else dim(0.8 * colour + 0.2 * second, light))


def palm(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A palm or a rosette of long leaves from above."""
    for k in range(int(rng.integers(8, 16))):
        angle, reach = k * 2.4 + rng.normal(0, 0.15), rng.uniform(0.7, 1.0)
        ahead, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        leaf = [0 * ahead, 0.5 * reach * ahead + 0.12 * across, reach * ahead, 0.5 * reach * ahead - 0.12 * across]
        pen.shape(np.array(leaf), dim(colour, 0.6 + 0.6 * (k % 3) / 2))
    pen.disc(0, 0, 0.12, 0.12, second)


def fruit(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """An apple, orange, cherry or tomato hanging among leaves: a lit ball, a blush, a stalk."""
    pen.shape(wobbly(rng, 0.02), dim(colour, 0.62))
    light = rng.normal(-0.22, 0.08, 2)
    for k in np.linspace(0.95, 0.25, 8):
        pen.disc(light[0] * (1 - k), light[1] * (1 - k), k, k, dim(colour, 0.68 + 0.45 * (1 - k)))
    if second[0] > 0.4:
        for _ in range(14):
            x, y = rng.uniform(-0.6, 0.6, 2)
            pen.disc(x, y, 0.025, 0.025, near_colour(rng, dim(colour, 1.25), 0.05))
    pen.disc(light[0], light[1], 0.12, 0.1, dim(colour, 1.45))
    if rng.random() < 0.6:
        pen.stroke([(rng.uniform(-0.2, 0.2), -0.98), (0, -0.72)], 0.05, (0.3, 0.22, 0.1))


def bloom(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A flower from above: petals round a disc, some of them bent."""
    petals = 5 + int(12 * second[2])
    for k in range(petals):
        angle = 2 * np.pi * k / petals + rng.normal(0, 0.06)
        reach, wide = rng.uniform(0.82, 1.0), 2.4 / petals
        at = 0.55 * reach * np.array([np.cos(angle), np.sin(angle)])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        petal = wobbly(rng, 0.01, 24) * (0.45 * reach, min(wide, 0.4)) @ turn.T + at
        pen.shape(petal, dim(colour, rng.uniform(0.75, 1.1)))
    pen.disc(0, 0, 0.27, 0.27, dim(second, 0.7))
    pen.disc(-0.03, -0.03, 0.2, 0.2, second)


def flier(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A bird on the wing against the sky: two wings raised, level or lowered, a body, a tail."""
    lift, sweep, fold = rng.uniform(-0.85, 0.85), rng.uniform(-0.3, 0.5), rng.uniform(0.55, 1.0)
    for side in (-1, 1):
        elbow, tip = (0.5 * fold * side, -0.55 * lift - 0.1), (0.98 * fold * side, -0.7 * lift + 0.5 * sweep)
        pen.shape([(0.05 * side, -0.22), elbow, tip, (0.45 * fold * side, 0.22 - 0.35 * lift), (0.04 * side, 0.22)],
                  dim(colour, 1.0 if side < 0 else 1.25))  # fmt: skip
    pen.disc(0, 0, 0.14, 0.42, colour)
    pen.disc(0.02, -0.42, 0.09, 0.13, dim(second, 0.9))
    pen.shape([(-0.14, 0.66), (0.14, 0.66), (0, 0.25)], dim(colour, 0.9))


def percher(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A bird that sits or stands, seen from the side."""
    bow = rng.uniform(-0.15, 0.15)
    pen.shape([(0.45, 0.05), (1.0, 0.3 + bow), (0.95, 0.5 + bow), (0.3, 0.4)], dim(colour, 0.7))
    pen.disc(0, 0.1, 0.62, 0.42, colour)
    pen.disc(-0.08, 0.25, 0.45, 0.26, dim(second, 1.0))
    pen.disc(0.12, 0.05, 0.45, 0.25, dim(colour, 0.75))
    pen.disc(-0.5, -0.42 + bow, 0.26, 0.28, dim(colour, 1.05))
    pen.shape([(-0.72, -0.48 + bow), (-0.98, -0.36 + bow), (-0.7, -0.3 + bow)], (0.85, 0.6, 0.15))
    pen.disc(-0.56, -0.47 + bow, 0.05, 0.05, _DARK)
    for x in (-0.1, 0.15):
        pen.stroke([(x, 0.45), (x + 0.03, 0.95)], 0.04, (0.4, 0.3, 0.2))


def penguin(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A penguin standing upright: from the front, from behind or turned to a side."""
    front, lean = rng.random() < 0.55, rng.normal(0, 0.06)
    for side in (-1, 1):
        pen.shape([(0.5 * side, -0.35), (rng.uniform(0.8, 1.0) * side, 0.35), (0.5 * side, 0.25)], dim(colour, 0.8))
        pen.disc(0.26 * side, 0.95, 0.24, 0.05, (0.75, 0.5, 0.2))
    pen.disc(0, 0.22, 0.66, 0.75, colour)
    pen.disc(lean, -0.62, 0.4, 0.32, dim(colour, 0.85))
    if front:
        pen.disc(0.05 * np.sign(lean), 0.3, 0.48, 0.6, _WHITE)
        pen.disc(lean, -0.34, 0.3, 0.09, second)
    beak = 1.0 if lean > 0 else -1.0
    if front or rng.random() < 0.4:
        pen.shape([(lean + 0.25 * beak, -0.72), (lean + 0.7 * beak, -0.66), (lean + 0.25 * beak, -0.58)], _DARK)
        pen.disc(lean + 0.22 * beak, -0.5, 0.1, 0.08, second)


def grazer(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A cow or sheep from the air, its head at the top."""
    bend = rng.uniform(-0.35, 0.35)
    for x, y in ((-0.6, -0.25), (0.6, -0.3), (-0.6, 0.65), (0.6, 0.7)):
        pen.stroke([(0.4 * np.sign(x), y), (x + rng.normal(0, 0.05), y)], 0.14, dim(colour, 0.6))
    pen.shape(wobbly(rng, 0.02) * (0.62, 0.72) + (0, 0.25), colour)
    if second[0] > 0.35:
        for _ in range(3):
            at = rng.uniform((-0.35, -0.1), (0.35, 0.6))
            pen.shape(wobbly(rng, 0.08, 20) * rng.uniform(0.12, 0.25) + at, second)
    pen.disc(bend, -0.68, 0.28, 0.3, dim(colour, 0.8))
    for side in (-1, 1):
        pen.disc(bend + 0.33 * side, -0.6, 0.15, 0.06, dim(colour, 0.7))


def fish(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A fish from the side, its body a little bent."""
    bend = rng.uniform(-0.25, 0.25)
    x = np.linspace(-1, 0.65, 24)
    half = 0.75 * np.sqrt(np.clip(1 - ((x + 0.2) / 0.85) ** 2, 0, 1)) + 0.08
    middle = bend * (x + 0.2) ** 2
    pen.shape([(0.5, middle[-1] - 0.1), (1.0, middle[-1] - 0.7), (0.85, middle[-1]), (1.0, middle[-1] + 0.7)], second)
    pen.shape([(-0.2, -0.6), (0.25, -1.0), (0.4, -0.4)], dim(second, 0.8))
    pen.shape(np.concatenate([np.stack([x, middle - half], 1), np.stack([x, middle + half], 1)[::-1]]), colour)
    pen.shape(np.concatenate([np.stack([x, middle + 0.25 * half], 1), np.stack([x, middle + half], 1)[::-1]]),
              dim(colour, 1.35))  # fmt: skip
    pen.disc(-0.72, bend * 0.27 - 0.15, 0.07, 0.14, _WHITE)
    pen.disc(-0.73, bend * 0.27 - 0.15, 0.04, 0.08, _DARK)


def shell(pen: Pen, rng: Generator, colour: Floats, second: Floats) -> None:
    """A scallop: ribs that run together at the hinge."""
    angles = np.linspace(-1.15, 1.15, 25)
    rim = np.stack([np.sin(angles), 0.85 - 1.7 * np.cos(angles)], axis=1) * (1.05, 1) + (0, 0.05)
    pen.shape([(0.0, 0.95), *map(tuple, rim)], colour)
    for point in rim[1::3]:
        pen.stroke([(0.0, 0.9), tuple(point)], 0.05, dim(second, 0.8))
    pen.box(-0.35, 0.8, 0.35, 1.0, dim(colour, 0.8), 0.3)
