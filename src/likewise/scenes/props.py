"""What things stand on, lie in or hide behind: shelf boards, trays with pockets, painted bays, leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from likewise.scenes.appearance import Appearance, Portrait, draw_angle, stamp
from likewise.scenes.canvas import Canvas
from likewise.scenes.kinds.cutouts import PhotoBank
from likewise.scenes.kinds.drawn.pen import dim
from likewise.scenes.kinds.shapes import ShapeKind
from likewise.scenes.kinds.surfaces import Paint
from likewise.scenes.kinds.textures import Floats, near_colour, random_colour
from likewise.scenes.layouts.flat import Field, Placement

Sides = NDArray[np.float64]


def boards(rng: Generator, canvas: Canvas, field: Field, placement: Placement, sides: Sides) -> None:
    """A board under every row of things, a shadow below it."""
    wood = near_colour(rng, np.full(3, 0.85, np.float32) if rng.random() < 0.5 else random_colour(rng), 0.05)
    height = float(np.median(sides)) * field.aspect**-0.5
    levels = np.unique(np.round(placement.xy[:, 1] / max(0.4 * height, 1)).astype(int), return_index=True)[1]
    draw, sheet = _over(canvas)
    for y in sorted({round(float(placement.xy[i, 1]) + 0.47 * height) for i in levels}):
        thick = max(2, round(height * rng.uniform(0.05, 0.09)))
        draw.rectangle((0, y + thick, field.width, y + 3 * thick), fill=_ink(dim(wood, 0.35)))
        draw.rectangle((0, y, field.width, y + thick), fill=_ink(wood))
    _apply(canvas, sheet)


def pockets(rng: Generator, canvas: Canvas, field: Field, placement: Placement, sides: Sides) -> None:
    """A round or square hollow under every thing, as in trays and blisters."""
    mean = canvas.pixels[::9, ::9].reshape(-1, 3).mean(0).astype(np.float32) / np.float32(255)
    square, wide = rng.random() < 0.4, rng.uniform(1.15, 1.4)
    if rng.random() < 0.35:
        return
    draw, sheet = _over(canvas)
    for (x, y), side in zip(placement.xy.tolist(), (sides * wide / 2).tolist(), strict=True):
        for grow, tone in ((1.06, 1.15), (1.0, 0.55), (0.88, 0.75)):
            box = (x - side * grow, y - side * grow, x + side * grow, y + side * grow)
            draw.rectangle(box, fill=_ink(dim(mean, tone))) if square else draw.ellipse(box, fill=_ink(dim(mean, tone)))
    _apply(canvas, sheet)


def bays(rng: Generator, canvas: Canvas, field: Field, placement: Placement, sides: Sides) -> None:
    """White or yellow lines on both sides of every thing, along it."""
    if rng.random() < 0.4:
        return
    paint = (235, 235, 230) if rng.random() < 0.75 else (215, 180, 60)
    draw, sheet = _over(canvas)
    for (x, y), side, angle in zip(placement.xy.tolist(), sides.tolist(), placement.angle.tolist(), strict=True):
        wide, long = 0.6 * side * field.aspect**0.5, 0.54 * side * field.aspect**-0.5
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for beside in (-wide, wide):
            ends = (turn @ np.array([[beside, beside], [-long, long]])).T + np.array([x, y])
            draw.line([tuple(end) for end in ends.tolist()], fill=paint, width=max(1, round(side / 18)))
    _apply(canvas, sheet)


def leaves(rng: Generator, canvas: Canvas, field: Field, count: int) -> None:
    """Leaves over whatever is there already."""
    green = near_colour(rng, np.array((0.3, 0.45, 0.15), np.float32), 0.12)
    dark = dim(green, 0.6)
    paint = Paint("striped", _rgb(green), _rgb(dark), grain=0.08)
    kind = ShapeKind("leaf", "leaf", (float(rng.random()), 0.5), float(rng.uniform(1.6, 2.6)), paint)
    portraits = [Portrait(p) for p in kind.portraits(rng, 5, 1.0, PhotoBank())]
    look = Appearance(gain_spread=0.3, squeeze=0.3, tilt=0.5)
    side = field.size * rng.uniform(0.35, 0.8)
    for _ in range(count):
        at = (float(rng.uniform(0, field.width)), float(rng.uniform(0, field.height)))
        portrait = portraits[int(rng.integers(len(portraits)))]
        rgba, left, top = stamp(rng, portrait, look, side * rng.uniform(0.7, 1.3), draw_angle(rng, "any"), at)
        canvas.cover(rgba, left, top)


Furniture = Callable[[Generator, Canvas, Field, Placement, Sides], None]
FURNITURE: dict[str, Furniture] = {"boards": boards, "pockets": pockets, "bays": bays}


def _over(canvas: Canvas) -> tuple[ImageDraw.ImageDraw, Image.Image]:
    sheet = Image.fromarray(canvas.pixels)
    return ImageDraw.Draw(sheet), sheet


def _apply(canvas: Canvas, sheet: Image.Image) -> None:
    canvas.pixels[:] = np.asarray(sheet)


def _ink(colour: Floats) -> tuple[int, int, int]:
    red, green, blue = (int(255 * v) for v in np.clip(colour, 0, 1))
    return red, green, blue


def _rgb(colour: Floats) -> tuple[float, float, float]:
    return float(colour[0]), float(colour[1]), float(colour[2])
