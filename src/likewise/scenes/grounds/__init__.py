"""What things lie on: parts of photographs, or procedural wood, cloth, paper, noise, gels and glass slides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from likewise.scenes.grounds import outdoors
from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.textures import (
    Floats,
    blend,
    near_colour,
    random_colour,
    smooth_noise,
    speckles,
    stripes,
)

Ground = Callable[[Generator, int, int], Floats]


def plain(rng: Generator, height: int, width: int) -> Floats:
    """One colour with a breath of noise, often nearly white or black."""
    colour = (
        random_colour(rng)
        if rng.random() < 0.5
        else near_colour(rng, np.full(3, rng.choice((0.05, 0.93)), np.float32), 0.04)
    )
    return np.broadcast_to(colour, (height, width, 3)) * (1 + 0.02 * smooth_noise(rng, height, width, 150))[..., None]


def gradient(rng: Generator, height: int, width: int) -> Floats:
    """Two or four colours running into one another."""
    grid = np.stack([random_colour(rng) for _ in range(4)]).reshape(2, 2, 3)
    if rng.random() < 0.6:
        grid = near_colour(rng, grid[:1, :1], 0.1) + 0.3 * (grid - grid[:1, :1])
    small = Image.fromarray((np.clip(grid, 0, 1) * 255).astype(np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32) / np.float32(255)


def clouded(rng: Generator, height: int, width: int) -> Floats:
    """Octaves of noise between two colours: stone, concrete, soil, grass, carpet."""
    first = random_colour(rng)
    second = near_colour(rng, first, 0.25) if rng.random() < 0.7 else random_colour(rng)
    cell = float(np.exp(rng.uniform(np.log(6), np.log(200))))
    return blend(first, second, 0.5 + rng.uniform(0.15, 0.4) * smooth_noise(rng, height, width, cell, 4))


def wood(rng: Generator, height: int, width: int) -> Floats:
    """Long grain in browns, in planks."""
    base = np.array([0.55, 0.38, 0.22], dtype=np.float32) * rng.uniform(0.5, 1.5)
    first, second = near_colour(rng, base, 0.15), near_colour(rng, 0.7 * base, 0.1)
    grain = smooth_noise(rng, height, max(8, width // 24), 5, 3)
    grain = np.asarray(Image.fromarray(grain).resize((width, height), Image.Resampling.BICUBIC))
    colour = blend(first, second, 0.5 + 0.3 * grain)
    edge = (np.arange(height) % int(rng.integers(60, 200))) < 2
    colour[edge] *= 0.5
    return colour if rng.random() < 0.5 else _turned(rng, colour, height, width)


def striped(rng: Generator, height: int, width: int) -> Floats:
    """Stripes or checks, as on cloth and board."""
    first = random_colour(rng)
    second = near_colour(rng, first, 0.15) if rng.random() < 0.6 else random_colour(rng)
    period = float(np.exp(rng.uniform(np.log(6), np.log(120))))
    weight = stripes(rng, height, width, period, wobble=rng.choice((0.0, 0.5)))
    if rng.random() < 0.4:
        weight = 0.5 * (weight + stripes(rng, height, width, period, wobble=0.0))
    return blend(first, second, rng.uniform(0.3, 1.0) * weight)


def cloth(rng: Generator, height: int, width: int) -> Floats:
    """A weave with soft folds."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pitch = rng.uniform(3, 9)
    weave = np.sin(x * (2 * np.pi / pitch)) * np.sin(y * (2 * np.pi / pitch))
    folds = smooth_noise(rng, height, width, rng.uniform(80, 250), 2)
    return random_colour(rng) * (0.9 + 0.08 * weave + 0.12 * folds)[..., None]


def pebbled(rng: Generator, height: int, width: int) -> Floats:
    """Specks of a second colour: sand, terrazzo, gravel, leaf litter."""
    first, second = random_colour(rng), random_colour(rng)
    cell = float(np.exp(rng.uniform(np.log(3), np.log(30))))
    weight = speckles(rng, height, width, cell, rng.uniform(0.1, 0.5))
    colour = blend(first, second, weight * rng.uniform(0.3, 1.0))
    return colour * (1 + 0.08 * smooth_noise(rng, height, width, 60, 4))[..., None]


def dark_field(rng: Generator, height: int, width: int) -> Floats:
    """Fluorescence microscopy: nearly black with haze, often of one channel."""
    haze = 0.06 + 0.04 * smooth_noise(rng, height, width, rng.uniform(80, 300), 3)
    tint = np.ones(3, dtype=np.float32) if rng.random() < 0.5 else rng.dirichlet((0.4, 0.4, 0.4)).astype(np.float32) * 2
    return np.clip(haze, 0, 1)[..., None] * tint * rng.uniform(0.2, 2.0)


def bright_field(rng: Generator, height: int, width: int) -> Floats:
    """A stained slide or agar plate: pale, uneven light, a wash of stain."""
    stain = near_colour(
        rng, np.array(((0.93, 0.85, 0.92), (0.92, 0.9, 0.86), (0.85, 0.88, 0.9))[rng.integers(3)], np.float32), 0.06
    )
    light = 1 + 0.05 * smooth_noise(rng, height, width, 300)
    wash = np.clip(smooth_noise(rng, height, width, rng.uniform(20, 120), 4), 0, 3)
    return stain * light[..., None] * (1 - np.outer(wash.ravel(), (0.03, 0.1, 0.04)).reshape(height, width, 3))


GROUNDS: dict[str, Ground] = {
    "plain": plain,
    "gradient": gradient,
    "clouded": clouded,
    "wood": wood,
    "striped": striped,
    "cloth": cloth,
    "pebbled": pebbled,
    "dark field": dark_field,
    "bright field": bright_field,
    "asphalt": outdoors.asphalt,
    "grass": outdoors.grass,
    "foliage": outdoors.foliage,
    "water": outdoors.water,
    "sky": outdoors.sky,
    "snow": outdoors.snow,
    "tiled": outdoors.tiled,
    "wallpaper": outdoors.wallpaper,
    "printed": outdoors.printed,
    "stained": outdoors.stained,
}
SLIDES = ("dark field", "bright field", "plain", "clouded", "stained")
TABLES = ("plain", "gradient", "clouded", "wood", "striped", "cloth", "pebbled", "asphalt", "grass", "snow", "tiled",
          "wallpaper", "printed")  # fmt: skip


def make_background(rng: Generator, kind: str, height: int, width: int, photos: PhotoBank) -> NDArray[np.uint8]:
    """A background (height, width, 3).

    Args:
        rng: source of randomness.
        kind: "photo", "soft photo" (out of focus, so that nothing in it can be counted) or a key of `GROUNDS`.
        height: rows.
        width: columns.
        photos: the photographs; needed for the first two.
    """
    if "photo" in kind:
        image = photos.crop(rng, height, width)
        blur = rng.uniform(5, 14) if kind == "soft photo" else max(0.0, rng.normal(0.0, 2.0))
        return np.array(image.filter(ImageFilter.BoxBlur(float(blur))))
    colour = np.clip(GROUNDS[kind](rng, height, width), 0, 1)
    return (colour * 255 + 0.5).astype(np.uint8)


def _turned(rng: Generator, colour: Floats, height: int, width: int) -> Floats:
    turned = Image.fromarray((np.clip(colour, 0, 1) * 255).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90)
    return np.asarray(turned.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32) / np.float32(255)
