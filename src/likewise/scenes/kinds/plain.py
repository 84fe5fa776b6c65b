"""Shapes of pure colours, nothing else: kinds of a world that small networks learn in minutes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image

from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.shapes import OUTLINES, ShapeKind
from likewise.scenes.kinds.surfaces import Paint

#: Outlines that nobody takes for one another ...
_OUTLINES = ("disc", "ring", "star", "heart", "triangle", "crescent", "drop", "rod")
#: ... and colours.
_COLOURS = {
    "red": (0.83, 0.12, 0.12),
    "orange": (0.95, 0.55, 0.1),
    "yellow": (0.95, 0.87, 0.2),
    "green": (0.15, 0.6, 0.2),
    "blue": (0.15, 0.3, 0.8),
    "purple": (0.5, 0.2, 0.65),
    "pink": (0.95, 0.55, 0.75),
    "black": (0.06, 0.06, 0.06),
}


@dataclass(frozen=True)
class PlainKind:
    """An outline in a colour ("red star")."""

    shape: ShapeKind

    source = "plain"

    @property
    def name(self) -> str:
        """What it is called."""
        return self.shape.name

    @property
    def family(self) -> str:
        """All of its outline, apart from other shapes of that outline."""
        return f"plain {self.shape.family}"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures of instances that differ by ``variety`` in [0, 1]."""
        return self.shape.portraits(rng, count, variety, photos)


def plain_kinds() -> tuple[PlainKind, ...]:
    """Every outline in every colour."""
    return tuple(PlainKind(_shape(outline, name, colour)) for outline in _OUTLINES for name, colour in _COLOURS.items())


def _shape(outline: str, name: str, colour: tuple[float, float, float]) -> ShapeKind:
    aspect = float(np.sqrt(np.prod(OUTLINES[outline].aspect)))
    return ShapeKind(f"{name} {outline}", outline, (0.5, 0.5), aspect, Paint("plain", colour, colour))


PLAIN_FAMILIES = frozenset(kind.family for kind in plain_kinds())
