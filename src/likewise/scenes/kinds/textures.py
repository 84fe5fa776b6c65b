"""Random colours and textures: the paint of procedural shapes and backgrounds.

Every function takes a numpy ``Generator`` first and draws from it alone, so that a scene is a pure function of
its seed. Textures are float32 arrays (H, W) or (H, W, 3) with values in about [0, 1].
"""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

#: Luma weights of Rec. 601, as Pillow's "L" mode uses them.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

_HUES = (
    (0.03, "red"),
    (0.10, "orange"),
    (0.19, "yellow"),
    (0.44, "green"),
    (0.54, "cyan"),
    (0.70, "blue"),
    (0.80, "purple"),
    (0.94, "pink"),
    (1.01, "red"),
)


def colour_name(rgb: Floats) -> str:
    """The everyday name of a colour, ``rgb`` (3,) in [0, 1]."""
    hue, lightness, _ = colorsys.rgb_to_hls(*(float(v) for v in np.clip(rgb, 0, 1)))
    chroma = float(np.ptp(np.clip(rgb, 0, 1)))
    if chroma < 0.12:
        return "black" if lightness < 0.22 else "grey" if lightness < 0.8 else "white"
    name = next(n for limit, n in _HUES if hue < limit)
    if name in ("orange", "red", "yellow") and lightness < 0.4:
        return "brown" if name != "yellow" else "olive"
    return name


def random_colour(rng: Generator) -> Floats:
    """A colour (3,): half earthy and muted as most countable things are, a quarter vivid, a quarter grey."""
    kind = rng.random()
    if kind < 0.5:
        hue, sat, val = rng.choice((0.05, 0.08, 0.11, 0.14, 0.25, 0.97)), rng.uniform(0.15, 0.8), rng.uniform(0.2, 0.95)
        hue = (hue + rng.normal(0, 0.03)) % 1.0
    elif kind < 0.75:
        hue, sat, val = rng.random(), rng.uniform(0.5, 1.0), rng.uniform(0.35, 1.0)
    else:
        hue, sat, val = rng.random(), rng.uniform(0, 0.12), rng.uniform(0.05, 1.0)
    return np.array(colorsys.hsv_to_rgb(hue, sat, val), dtype=np.float32)


def near_colour(rng: Generator, rgb: Floats, spread: float) -> Floats:
    """``rgb`` (3,) moved a little: brightness together, hue by ``spread`` a channel."""
    moved = rgb * (1 + rng.normal(0, spread)) + rng.normal(0, 0.6 * spread, 3)
    return np.clip(moved, 0.0, 1.0).astype(np.float32)


def upsample(grid: Floats, height: int, width: int) -> Floats:
    """A small grid (h, w) stretched smoothly to (height, width)."""
    image = Image.fromarray(np.ascontiguousarray(grid, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def smooth_noise(rng: Generator, height: int, width: int, cell: float, octaves: int = 1) -> Floats:
    """Octaves of value noise, (height, width) of about zero mean and unit spread.

    Args:
        rng: source of randomness.
        height: rows.
        width: columns.
        cell: size in pixels of the coarsest grain.
        octaves: each octave has half the grain and 0.55 of the amplitude of the one before.
    """
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        grain = max(cell / 2**octave, 1.0)
        rows, columns = max(2, round(height / grain) + 1), max(2, round(width / grain) + 1)
        grid = rng.standard_normal((min(rows, height), min(columns, width)), dtype=np.float32)
        total += 0.55**octave * upsample(grid, height, width)
    return total


def blend(low: Floats, high: Floats, weight: Floats) -> Floats:
    """Colours ``low`` (3,) to ``high`` (3,) by ``weight`` (H, W) in [0, 1] -> (H, W, 3)."""
    w = np.clip(weight, 0, 1)[..., None]
    return (low * (1 - w) + high * w).astype(np.float32)


def stripes(rng: Generator, height: int, width: int, period: float, *, wobble: float = 0.3) -> Floats:
    """Parallel stripes at any angle with wavering edges, (height, width) in [0, 1]."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    phase = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period)
    phase += wobble * smooth_noise(rng, height, width, 4 * period)
    sharpness = rng.uniform(0.8, 4.0)
    return (0.5 + 0.5 * np.tanh(sharpness * np.sin(phase)) / np.tanh(sharpness)).astype(np.float32)


def rings(rng: Generator, height: int, width: int, period: float) -> Floats:
    """Concentric wavering rings about a point near the middle, as on a sawn log, (height, width) in [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cy, cx = height * rng.uniform(0.4, 0.6), width * rng.uniform(0.4, 0.6)
    radius = np.hypot(y - cy, x - cx) + period * 0.5 * smooth_noise(rng, height, width, max(height, width) / 3, 2)
    return (0.5 + 0.5 * np.sin(radius * (2 * np.pi / period))).astype(np.float32)


def speckles(rng: Generator, height: int, width: int, cell: float, share: float) -> Floats:
    """Soft spots covering about ``share`` of the area, (height, width) in [0, 1]."""
    noise = smooth_noise(rng, height, width, cell)
    level = float(np.quantile(noise[::3, ::3], 1 - share))
    return np.clip((noise - level) * 3 + 0.5, 0, 1).astype(np.float32)


def hue_rotation(angle: float, saturation: float = 1.0) -> Floats:
    """Colour matrix (3, 3) that turns hues by ``angle`` radians about the grey axis and scales saturation."""
    third, root = 1.0 / 3.0, float(np.sqrt(1.0 / 3.0))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = cos * np.eye(3) + (1 - cos) * third * np.ones((3, 3))
    turn += sin * root * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    grey = np.outer(np.ones(3), LUMA)
    return ((saturation * np.eye(3) + (1 - saturation) * grey) @ turn).astype(np.float32)
