"""How a silhouette is painted: matter, shading from a rounded or bevelled height, gloss, translucency.

Height comes from the distance to the silhouette's edge; its gradient gives normals, and Lambert's law with a
Blinn highlight gives the light. Cells, nuclei and translucent beads have alpha and rims of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.textures import (
    Floats,
    blend,
    near_colour,
    rings,
    smooth_noise,
    speckles,
    stripes,
)

#: Materials, and the word each gives to a kind's name.
PAINTS = {
    "plain": "plain",
    "matte": "matte",
    "glossy": "glossy",
    "speckled": "speckled",
    "striped": "striped",
    "mottled": "mottled",
    "photo": "textured",
    "ringed": "ringed",
    "two-tone": "two-tone",
    "translucent": "translucent",
    "nucleated": "nucleated",
    "glowing": "glowing",
    "outlined": "outlined",
}


@dataclass(frozen=True)
class Paint:
    """The matter of one kind.

    Attributes:
        material: a key of `PAINTS`.
        colour: main colour, RGB in [0, 1].
        second: colour of stripes, specks, rims, nuclei.
        grain: texture's grain as a share of the portrait's side.
        patch: which photograph, and where in it, the material "photo" is cut from; in [0, 1).
        wander: how far instances' patches lie from one another, as a share of the photograph.
    """

    material: str
    colour: tuple[float, float, float]
    second: tuple[float, float, float]
    grain: float = 0.15
    patch: float = 0.0
    wander: float = 0.05

    @property
    def adjective(self) -> str:
        """The word the material gives to the kind's name."""
        return PAINTS[self.material]

    def vary(self, rng: Generator, variety: float) -> Paint:
        """The paint of another instance of the same kind."""
        colour = near_colour(rng, np.array(self.colour, dtype=np.float32), 0.12 * variety)
        second = near_colour(rng, np.array(self.second, dtype=np.float32), 0.12 * variety)
        grain = self.grain * float(np.exp(rng.normal(0, 0.2 * variety)))
        return replace(
            self,
            colour=(float(colour[0]), float(colour[1]), float(colour[2])),
            second=(float(second[0]), float(second[1]), float(second[2])),
            grain=grain,
            wander=0.01 + 0.06 * variety,
        )


def paint(rng: Generator, mask: NDArray[np.uint8], look: Paint, photos: PhotoBank) -> Image.Image:
    """Paint a silhouette.

    Args:
        rng: source of randomness.
        mask: (H, W) coverage, 0 to 255.
        look: its matter.
        photos: where the material "photo" takes its patches from.

    Returns:
        An RGBA picture (H, W).
    """
    depth = edge_depth(mask)
    colour = _albedo(rng, mask, look, photos, depth)
    alpha = mask.astype(np.float32)
    if look.material in ("matte", "glossy", "speckled", "striped", "mottled", "photo", "ringed", "two-tone"):
        gloss = 0.6 if look.material == "glossy" else float(rng.choice((0.0, 0.0, 0.25)))
        colour = shade(rng, colour, depth, roundness=float(rng.choice((0.25, 0.5, 1.0))), gloss=gloss)
    elif look.material == "translucent":
        alpha = alpha * (0.45 + 0.55 * np.exp(-depth / 0.18))
    elif look.material == "glowing":
        colour = colour * (0.45 + 0.55 * np.clip(depth / 0.5, 0, 1))[..., None]
    return to_image(colour, alpha)


def to_image(colour: Floats, alpha: Floats) -> Image.Image:
    """Colours (H, W, 3) in [0, 1] and coverage (H, W) in [0, 255] as an RGBA picture."""
    rgba = np.dstack([np.clip(colour, 0, 1) * 255, alpha])
    return Image.fromarray((rgba + 0.5).astype(np.uint8))


def edge_depth(mask: NDArray[np.uint8]) -> Floats:
    """Distance to the edge as a share of the largest such distance, (H, W) in [0, 1]."""
    padded = np.pad(mask >= 128, 1)
    depth = distance_transform_edt(padded)[1:-1, 1:-1].astype(np.float32)
    return depth / max(float(depth.max()), 1.0)


def shade(rng: Generator, colour: Floats, depth: Floats, *, roundness: float, gloss: float) -> Floats:
    """Light a surface whose height rises from the edge: a dome (roundness 1) down to a narrow bevel (0.2).

    Args:
        rng: source of randomness (the light's direction, mostly from above).
        colour: (H, W, 3) in [0, 1].
        depth: (H, W) from `edge_depth`.
        roundness: share of the depth over which the height rises.
        gloss: strength of the highlight, 0 to 1.
    """
    rise = np.clip(depth / roundness, 0, 1)
    side = max(depth.shape)
    height = gaussian_filter(np.sqrt(1 - (1 - rise) ** 2), side / 40) * (0.28 * roundness * side)
    slope_y, slope_x = np.gradient(height)
    slope_norm = np.sqrt(1 + slope_x**2 + slope_y**2)
    azimuth = rng.normal(-np.pi / 2, 0.9)
    tilt = rng.uniform(0.35, 1.0)
    light = np.array([np.cos(azimuth) * np.sin(tilt), np.sin(azimuth) * np.sin(tilt), np.cos(tilt)])
    lambert = np.clip((-slope_x * light[0] - slope_y * light[1] + light[2]) / slope_norm, 0, 1)
    ambient = rng.uniform(0.3, 0.7)
    lit = colour * (ambient + (1.15 - ambient) * lambert)[..., None]
    if gloss:
        half = light + np.array([0, 0, 1])
        half = half / np.linalg.norm(half)
        facing = np.clip((-slope_x * half[0] - slope_y * half[1] + half[2]) / slope_norm, 0, 1)
        lit = lit + gloss * (facing ** rng.uniform(20, 90))[..., None]
    return lit.astype(np.float32)


def _albedo(rng: Generator, mask: NDArray[np.uint8], look: Paint, photos: PhotoBank, depth: Floats) -> Floats:
    height, width = mask.shape
    first, second = np.array(look.colour, dtype=np.float32), np.array(look.second, dtype=np.float32)
    grain = max(2.0, look.grain * max(height, width))
    if look.material == "photo":
        return photos.patch(rng, height, width, where=look.patch, wander=look.wander)
    weight = _pattern(rng, look.material, depth, grain)
    colour = blend(first, second, weight)
    fine = smooth_noise(rng, height, width, grain * 0.5, 2)
    return colour * (1 + 0.05 * fine)[..., None]


def _pattern(rng: Generator, material: str, depth: Floats, grain: float) -> Floats:
    """Where the second colour shows, (H, W) in [0, 1]."""
    height, width = depth.shape
    if material == "speckled":
        return speckles(rng, height, width, grain * 0.6, rng.uniform(0.1, 0.35))
    if material == "striped":
        return stripes(rng, height, width, grain * 1.5)
    if material == "mottled":
        return 0.5 + 0.35 * smooth_noise(rng, height, width, grain * 2, 3)
    if material == "ringed":
        return rings(rng, height, width, grain)
    if material == "two-tone":
        return (np.arange(width, dtype=np.float32) > width * 0.5)[None, :].repeat(height, 0).astype(np.float32)
    if material == "nucleated":
        return np.clip((depth - rng.uniform(0.35, 0.6)) * 8, 0, 1) + 0.5 * np.exp(-depth / 0.06)
    if material in ("translucent", "outlined"):
        return np.exp(-depth / (0.06 + 0.3 * grain / max(height, width)))
    return np.zeros((height, width), dtype=np.float32)
