"""Procedural kinds: outlines drawn from formulas and painted by `surfaces`, for what no font holds.

A `ShapeKind` is one nameable thing ("speckled brown bean"): a family of outline, its proportions and its paint.
Its portraits differ as instances of one kind do: a wobble of the outline, a shift of the colour, another texture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.surfaces import PAINTS, Paint, paint
from likewise.scenes.kinds.textures import Floats, colour_name, near_colour, random_colour

#: Longest side in pixels of a portrait.
PORTRAIT = 144
_CORNERS = 96
Radii = NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    """A closed curve in polar form with an optional hole.

    Attributes:
        radii: theta (n,) and two numbers in [0, 1] that fix the proportions -> radius (n,).
        aspect: range of width / height.
        hole: radius of the hole as a share of the outline's, 0: none.
    """

    radii: Callable[[Radii, float, float], Radii]
    aspect: tuple[float, float] = (0.8, 1.25)
    hole: float = 0.0


def _disc(theta: Radii, a: float, b: float) -> Radii:
    return np.ones_like(theta)


def _polygon(sides: int, rounding: float) -> Callable[[Radii, float, float], Radii]:
    def radii(theta: Radii, a: float, b: float) -> Radii:
        half = np.pi / sides
        flat = np.cos(half) / np.cos((theta % (2 * half)) - half)
        return flat * (1 - rounding * a) + rounding * a

    return radii


def _superellipse(theta: Radii, a: float, b: float) -> Radii:
    power = 2.5 + 9 * a
    return (np.abs(np.cos(theta)) ** power + np.abs(np.sin(theta)) ** power) ** (-1 / power)


def _petals(low: int, high: int, depth: float) -> Callable[[Radii, float, float], Radii]:
    def radii(theta: Radii, a: float, b: float) -> Radii:
        lobes = round(low + (high - low) * a)
        return 1 + depth * (0.4 + 0.6 * b) * np.cos(lobes * theta)

    return radii


def _star(theta: Radii, a: float, b: float) -> Radii:
    points = round(4 + 4 * a)
    wave = np.abs(((theta * points / np.pi) % 2) - 1)
    return 0.42 + 0.2 * b + (0.58 - 0.2 * b) * wave


def _gear(theta: Radii, a: float, b: float) -> Radii:
    return 0.88 + 0.12 * np.tanh(4 * np.sin(round(8 + 8 * a) * theta))


def _bean(theta: Radii, a: float, b: float) -> Radii:
    return 1 - (0.25 + 0.25 * a) * np.exp(-(((theta - 1.5 * np.pi) / 0.7) ** 2))


def _drop(theta: Radii, a: float, b: float) -> Radii:
    from_tip = np.abs(np.angle(np.exp(1j * (theta + np.pi / 2))))
    return 0.75 + (0.5 + 0.4 * a) * np.exp(-from_tip / (0.25 + 0.25 * b))


def _leaf(theta: Radii, a: float, b: float) -> Radii:
    return 0.35 + 0.65 * np.abs(np.cos(theta)) ** (0.8 + 1.4 * a)


def _heart(theta: Radii, a: float, b: float) -> Radii:
    t = -theta
    sin = np.sin(t)
    return 0.55 * (2 - 2 * sin + sin * np.sqrt(np.abs(np.cos(t))) / (sin + 1.4))


def _peanut(theta: Radii, a: float, b: float) -> Radii:
    return np.sqrt(0.25 + 0.25 * a + (0.75 - 0.25 * a) * np.cos(theta) ** 2)


def _crescent(theta: Radii, a: float, b: float) -> Radii:
    away = np.abs(np.angle(np.exp(1j * theta)))
    return 1 - (0.55 + 0.3 * a) * np.exp(-((away / 0.9) ** 4))


def _egg(theta: Radii, a: float, b: float) -> Radii:
    return 1 + (0.06 + 0.12 * a) * np.sin(theta)


def _blob(theta: Radii, a: float, b: float) -> Radii:
    phases = np.array([a, b, a + b, a - b]) * 37.0
    waves = [np.cos(k * theta + p) / k for k, p in zip((2, 3, 4, 5), phases, strict=True)]
    return 1 + 0.32 * np.sum(waves, axis=0)


OUTLINES: dict[str, Outline] = {
    "disc": Outline(_disc, (0.95, 1.05)),
    "button": Outline(_disc, (0.95, 1.05), hole=0.18),
    "ring": Outline(_disc, (0.85, 1.15), hole=0.6),
    "washer": Outline(_disc, (0.97, 1.03), hole=0.45),
    "nut": Outline(_polygon(6, 0.1), (0.95, 1.05), hole=0.5),
    "seed": Outline(_leaf, (1.3, 2.0)),
    "grain": Outline(_disc, (1.7, 3.0)),
    "pebble": Outline(_superellipse, (1.0, 1.7)),
    "berry": Outline(_disc, (0.9, 1.1)),
    "egg": Outline(_egg, (0.7, 0.85)),
    "bean": Outline(_bean, (1.4, 2.0)),
    "drop": Outline(_drop, (0.7, 1.0)),
    "leaf": Outline(_leaf, (1.4, 2.4)),
    "flower": Outline(_petals(5, 9, 0.35), (0.9, 1.1)),
    "blossom": Outline(_petals(4, 6, 0.22), (0.9, 1.1)),
    "star": Outline(_star, (0.95, 1.05)),
    "gear": Outline(_gear, (0.97, 1.03), hole=0.3),
    "heart": Outline(_heart, (0.9, 1.1)),
    "peanut": Outline(_peanut, (1.1, 1.6)),
    "crescent": Outline(_crescent, (0.9, 1.1)),
    "blob": Outline(_blob, (0.8, 1.3)),
    "cell": Outline(_blob, (0.9, 1.15)),
    "tile": Outline(_polygon(4, 0.05), (0.7, 1.5)),
    "triangle": Outline(_polygon(3, 0.5), (0.9, 1.1)),
    "hexagon": Outline(_polygon(6, 0.3), (0.9, 1.1)),
    "stone": Outline(_polygon(7, 0.6), (0.8, 1.6)),
    "tablet": Outline(_superellipse, (1.0, 1.02)),
    "capsule": Outline(_superellipse, (2.0, 3.2)),
    "rod": Outline(_superellipse, (4.0, 9.0)),
    "stick": Outline(_superellipse, (7.0, 14.0)),
    "brick": Outline(_superellipse, (1.6, 2.6)),
    "box": Outline(_superellipse, (0.7, 1.4)),
}


@dataclass(frozen=True)
class ShapeKind:
    """One procedural thing: an outline, its proportions and its paint."""

    name: str
    family: str
    proportions: tuple[float, float]
    aspect: float
    paint: Paint

    source = "shape"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures of instances, whose outlines and paints differ by ``variety`` in [0, 1]."""
        return [self._portrait(rng, variety, photos) for _ in range(count)]

    def _portrait(self, rng: Generator, variety: float, photos: PhotoBank) -> Image.Image:
        mask = _silhouette(rng, OUTLINES[self.family], self.proportions, self.aspect, variety)
        return paint(rng, mask, self.paint.vary(rng, variety), photos)


def _silhouette(
    rng: Generator, outline: Outline, proportions: tuple[float, float], aspect: float, variety: float
) -> NDArray[np.uint8]:
    theta = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    radius = outline.radii(theta, *proportions)
    for k in range(1, 5):
        radius = radius * (1 + rng.normal(0, 0.05 * variety) * np.cos(k * theta + rng.uniform(0, 6.3)))
    aspect = aspect * float(np.exp(rng.normal(0, 0.12 * variety)))
    xy = np.stack([radius * np.cos(theta) * np.sqrt(aspect), radius * np.sin(theta) / np.sqrt(aspect)], axis=1)
    xy = xy - (xy.min(0) + xy.max(0)) / 2
    scale = (PORTRAIT - 4) / float(np.ptp(xy, axis=0).max())
    width, height = (int(v) + 4 for v in np.ptp(xy, axis=0) * scale)
    centre = np.array([width, height]) / 2
    image = Image.new("L", (2 * width, 2 * height))
    draw = ImageDraw.Draw(image)
    draw.polygon([tuple(p) for p in (2 * (xy * scale + centre)).tolist()], fill=255)
    if outline.hole:
        draw.polygon([tuple(p) for p in (2 * (xy * scale * outline.hole + centre)).tolist()], fill=0)
    return np.asarray(image.reduce(2))


def shape_kinds(count: int = 720, seed: int = 20260101) -> tuple[ShapeKind, ...]:
    """The fixed list of procedural kinds; names are unique, so fewer than ``count`` may come back."""
    rng = np.random.default_rng(seed)
    families = list(OUTLINES)
    kinds: dict[str, ShapeKind] = {}
    for index in range(count):
        family = families[index % len(families)]
        material = str(rng.choice(list(PAINTS)))
        colour = random_colour(rng)
        second = near_colour(rng, colour, 0.35) if rng.random() < 0.5 else random_colour(rng)
        look = Paint(
            material, _rgb(colour), _rgb(second), grain=float(rng.uniform(0.06, 0.4)), patch=float(rng.random())
        )
        low, high = OUTLINES[family].aspect
        aspect = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        named = f"{family} no. {index}" if material == "photo" else f"{colour_name(colour)} {family}"
        name = f"{look.adjective} {named}"
        proportions = (float(rng.random()), float(rng.random()))
        kinds.setdefault(name, ShapeKind(name, family, proportions, aspect, look))
    return tuple(kinds.values())


def _rgb(colour: Floats) -> tuple[float, float, float]:
    return float(colour[0]), float(colour[1]), float(colour[2])
