"""What lies under a microscope: glowing nuclei that overlap, stained nuclei, and tissue of thin-walled cells."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.special import expit

from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.drawn.pen import wobbly
from likewise.scenes.kinds.surfaces import to_image
from likewise.scenes.kinds.textures import Floats, blend, colour_name, near_colour, smooth_noise

_SIDE = 64
#: Side of the sheet for light, which reaches further than its bright part.
_LIGHT_SIDE = 112
#: Times finer than the picture that thin-walled cells are drawn.
_FINE = 4
_HAEMATOXYLIN = np.array((0.24, 0.14, 0.42), dtype=np.float32)
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class GlowKind:
    """A blob of light: a labelled nucleus, a bacterium, a spark, a star.

    Attributes:
        name: what it is called.
        tint: colour at full strength.
        softness: width of the edge as a share of the radius.
        aspect: mean ratio of its axes.
        lumpy: how far the outline strays from an ellipse.
    """

    name: str
    tint: RGB
    softness: float
    aspect: float
    lumpy: float

    source, family = "glow", "glowing nucleus"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures: their light is in the coverage, so that blobs can be added up."""
        return [self._portrait(rng, variety) for _ in range(max(count, 6))]

    def _portrait(self, rng: Generator, variety: float) -> Image.Image:
        softness = self.softness * float(np.exp(rng.normal(0, 0.5 * variety)))
        aspect = self.aspect * float(np.exp(rng.normal(0, 0.15 * variety)))
        reach = 1.9 * max(aspect, 1 / aspect) ** 0.5
        y, x = np.mgrid[-reach : reach : _LIGHT_SIDE * 1j, -reach : reach : _LIGHT_SIDE * 1j].astype(np.float32)
        theta, radius = np.arctan2(y, x), np.hypot(x / aspect**0.5, y * aspect**0.5)
        for k in (2, 3, 4):
            radius = radius * (1 + rng.normal(0, self.lumpy) * np.cos(k * theta + rng.uniform(0, 6.3)))
        light = expit((0.85 - radius) / max(softness, 0.03))
        light = light * np.clip((1.85 - radius) / 0.6, 0, 1)  # the sheet ends where there is no light left
        texture = 1 + 0.12 * smooth_noise(rng, _LIGHT_SIDE, _LIGHT_SIDE, 14, 2)
        alpha = np.clip(light * texture * (0.8 + 0.25 * np.exp(-(radius**2))), 0, 1)
        tint = np.broadcast_to(np.array(self.tint, np.float32), (*alpha.shape, 3))
        image = to_image(tint, 255 * alpha)
        return image.crop(image.getbbox())


@dataclass(frozen=True)
class NucleusKind:
    """A nucleus or a blood cell on a stained slide.

    Attributes:
        name: what it is called.
        family: "stained nucleus", "pale nucleus" or "red cell".
        colour: of the stain.
        aspect: ratio of its axes.
        clumped: how much darker clumps are than what lies between them.
    """

    name: str
    family: str
    colour: RGB
    aspect: float
    clumped: float

    source = "nucleus"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """``count`` RGBA pictures of nuclei: outline, clumps, membrane, perhaps a pale ring of cytoplasm."""
        return [self._portrait(rng, variety) for _ in range(max(count, 6))]

    def _portrait(self, rng: Generator, variety: float) -> Image.Image:
        aspect = self.aspect * float(np.exp(rng.normal(0, 0.12 * variety)))
        outline = wobbly(rng, 0.012 + 0.03 * variety) * (1, 1 / aspect)
        sheet = Image.new("L", (2 * _SIDE, 2 * _SIDE))
        ImageDraw.Draw(sheet).polygon([(x, y) for x, y in ((outline * 0.93 + 1) * _SIDE).tolist()], fill=255)
        cover = np.asarray(sheet.reduce(2), dtype=np.float32)
        y, x = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j].astype(np.float32)
        radius = np.hypot(x, y * aspect)
        colour = near_colour(rng, np.array(self.colour, np.float32), 0.1 * variety + 0.03)
        clumps = 0.5 + 0.5 * np.tanh(1.5 * smooth_noise(rng, _SIDE, _SIDE, 12, 2))
        rim = np.exp(-(((radius - 0.88) / 0.1) ** 2))
        dark = np.clip(self.clumped * (0.7 * clumps + 0.6 * rim), 0, 1)
        pale = 0.45 * colour + 0.5 if self.family != "red cell" else colour * 1.15
        painted = blend(pale, colour, dark if self.family != "red cell" else 0.3 + 0.7 * np.abs(radius - 0.35))
        image = to_image(painted, cover * (0.95 if self.family != "red cell" else 0.75))
        return image.crop(image.getbbox())


@dataclass(frozen=True)
class MembraneKind:
    """Cells that fill a picture with nothing but thin walls between them: fat, plant tissue, foam, honeycomb.

    Attributes:
        name: what it is called.
        wall: colour of the walls.
        inside: colour within.
        thickness: of the walls, as a share of a cell's side.
    """

    name: str
    wall: RGB
    inside: RGB
    thickness: float

    source, family = "membrane", "thin-walled cell"

    def portraits(self, rng: Generator, count: int, variety: float, photos: PhotoBank) -> list[Image.Image]:
        """One disc in the colours of a cell: cells are drawn by `membrane_stamps`, where their outlines are known."""
        sheet = Image.new("RGBA", (_SIDE, _SIDE))
        ImageDraw.Draw(sheet).ellipse((1, 1, _SIDE - 2, _SIDE - 2), fill=_ink(np.array(self.inside)))
        return [sheet]


def build_walls(
    rng: Generator, pixels: NDArray[np.uint8], outlines: list[NDArray[np.float64]], kind: MembraneKind
) -> None:
    """Lay the walls under the cells into a picture (H, W, 3), in place: uneven stain, strands, dark specks."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.5:
        # torn tissue shows an empty slide, as bright as what is in the cells
        pixels[:] = _ink(np.array(kind.inside) * rng.uniform(0.97, 1.03))
    sheet = Image.new("L", (2 * width, 2 * height))
    draw = ImageDraw.Draw(sheet)
    grow = 1 / (1 - kind.thickness) + 0.06
    for outline in outlines:
        centre = outline.mean(0)
        draw.polygon([(x, y) for x, y in (2 * (centre + (outline - centre) * grow)).tolist()], fill=255)
    strand = rng.random((4, 2)) * (2 * width, 2 * height) if rng.random() < 0.3 else np.empty((0, 2))
    if len(strand):
        draw.line([(x, y) for x, y in strand[:2].tolist()], fill=255, width=int(rng.integers(3, 14)))
    cover = np.asarray(sheet.reduce(2), dtype=np.float32)[..., None] / np.float32(255)
    tone = 1 + 0.12 * smooth_noise(rng, height, width, 40, 3) - 0.35 * (smooth_noise(rng, height, width, 5) > 1.9)
    walls = np.clip(np.array(kind.wall, np.float32) * tone[..., None], 0, 1) * 255
    pixels[:] = (walls * cover + pixels * (1 - cover) + 0.5).astype(np.uint8)


def membrane_stamps(
    rng: Generator, outlines: list[NDArray[np.float64]], kind: MembraneKind
) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
    """Every cell's inside: RGBA and the picture's pixel (x, y) of its top left corner."""
    tint = rng.normal(0, 0.025)
    for outline in outlines:
        left, top = (int(v) - 1 for v in np.floor(outline.min(0)))
        width, height = (int(v) + 3 for v in np.ceil(np.ptp(outline, axis=0)))
        sheet = Image.new("L", (_FINE * width, _FINE * height))
        corners = (_FINE * (outline - (left, top))).tolist()
        ImageDraw.Draw(sheet).polygon([(x, y) for x, y in corners], fill=255)
        rgba = np.empty((height, width, 4), dtype=np.uint8)
        shade = np.array(kind.inside) * (1 + tint + rng.normal(0, 0.03)) + rng.normal(0, 0.008, 3)
        rgba[..., :3] = _ink(shade)
        rgba[..., 3] = np.asarray(sheet.reduce(_FINE))
        yield rgba, left, top


def microscopic_kinds(seed: int = 20260404) -> tuple[GlowKind | NucleusKind | MembraneKind, ...]:
    """The fixed list of kinds under the microscope; names are unique."""
    rng = np.random.default_rng(seed)
    kinds: list[GlowKind | NucleusKind | MembraneKind] = []
    kinds += [_glow(rng, i) for i in range(30)]
    kinds += [_nucleus(rng, i) for i in range(36)]
    kinds += [_membrane(rng, i) for i in range(30)]
    return tuple(kinds)


def _glow(rng: Generator, index: int) -> GlowKind:
    hue = float(rng.choice((0.66, 0.62, 0.33, 0.45, 0.0, 0.1, rng.random())))
    tint = colorsys.hsv_to_rgb(hue, float(rng.choice((0.0, rng.uniform(0.5, 1)), p=(0.3, 0.7))), 1.0)
    name = f"glowing {colour_name(np.array(tint, np.float32))} nucleus no. {index + 1}"
    aspect = float(rng.choice((1.0, rng.uniform(1.0, 1.5), rng.uniform(1.5, 3.0)), p=(0.5, 0.35, 0.15)))
    return GlowKind(
        name, tint, float(np.exp(rng.uniform(np.log(0.05), np.log(0.3)))), aspect, float(rng.uniform(0, 0.06))
    )


def _nucleus(rng: Generator, index: int) -> NucleusKind:
    family = ("stained nucleus", "stained nucleus", "pale nucleus", "red cell")[index % 4]
    base = {"stained nucleus": _HAEMATOXYLIN, "pale nucleus": np.array((0.5, 0.36, 0.62), np.float32)}
    colour = near_colour(rng, base.get(family, np.array((0.86, 0.42, 0.5), np.float32)), 0.12)
    aspect = float(rng.choice((1.05, 1.3, 1.8)))
    clumped = float(rng.uniform(0.7, 1.4) if family == "stained nucleus" else rng.uniform(0.2, 0.7))
    return NucleusKind(f"{family} no. {index + 1}", family, _rgb(colour), aspect, clumped)


def _membrane(rng: Generator, index: int) -> MembraneKind:
    looks = (("fat cell", (0.85, 0.7, 0.8), (0.96, 0.95, 0.96)), ("fat cell", (0.75, 0.5, 0.65), (0.94, 0.92, 0.94)),
             ("labelled cell", (0.3, 0.85, 0.35), (0.03, 0.06, 0.04)), ("plant cell", (0.3, 0.4, 0.2), (0.7, 0.8, 0.5)),
             ("bubble", (0.9, 0.93, 0.95), (0.62, 0.68, 0.72)), ("comb cell", (0.85, 0.65, 0.25), (0.3, 0.18, 0.06)),
             )  # fmt: skip
    what, *colours = looks[index % len(looks)]
    wall, inside = (near_colour(rng, np.array(c, np.float32), 0.06) for c in colours)
    return MembraneKind(
        f"{what} no. {index + 1}", _rgb(wall), _rgb(inside), float(np.exp(rng.uniform(np.log(0.025), np.log(0.13))))
    )


def _ink(colour: Floats | NDArray[np.float64]) -> tuple[int, int, int]:
    red, green, blue = (int(255 * v) for v in np.clip(colour, 0, 1))
    return red, green, blue


def _rgb(colour: Floats) -> RGB:
    return float(colour[0]), float(colour[1]), float(colour[2])
