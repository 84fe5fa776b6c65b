"""How the instances of one kind differ: warp, turn, squeeze, flip, colour, and light that varies across them.

A counter that has only seen copies of its exemplars fails on the world, where no two things of a kind are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from likewise.boxes import mean_side
from likewise.scenes.canvas import SOLID
from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.surfaces import edge_depth, shade, to_image
from likewise.scenes.kinds.textures import Floats, hue_rotation, smooth_noise

Bytes = NDArray[np.uint8]
#: Ratio of sides from one level of a portrait's pyramid to the next.
_STEP = 2**0.5
_WARP_CELLS = 3


@dataclass(frozen=True)
class Appearance:
    """How one kind appears in one scene, and how much its instances differ.

    Attributes:
        turn: "upright", "slight", "any" or "quarter" (multiples of 90 degrees, and a little).
        mirrored: instances may be mirror images.
        surface: "sprite" (as drawn), "shaded" (rounded, with grain), "photo" (silhouette filled from a photograph).
        hue: the kind's colours are turned by this angle (radians), the same for all.
        saturation: the kind's colours are made paler (< 1) or stronger, the same for all.
        where: names the photograph of the surface "photo", in [0, 1).
        warp: spread of the elastic warp, as a share of the side.
        squeeze: spread of the logarithm of width / height.
        tilt: largest turn out of the picture's plane, radians: instances are foreshortened along any direction.
        glow: instances are light that adds up.
        lens: how strongly instances bend what lies behind them, 0: not (see `Canvas.refract`).
        hue_spread: spread of instances' hue turns (radians).
        tone_spread: spread of instances' channel gains.
        gain_spread: spread of instances' brightness.
        field: strength of the light and colour gradient across each instance.
        portraits: number of distinct portraits.
    """

    turn: str = "any"
    mirrored: bool = False
    surface: str = "sprite"
    hue: float = 0.0
    saturation: float = 1.0
    where: float = 0.0
    warp: float = 0.0
    squeeze: float = 0.0
    tilt: float = 0.0
    glow: bool = False
    lens: float = 0.0
    hue_spread: float = 0.0
    tone_spread: float = 0.0
    gain_spread: float = 0.0
    field: float = 0.0
    portraits: int = 1


@dataclass(frozen=True)
class Portrait:
    """One picture of a kind at every size it may be asked for."""

    image: Image.Image

    @cached_property
    def side(self) -> float:
        """sqrt(width x height) in pixels."""
        return float(np.sqrt(self.image.width * self.image.height))

    @cached_property
    def lit(self) -> float:
        """sqrt(width x height) of what is lit brightly enough to belong to it, as a share of the whole's."""
        box = self.image.getchannel("A").point(lambda level: 255 * (level >= SOLID)).getbbox()
        return 1.0 if box is None else mean_side([box]) / self.side

    @cached_property
    def _levels(self) -> dict[int, Image.Image]:
        return {0: self.image}

    def at_least(self, side: float) -> Image.Image:
        """The smallest level whose side is at least ``side`` (the portrait itself if it is smaller)."""
        level = max(0, int(np.floor(np.log(self.side / max(side, 1.0)) / np.log(_STEP))))
        if level not in self._levels:
            factor = _STEP**-level
            size = (max(1, round(self.image.width * factor)), max(1, round(self.image.height * factor)))
            self._levels[level] = self.image.resize(
                size, Image.Resampling.BOX if level > 3 else Image.Resampling.HAMMING
            )
        return self._levels[level]


def make_portraits(rng: Generator, pictures: list[Image.Image], look: Appearance, photos: PhotoBank) -> list[Portrait]:
    """Dress a kind's pictures for a scene: surface, tint, and an elastic warp each."""
    made = []
    for picture in pictures:
        image = _warp(rng, picture, look.warp) if look.warp else picture
        image = _resurface(rng, image, look, photos)
        if look.hue or look.saturation != 1.0:
            image = _tint(image, hue_rotation(look.hue, look.saturation))
        made.append(Portrait(image))
    return made


def draw_angle(rng: Generator, turn: str) -> float:
    """A turn in radians for one instance."""
    if turn == "any":
        return float(rng.uniform(0, 2 * np.pi))
    if turn == "slight":
        return float(rng.normal(0, 0.12))
    if turn == "quarter":
        return float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.06))
    return float(rng.normal(0, 0.02))


def stamp(
    rng: Generator, portrait: Portrait, look: Appearance, side: float, angle: float, centre: tuple[float, float]
) -> tuple[Bytes, int, int]:
    """One instance, drawn.

    Args:
        rng: source of randomness.
        portrait: what it looks like.
        look: how much it may differ.
        side: sqrt(width x height) in pixels before turning; of light, of its bright part.
        angle: turn in radians.
        centre: x, y in the picture.

    Returns:
        RGBA (h, w, 4) and the picture's pixel (x, y) of its top left corner.
    """
    squeeze = float(np.exp(rng.normal(0, look.squeeze) / 2)) if look.squeeze else 1.0
    flip = -1.0 if look.mirrored and rng.random() < 0.5 else 1.0
    side = side / portrait.lit if look.glow else side
    source = portrait.at_least(side)
    scale = side / float(np.sqrt(source.width * source.height))
    shape = np.diag([flip * scale * squeeze, scale / squeeze])
    if look.tilt:
        shape = shape @ _foreshortening(rng.uniform(0, np.pi), rng.uniform(0, look.tilt))
    cos, sin = np.cos(angle), np.sin(angle)
    forward = np.array([[cos, -sin], [sin, cos]]) @ shape
    image, left, top = _affine(source, forward, centre)
    return _recolour(rng, np.asarray(image), look), left, top


def _foreshortening(direction: float, tilt: float) -> NDArray[np.float64]:
    """(2, 2): shorter by the cosine of a tilt along one direction, the area kept."""
    along = np.array([np.cos(direction), np.sin(direction)])
    short = np.eye(2) - (1 - np.cos(tilt)) * np.outer(along, along)
    return short / np.cos(tilt) ** 0.5


def _affine(
    source: Image.Image, forward: NDArray[np.float64], centre: tuple[float, float]
) -> tuple[Image.Image, int, int]:
    half = np.abs(forward) @ np.array([source.width / 2, source.height / 2])
    left, top = (int(np.floor(c - h)) - 1 for c, h in zip(centre, half, strict=True))
    right, bottom = (int(np.ceil(c + h)) + 1 for c, h in zip(centre, half, strict=True))
    back = np.linalg.inv(forward)
    offset = np.array([source.width / 2, source.height / 2]) - back @ (np.array(centre) - (left, top))
    data = (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1])
    size = (right - left, bottom - top)
    return source.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC), left, top


def _recolour(rng: Generator, rgba: Bytes, look: Appearance) -> Bytes:
    if not (look.hue_spread or look.tone_spread or look.gain_spread or look.field):
        return rgba
    # darker rather than brighter: what is clipped at white has lost its texture
    gain = np.exp(min(rng.normal(-0.3 * look.gain_spread, look.gain_spread), 0.35)) * np.exp(
        rng.normal(0, look.tone_spread, 3)
    )
    matrix = np.diag(gain).astype(np.float32)
    if look.hue_spread:
        matrix = matrix @ hue_rotation(float(rng.normal(0, look.hue_spread)), float(rng.uniform(0.75, 1.25)))
    colour = rgba[..., :3].astype(np.float32) @ matrix.T
    if look.field:
        colour *= _gradient(rng, rgba.shape[0], rgba.shape[1], look.field)
    out = np.empty_like(rgba)
    out[..., :3] = np.clip(colour, 0, 255)
    out[..., 3] = rgba[..., 3]
    return out


def _gradient(rng: Generator, height: int, width: int, strength: float) -> Floats:
    """A smooth gain (height, width, 3) about 1: planes and saddles, a little different in each channel."""
    y, x = (
        np.linspace(-1, 1, height, dtype=np.float32)[:, None, None],
        np.linspace(-1, 1, width, dtype=np.float32)[:, None],
    )
    a, b, c = rng.normal(0, strength, (3, 1)).astype(np.float32) + rng.normal(0, 0.35 * strength, (3, 3)).astype(
        np.float32
    )
    return np.clip(1 + a * x + b * y + c * (x * y), 0.2, 1.6)


def _warp(rng: Generator, image: Image.Image, spread: float) -> Image.Image:
    width, height = image.size
    n = _WARP_CELLS
    nodes = np.stack(np.meshgrid(np.linspace(0, width, n + 1), np.linspace(0, height, n + 1)), axis=-1)
    moved = nodes + rng.normal(0, spread, nodes.shape) * np.array([width, height])
    mesh = []
    for i in range(n):
        for j in range(n):
            corners = moved[i, j], moved[i + 1, j], moved[i + 1, j + 1], moved[i, j + 1]
            x0, y0, x1, y1 = (round(float(v)) for v in (*nodes[i, j], *nodes[i + 1, j + 1]))
            mesh.append(((x0, y0, x1, y1), tuple(float(v) for corner in corners for v in corner)))
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _resurface(rng: Generator, image: Image.Image, look: Appearance, photos: PhotoBank) -> Image.Image:
    if look.surface == "sprite":
        return image
    rgba = np.asarray(image)
    height, width = rgba.shape[:2]
    depth = edge_depth(rgba[..., 3])
    if look.surface == "photo":
        colour = photos.patch(rng, height, width, where=look.where, wander=0.05)
        colour = 0.85 * colour + 0.15 * rgba[..., :3].astype(np.float32) / np.float32(255)
    else:
        grain = smooth_noise(rng, height, width, max(height, width) / 12, 3)
        colour = rgba[..., :3].astype(np.float32) / np.float32(255) * (1 + 0.08 * grain)[..., None]
    lit = shade(
        rng, colour, depth, roundness=float(rng.choice((0.3, 0.6, 1.0))), gloss=float(rng.choice((0.0, 0.0, 0.4)))
    )
    return to_image(lit, rgba[..., 3].astype(np.float32))


def _tint(image: Image.Image, matrix: Floats) -> Image.Image:
    rgba = np.asarray(image)
    colour = np.clip(rgba[..., :3].astype(np.float32) @ matrix.T, 0, 255)
    return Image.fromarray(np.dstack([colour.astype(np.uint8), rgba[..., 3]]))
