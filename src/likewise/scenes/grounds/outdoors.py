"""Grounds of particular places: asphalt, grass, leaves, water, sky, snow, tiles, wallpaper, print, stained tissue."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from likewise.scenes.kinds.drawn.pen import wobbly
from likewise.scenes.kinds.textures import Floats, blend, near_colour, random_colour, smooth_noise, speckles, upsample


def asphalt(rng: Generator, height: int, width: int) -> Floats:
    """Grey and grainy, with stains and cracks."""
    grey = rng.uniform(0.25, 0.6) * np.array((1, 1, rng.uniform(0.95, 1.05)), dtype=np.float32)
    texture = 0.06 * smooth_noise(rng, height, width, 2.5) + 0.08 * smooth_noise(rng, height, width, 120, 3)
    cracks = np.abs(smooth_noise(rng, height, width, 90, 3)) < 0.012
    return grey * (1 + texture - 0.25 * cracks)[..., None]


def grass(rng: Generator, height: int, width: int) -> Floats:
    """Meadow, lawn or crop: short strokes of several greens, bare in places."""
    green = near_colour(rng, np.array((0.34, 0.45, 0.18), np.float32), 0.15)
    earth = near_colour(rng, np.array((0.5, 0.42, 0.28), np.float32), 0.12)
    bare = 0.25 + 0.3 * smooth_noise(rng, height, width, rng.uniform(40, 200), 3)
    blades = smooth_noise(rng, height // 3 + 1, width, 2.0, 2)
    texture = 1 + 0.16 * upsample(blades, height, width) + 0.08 * smooth_noise(rng, height, width, 50, 2)
    return blend(green, earth, bare) * texture[..., None]


def foliage(rng: Generator, height: int, width: int) -> Floats:
    """Leaves over leaves, dark between them."""
    green = near_colour(rng, np.array((0.25, 0.4, 0.14), np.float32), 0.15)
    colour: Floats = np.broadcast_to(green * np.float32(0.35), (height, width, 3)).astype(np.float32)
    cell = rng.uniform(9, 30)
    for light in (0.55, 0.8, 1.05, 1.3):
        patch = speckles(rng, height, width, cell, 0.32)[..., None]
        vein = 1 + 0.12 * smooth_noise(rng, height, width, cell / 3, 2)
        leaf = near_colour(rng, green * np.float32(light), 0.08) * vein[..., None]
        colour = (colour * (1 - patch) + leaf * patch).astype(np.float32)
    return colour


def water(rng: Generator, height: int, width: int) -> Floats:
    """Ripples on blue, green or grey, with glints."""
    deep = near_colour(rng, np.array(((0.1, 0.3, 0.42), (0.2, 0.35, 0.3), (0.35, 0.4, 0.45))[rng.integers(3)]), 0.1)
    ripples = upsample(smooth_noise(rng, height, max(8, width // 4), rng.uniform(4, 14), 3), height, width)
    glints = np.clip(ripples - 1.6, 0, 1) * rng.uniform(0, 1.2)
    return deep.astype(np.float32) * (1 + 0.13 * ripples)[..., None] + glints[..., None]


def sky(rng: Generator, height: int, width: int) -> Floats:
    """A gradient, clear or with clouds; bright, at dusk, or overcast."""
    zenith = np.array(((0.3, 0.5, 0.8), (0.7, 0.72, 0.76), (0.35, 0.35, 0.5), (0.85, 0.88, 0.92))[rng.integers(4)])
    horizon = near_colour(rng, np.array((0.85, 0.85, 0.88), np.float32), 0.1)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None].repeat(width, 1)
    cloud = np.clip(0.5 * smooth_noise(rng, height, width, width / 3, 5) - rng.uniform(0.0, 1.0), 0, 1)
    return blend(zenith.astype(np.float32), horizon, down * rng.uniform(0.2, 1)) * (1 - cloud[..., None]) + cloud[
        ..., None
    ] * np.float32(0.93)


def snow(rng: Generator, height: int, width: int) -> Floats:
    """Snow, ice, sand or guano: pale, rolling, specked."""
    pale = near_colour(rng, np.array(((0.9, 0.92, 0.95), (0.82, 0.76, 0.66))[rng.integers(2)], np.float32), 0.06)
    dirt = speckles(rng, height, width, rng.uniform(3, 25), rng.uniform(0.01, 0.2)) * rng.uniform(0.1, 0.5)
    rolling = 0.05 * smooth_noise(rng, height, width, 80, 4)
    return blend(pale, np.array((0.35, 0.3, 0.25), np.float32), dirt) * (1 + rolling)[..., None]


def tiled(rng: Generator, height: int, width: int) -> Floats:
    """A floor or wall of tiles with grout between them, no two quite alike."""
    first, grout = random_colour(rng), np.full(3, rng.uniform(0.2, 0.9), np.float32)
    high = int(np.exp(rng.uniform(np.log(14), np.log(120))))
    wide = round(high * float(rng.choice((1.0, 1.0, 2.0))))
    lines, columns = height // high + 2, width // wide + 2
    tones = (1 + rng.normal(0, rng.uniform(0.01, 0.1), (lines, columns))).astype(np.float32)
    if rng.random() < 0.3:
        tones *= 1 - 0.5 * (np.add.outer(np.arange(lines), np.arange(columns)) % 2)
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    x = x + (y // high % 2) * (wide // 2) * int(rng.integers(2))
    joint = ((y % high) < max(1, high // 25)) | ((x % wide) < max(1, high // 25))
    colour = first * tones[y // high, np.minimum(x // wide, columns - 1)][..., None]
    colour = colour * (1 + 0.05 * smooth_noise(rng, height, width, 12, 3))[..., None]
    return np.where(joint[..., None], grout, colour).astype(np.float32)


def wallpaper(rng: Generator, height: int, width: int) -> Floats:
    """A small motif over and over: printed cloth or paper. Nothing of it is ever counted."""
    pitch = int(np.exp(rng.uniform(np.log(12), np.log(90))))
    ground = random_colour(rng)
    sheet = Image.new("RGB", (4 * pitch, 4 * pitch), _ink(ground))
    draw = ImageDraw.Draw(sheet)
    for _ in range(int(rng.integers(1, 4))):
        outline = wobbly(rng, rng.choice((0.02, 0.15, 0.3))) * pitch * rng.uniform(0.3, 1.3)
        at = rng.uniform(1.2, 2.8, 2) * pitch
        ink = _ink(near_colour(rng, ground, 0.25) if rng.random() < 0.6 else random_colour(rng))
        draw.polygon([(x, y) for x, y in (outline + at).tolist()], fill=ink)
    tile = np.asarray(sheet.resize((pitch, pitch), Image.Resampling.BOX), dtype=np.float32) / np.float32(255)
    return np.tile(tile, (height // pitch + 1, width // pitch + 1, 1))[:height, :width]


def printed(rng: Generator, height: int, width: int) -> Floats:
    """A page: lines of something like words."""
    paper, ink = near_colour(rng, np.full(3, 0.9, np.float32), 0.05), np.full(3, rng.uniform(0.05, 0.4), np.float32)
    line = int(rng.integers(8, 34))
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    strokes = rng.random((height // line + 2, width * 3 // line + 2)) < 0.6
    spaces = rng.random((height // line + 2, width // line + 2)) < 0.8
    here = strokes[y // line, x * 3 // line] & spaces[y // line, x // line]
    inked = here & ((y % line) > 0.35 * line) & ((y % line) < 0.8 * line)
    return (
        blend(paper, ink, inked.astype(np.float32)) * (1 + 0.03 * smooth_noise(rng, height, width, 100, 2))[..., None]
    )


def stained(rng: Generator, height: int, width: int) -> Floats:
    """A section of tissue in pink and violet: fibres, granules, holes where fat was."""
    pink = near_colour(rng, np.array((0.87, 0.58, 0.75), np.float32), 0.07)
    violet = near_colour(rng, np.array((0.68, 0.45, 0.7), np.float32), 0.07)
    granules = smooth_noise(rng, height, width, rng.uniform(6, 20), 3)
    colour = blend(pink, violet, 0.35 + 0.22 * granules)
    fibres = np.abs(smooth_noise(rng, height, width, rng.uniform(25, 70), 3)) < 0.06
    colour = colour * (1 - 0.12 * fibres[..., None])
    froth = speckles(rng, height, width, rng.uniform(5, 12), rng.uniform(0.02, 0.2))
    hole = np.clip(6 * (smooth_noise(rng, height, width, rng.uniform(60, 160)) - rng.uniform(0.6, 1.8)), 0, 1)
    return blend_to_white(colour, np.maximum(0.6 * froth, hole))


def blend_to_white(colour: Floats, weight: Floats) -> Floats:
    """Colours (H, W, 3) thinned to the light that comes through an empty slide, by ``weight`` (H, W)."""
    return colour * (1 - weight[..., None]) + np.float32(0.93) * weight[..., None]


def _ink(colour: Floats) -> tuple[int, int, int]:
    red, green, blue = (int(255 * v) for v in np.clip(colour, 0, 1))
    return red, green, blue
