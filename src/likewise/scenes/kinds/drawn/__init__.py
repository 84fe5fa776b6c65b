"""Drawn kinds: families of things drawn by hand in code, and their variants in the colours they have in the world."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image

from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.drawn import goods, nature, town
from likewise.scenes.kinds.drawn.pen import Pen
from likewise.scenes.kinds.surfaces import edge_depth, shade, to_image
from likewise.scenes.kinds.textures import Floats, colour_name, near_colour, random_colour, smooth_noise

Drawer = Callable[[Pen, Generator, Floats, Floats], None]
RGB = tuple[float, float, float]
#: Things of one family in its colours; "many": any colour, "one of": its own.
_VARIANTS = 6


@dataclass(frozen=True)
class Family:
    """What a family of drawn things has in common.

    Attributes:
        draw: draws one of them.
        aspect: range of width / height.
        palette: colours they have; empty: any.
        relief: how rounded the whole is shaded on top of what is drawn, 0: not.
        mixed: share of its kinds whose things have all the colours of the palette at once, as cars have.
    """

    draw: Drawer
    aspect: tuple[float, float]
    palette: tuple[RGB, ...] = ()
    relief: float = 0.0
    mixed: float = 0.3


_PAINTWORK = ((0.93, 0.93, 0.93), (0.75, 0.76, 0.78), (0.35, 0.36, 0.38), (0.08, 0.08, 0.09), (0.6, 0.08, 0.08),
              (0.1, 0.2, 0.45), (0.85, 0.75, 0.2), (0.2, 0.35, 0.25))  # fmt: skip
_TIMBER = ((0.82, 0.65, 0.44), (0.72, 0.52, 0.33), (0.88, 0.76, 0.58), (0.62, 0.42, 0.28))
_GREENS = ((0.22, 0.38, 0.14), (0.3, 0.46, 0.2), (0.42, 0.5, 0.22), (0.16, 0.28, 0.14), (0.5, 0.42, 0.18))
_RIPE = ((0.78, 0.12, 0.1), (0.9, 0.5, 0.1), (0.85, 0.75, 0.2), (0.55, 0.72, 0.25), (0.35, 0.08, 0.2), (0.2, 0.2, 0.4))
_PLUMAGE = ((0.1, 0.1, 0.12), (0.25, 0.22, 0.2), (0.45, 0.42, 0.4), (0.85, 0.85, 0.85), (0.35, 0.25, 0.15))
_METAL = ((0.72, 0.73, 0.75), (0.8, 0.62, 0.3), (0.62, 0.4, 0.25), (0.5, 0.5, 0.52))
_CLAY = ((0.62, 0.28, 0.2), (0.55, 0.35, 0.27), (0.72, 0.55, 0.42), (0.6, 0.58, 0.55), (0.85, 0.82, 0.75))
_CATTLE = ((0.9, 0.88, 0.82), (0.15, 0.12, 0.1), (0.42, 0.25, 0.15), (0.7, 0.5, 0.3))

FAMILIES: dict[str, Family] = {
    "car": Family(town.car, (0.42, 0.5), _PAINTWORK, 0.25, mixed=0.7),
    "van": Family(town.van, (0.3, 0.42), _PAINTWORK, 0.1, mixed=0.5),
    "walker": Family(town.walker, (1.2, 1.6), mixed=1.0),
    "bust": Family(town.bust, (0.75, 0.95), mixed=0.9),
    "standing person": Family(town.standing, (0.32, 0.42), mixed=0.9),
    "seat": Family(town.seat, (0.75, 1.0), mixed=0.1),
    "window": Family(town.window, (0.55, 1.1), ((0.9, 0.9, 0.88), (0.35, 0.25, 0.2), (0.2, 0.2, 0.22)), mixed=0.0),
    "boat": Family(town.boat, (0.28, 0.42), ((0.9, 0.9, 0.9), (0.6, 0.4, 0.25), (0.2, 0.3, 0.5)), 0.2, mixed=0.6),
    "roof": Family(town.roof, (1.0, 1.8), _CLAY, mixed=0.5),
    "parasol": Family(town.awning, (0.95, 1.05), mixed=0.3),
    "log end": Family(nature.log_end, (0.9, 1.1), _TIMBER, mixed=0.4),
    "tree crown": Family(nature.crown, (0.9, 1.1), _GREENS, mixed=0.3),
    "rosette": Family(nature.palm, (0.95, 1.05), _GREENS, mixed=0.2),
    "fruit": Family(nature.fruit, (0.9, 1.15), _RIPE, mixed=0.2),
    "bloom": Family(nature.bloom, (0.9, 1.1), mixed=0.2),
    "bird in flight": Family(nature.flier, (1.1, 1.6), _PLUMAGE, mixed=0.1),
    "perching bird": Family(nature.percher, (1.0, 1.3), _PLUMAGE, 0.3, mixed=0.1),
    "penguin": Family(nature.penguin, (0.42, 0.55), ((0.1, 0.1, 0.12), (0.2, 0.2, 0.24)), 0.3, mixed=0.0),
    "grazing animal": Family(nature.grazer, (0.5, 0.65), _CATTLE, 0.3, mixed=0.4),
    "fish": Family(nature.fish, (1.7, 2.6), mixed=0.1),
    "shell": Family(nature.shell, (0.95, 1.15), mixed=0.2),
    "bottle": Family(goods.bottle, (0.28, 0.42), mixed=0.15),
    "tin": Family(goods.tin, (0.5, 0.75), mixed=0.2),
    "jar": Family(goods.jar, (0.65, 0.9), mixed=0.2),
    "carton": Family(goods.carton, (0.5, 1.3), mixed=0.3),
    "book": Family(goods.spine, (0.09, 0.24), mixed=0.9),
    "coin": Family(goods.coin, (0.97, 1.03), _METAL, 0.1, mixed=0.3),
    "button": Family(goods.button, (0.97, 1.03), mixed=0.4),
    "keycap": Family(goods.keycap, (0.95, 1.1), ((0.1, 0.1, 0.11), (0.9, 0.9, 0.88), (0.5, 0.5, 0.5)), mixed=0.0),
    "fork": Family(goods.fork, (0.14, 0.2), _METAL, 0.3, mixed=0.0),
    "spoon": Family(goods.spoon, (0.18, 0.26), _METAL, 0.3, mixed=0.0),
    "knife": Family(goods.knife, (0.1, 0.15), _METAL, 0.2, mixed=0.0),
    "pencil": Family(goods.pencil, (0.06, 0.1), mixed=0.7),
    "bolt": Family(goods.bolt, (0.2, 0.4), _METAL, mixed=0.0),
    "pipe": Family(goods.pipe, (0.97, 1.03), mixed=0.1),
    "brick": Family(goods.brick, (1.9, 3.0), _CLAY, 0.06, mixed=0.2),
    "cup": Family(goods.cup, (1.0, 1.15), mixed=0.3),
    "two-coloured capsule": Family(goods.pill, (2.0, 2.8), mixed=0.1),
    "glass bead": Family(goods.bead, (0.95, 1.05), mixed=0.4),
}


@dataclass(frozen=True)
class DrawnKind:
    """One drawn thing.

    Attributes:
        name: what it is called.
        family: a key of `FAMILIES`.
        aspect: width / height.
        colour: its main colour; None: every instance has one of the family's.
        second: the other colour, which also fixes its make.
        worn: strength of the grain and stains on it.
    """

    name: str
    family: str
    aspect: float
    colour: RGB | None
    second: RGB
    worn: float

    source = "drawn"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures that differ in details, by ``variety`` in colour, and in light alike for all."""
        light = int(rng.integers(2**32))
        return [self._portrait(rng, variety, light) for _ in range(count if self.colour else max(count, 8))]

    def _portrait(self, rng: Generator, variety: float, light: int) -> Image.Image:
        family = FAMILIES[self.family]
        pen = Pen(self.aspect * float(np.exp(rng.normal(0, 0.05 * variety))))
        colour = _main_colour(rng, family) if self.colour is None else np.array(self.colour, dtype=np.float32)
        second = np.array(self.second, dtype=np.float32)
        family.draw(pen, rng, near_colour(rng, colour, 0.1 * variety), near_colour(rng, second, 0.05 * variety))
        return _weathered(rng, pen.image(), family.relief, self.worn, np.random.default_rng(light))


def drawn_kinds(seed: int = 20260202) -> tuple[DrawnKind, ...]:
    """The fixed list of drawn kinds; names are unique."""
    rng = np.random.default_rng(seed)
    kinds: dict[str, DrawnKind] = {}
    for name, family in FAMILIES.items():
        for _ in range(_VARIANTS):
            mixed = rng.random() < family.mixed
            colour = _main_colour(rng, family)
            aspect = float(np.exp(rng.uniform(*np.log(family.aspect))))
            called = f"{'mixed' if mixed else colour_name(colour)} {name}"
            number = sum(k.family == name for k in kinds.values())
            called = called if called not in kinds else f"{called} no. {number + 1}"
            own = None if mixed else _rgb(colour)
            kinds[called] = DrawnKind(called, name, aspect, own, _rgb(random_colour(rng)), float(rng.uniform(0, 0.1)))
    return tuple(kinds.values())


def _main_colour(rng: Generator, family: Family) -> Floats:
    if family.palette:
        return near_colour(rng, np.array(family.palette[int(rng.integers(len(family.palette)))], np.float32), 0.05)
    if rng.random() < 0.6:
        return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.25, 0.95)), np.float32)
    return random_colour(rng)


def _weathered(rng: Generator, image: Image.Image, relief: float, worn: float, light: Generator) -> Image.Image:
    """Grain, stains and, where the family has it, relief."""
    rgba = np.asarray(image, dtype=np.float32)
    height, width = rgba.shape[:2]
    colour = rgba[..., :3] / np.float32(255)
    if worn > 0.02:
        colour = colour * (1 + worn * smooth_noise(rng, height, width, max(height, width) / 5, 4))[..., None]
    if relief:
        depth = edge_depth(rgba[..., 3].astype(np.uint8))
        colour = shade(light, colour, depth, roundness=relief, gloss=0.0)
    return to_image(colour, rgba[..., 3])


def _rgb(colour: Floats) -> RGB:
    return float(colour[0]), float(colour[1]), float(colour[2])
