"""Rendered kinds: solids of plain, patterned, metal and glass matter, seen from above, from the side or tumbled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image

from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.raymarch import BODIES, Array, View, look_at, rotation, tumbled
from likewise.scenes.kinds.surfaces import to_image
from likewise.scenes.kinds.textures import Floats, blend, colour_name, near_colour, random_colour

#: Side in pixels of a portrait before it is cropped.
SIDE = 100
#: Matter, and what it is called.
FINISHES = {"matte": "clay", "glossy": "lacquered", "metal": "metal", "glass": "clear", "rough": "rough"}
PATTERNS = ("plain", "bands", "sectors", "marble", "spots", "label", "tip", "photo")
_POSES = ("tumbled", "standing", "from above")
_VARIANTS = 14
_VIEWER = np.array((0, 0, 1), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Light:
    """A lamp and a sky: its direction (3,), unit, towards the lamp; the share of light that comes from everywhere."""

    direction: Array
    ambient: float


@dataclass(frozen=True)
class SolidKind:
    """One solid.

    Attributes:
        name: what it is called.
        family: a key of `BODIES`.
        proportions: of the body.
        finish: a key of `FINISHES`.
        pattern: one of `PATTERNS`.
        colour: main colour.
        second: the pattern's.
        patch: names the photograph of the pattern "photo", in [0, 1).
    """

    name: str
    family: str
    proportions: tuple[float, float]
    finish: str
    pattern: str
    colour: tuple[float, float, float]
    second: tuple[float, float, float]
    patch: float

    source = "solid"

    @property
    def clear(self) -> bool:
        """Whether what lies behind shines through, bent."""
        return self.finish == "glass"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures under one light, each turned its own way, their make differing by ``variety``."""
        pose = str(rng.choice(_POSES, p=(0.55, 0.3, 0.15)))
        elevation, light = float(rng.uniform(0.15, 1.0)), draw_light(rng)
        number = max(count, 6 if pose == "tumbled" and self.family != "ball" else 1)
        turns = [_pose(rng, pose, elevation) for _ in range(number)]
        return [self._portrait(rng, turn, light, variety, photos) for turn in turns]

    def _portrait(self, rng: Generator, turn: Array, light: Light, variety: float, photos: PhotoBank) -> Image.Image:
        a, b = np.clip(np.array(self.proportions) + rng.normal(0, 0.12 * variety, 2), 0, 1)
        view = look_at(lambda p: BODIES[self.family](p, float(a), float(b)), turn, SIDE)
        first = near_colour(rng, np.array(self.colour, np.float32), 0.12 * variety)
        second = near_colour(rng, np.array(self.second, np.float32), 0.12 * variety)
        if self.pattern == "photo":
            colour = photos.patch(rng, SIDE, SIDE, where=self.patch, wander=0.01 + 0.06 * variety)
        else:
            colour = blend(first, second, _pattern(rng, self.pattern, view.place, self.patch))
        return _crop(to_image(finished(colour, view, light, self.finish), 255 * _cover(view, self.finish)))


def draw_light(rng: Generator) -> Light:
    """A lamp above and mostly before the scene."""
    azimuth, tilt = rng.normal(-np.pi / 2, 0.8), rng.uniform(0.2, 1.0)
    direction = np.array([np.cos(azimuth) * np.sin(tilt), np.sin(azimuth) * np.sin(tilt), np.cos(tilt)])
    return Light(direction.astype(np.float32), float(rng.uniform(0.25, 0.6)))


def lambert(normal: Array, light: Light) -> Floats:
    """Light (H, W) that a matte surface with normals (H, W, 3) sends back: 1 where it faces the lamp.

    ``ambient`` comes from everywhere, the rest falls off with the cosine to the lamp (Lambert).
    """
    facing = np.clip(normal @ light.direction, 0, 1)
    lit: Floats = light.ambient + (1 - light.ambient) * facing
    return lit


def finished(colour: Floats, view: View, light: Light, finish: str) -> Floats:
    """Colours (H, W, 3) of a surface as its matter and the light make them."""
    lit = colour * (1.12 * lambert(view.normal, light))[..., None]
    halfway = light.direction + _VIEWER
    facing = np.clip(view.normal @ (halfway / np.linalg.norm(halfway)), 0, 1)
    if finish == "rough":
        return lit * (0.9 + 0.2 * _grain(view.place, 23.0))[..., None]
    if finish == "glossy":
        return lit + 0.55 * (facing**45)[..., None]
    if finish == "metal":
        # what a bent mirror shows of a bright sky, a dark horizon and a grey floor
        up = -(2 * view.normal[..., 2] * view.normal[..., 1])
        room = 0.55 + 0.45 * np.tanh(4 * (up + 0.1)) - 0.45 * np.exp(-((up / 0.18) ** 2))
        return colour * (0.35 + 0.9 * room)[..., None] + 0.6 * (facing**60)[..., None]
    if finish == "glass":
        rim = (1 - np.clip(view.normal[..., 2], 0, 1)) ** 2
        return colour * (0.75 + 0.35 * rim)[..., None] + 0.9 * (facing**70)[..., None]
    return lit


def solid_kinds(seed: int = 20260303) -> tuple[SolidKind, ...]:
    """The fixed list of rendered kinds; names are unique."""
    rng = np.random.default_rng(seed)
    kinds: dict[str, SolidKind] = {}
    for family in BODIES:
        for _ in range(_VARIANTS):
            finish = str(rng.choice(list(FINISHES), p=(0.24, 0.34, 0.16, 0.12, 0.14)))
            pattern = str(rng.choice(PATTERNS, p=(0.36, 0.1, 0.08, 0.1, 0.08, 0.08, 0.08, 0.12)))
            pattern = "plain" if finish in ("metal", "glass") else pattern
            colour, second = random_colour(rng), random_colour(rng)
            colour = 0.45 + 0.5 * colour if finish in ("metal", "glass") else colour
            texture = "" if pattern == "plain" else f" with {pattern}"
            tint = "" if pattern == "photo" else f"{colour_name(colour)} "
            name = f"{FINISHES[finish]} {tint}{family}{texture}"
            proportions = (float(rng.random()), float(rng.random()))
            look = (finish, pattern, _rgb(colour), _rgb(second), float(rng.random()))
            kinds.setdefault(name, SolidKind(name, family, proportions, *look))
    return tuple(kinds.values())


def _pose(rng: Generator, pose: str, elevation: float) -> Array:
    if pose == "tumbled":
        return tumbled(rng)
    tilt = np.pi / 2 - rng.normal(0, 0.06) if pose == "from above" else elevation + rng.normal(0, 0.04)
    # raised above the horizon, the camera sees the upside (-y) turned towards it (+z)
    return rotation(0, float(tilt)) @ rotation(1, float(rng.uniform(0, 2 * np.pi)))


def _pattern(rng: Generator, pattern: str, place: Array, make: float) -> Floats:
    """Where the second colour shows, (H, W) in [0, 1]; ``make`` in [0, 1) is the same for all of a kind."""
    x, y, z = place[..., 0], place[..., 1], place[..., 2]
    if pattern == "bands":
        return (np.sin(y * (6 + 12 * make)) > 0.2).astype(np.float32)
    if pattern == "sectors":
        return (np.sin(np.arctan2(x, z) * (2 + int(5 * make))) > 0).astype(np.float32)
    if pattern == "marble":
        return (0.5 + 0.5 * np.sin(7 * y + 5 * _grain(place, 2.5, float(rng.uniform(0, 9))))).astype(np.float32)
    if pattern == "spots":
        return np.clip(6 * (_grain(place, 7.0, float(rng.uniform(0, 9))) - 0.35), 0, 1).astype(np.float32)
    if pattern == "label":
        words = np.sin(40 * y) * (_grain(place * (1, 0.2, 1), 14.0) > 0) > 0.3
        return ((np.abs(y - 0.2) < 0.45) * (1 - 0.7 * words)).astype(np.float32)
    if pattern == "tip":
        return (y < -0.35 + 0.5 * make).astype(np.float32)
    return np.zeros(place.shape[:2], dtype=np.float32)


def _grain(place: Array, frequency: float, phase: float = 0.0) -> Floats:
    """A texture all through the body, (H, W) in about [-1, 1]: waves in a few directions."""
    waves = np.random.default_rng(7).standard_normal((6, 3)).astype(np.float32) * np.float32(frequency / 1.7)
    total: Floats = np.sin(place @ waves.T + phase + np.arange(6, dtype=np.float32)).sum(-1) / np.float32(2.4)
    return total


def _cover(view: View, finish: str) -> Floats:
    if finish != "glass":
        return view.coverage
    rim = 1 - np.clip(view.normal[..., 2], 0, 1)
    return view.coverage * np.clip(0.36 + 0.6 * rim**1.5 + 0.5 * (rim < 0.02), 0, 1)


def _crop(image: Image.Image) -> Image.Image:
    return image.crop(image.getbbox())


def _rgb(colour: Floats) -> tuple[float, float, float]:
    return float(colour[0]), float(colour[1]), float(colour[2])
