"""Drawing a thing by hand: filled shapes in a frame of its own, from -1 to 1, coloured RGBA and smooth at the edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from likewise.scenes.kinds.textures import Floats

#: Longest side in pixels of what a pen draws.
SIDE = 128
_FINE = 2

Colour = Floats | Sequence[float]
Corners = Sequence[tuple[float, float]] | NDArray[np.float64]


class Pen:
    """Draws on a transparent sheet whose x and y run from -1 to 1, x to the right, y downwards.

    Args:
        aspect: width / height of the sheet.
    """

    def __init__(self, aspect: float) -> None:
        self.aspect = aspect
        width, height = SIDE * min(1.0, aspect), SIDE / max(1.0, aspect)
        self._half = np.array([width, height]) * _FINE / 2
        self._sheet = Image.new("RGBA", (round(width) * _FINE, round(height) * _FINE))
        self._draw = ImageDraw.Draw(self._sheet)

    def shape(self, corners: Corners, colour: Colour) -> None:
        """A filled polygon."""
        points = (np.asarray(corners, dtype=np.float64) + 1) * self._half
        self._draw.polygon([(x, y) for x, y in points.tolist()], fill=_ink(colour))

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse."""
        (x0, y0), (x1, y1) = (np.array([[x - rx, y - ry], [x + rx, y + ry]]) + 1) * self._half
        self._draw.ellipse((x0, y0, x1, y1), fill=_ink(colour))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, rounding: float = 0.0) -> None:
        """A filled rectangle; ``rounding``: radius of its corners as a share of its shorter side."""
        (a, b), (c, d) = (np.array([[x0, y0], [x1, y1]]) + 1) * self._half
        self._draw.rounded_rectangle((a, b, c, d), radius=rounding * min(c - a, d - b), fill=_ink(colour))

    def stroke(self, corners: Corners, width: float, colour: Colour) -> None:
        """A line through points; ``width`` as a share of the sheet's shorter side."""
        points = (np.asarray(corners, dtype=np.float64) + 1) * self._half
        pixels = max(1, round(width * float(self._half.min()) * 2))
        self._draw.line([(x, y) for x, y in points.tolist()], fill=_ink(colour), width=pixels, joint="curve")

    def image(self) -> Image.Image:
        """What was drawn, RGBA, cropped to it."""
        # premultiplied while it shrinks, or the transparent black beyond the edge would darken it
        small = self._sheet.convert("RGBa").reduce(_FINE).convert("RGBA")
        return small.crop(small.getbbox())


def wobbly(rng: Generator, spread: float, corners: int = 40) -> NDArray[np.float64]:
    """A closed outline (corners, 2) round the origin whose radius strays from 1 by about ``spread``."""
    theta = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    waves = [rng.normal(0, spread) * np.cos(k * theta + rng.uniform(0, 6.3)) for k in (2, 3, 4, 5, 7)]
    radius = 1 + np.sum(waves, axis=0)
    return np.stack([radius * np.cos(theta), radius * np.sin(theta)], axis=1) / radius.max()


def dim(colour: Colour, factor: float) -> Floats:
    """A colour made darker, or brighter for a factor above 1."""
    return np.clip(np.asarray(colour, dtype=np.float32) * np.float32(factor), 0, 1)


def _ink(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (int(255 * min(max(float(v), 0.0), 1.0) + 0.5) for v in colour)
    return red, green, blue
