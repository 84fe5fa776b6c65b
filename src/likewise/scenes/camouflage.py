"""Grounds that hide what is counted: full of parts in its own colours and texture, as leaves hide fruit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageChops, ImageDraw

from likewise.scenes.appearance import Appearance, Portrait, draw_angle, stamp
from likewise.scenes.assets import Assets, family_of
from likewise.scenes.canvas import Canvas
from likewise.scenes.kinds.drawn.pen import wobbly
from likewise.scenes.kinds.textures import Floats, near_colour
from likewise.scenes.layouts.flat import Field
from likewise.scenes.objects import Role

#: Pieces differ in light and shape as the parts of a plant or a rock do.
_LOOK = Appearance(mirrored=True, gain_spread=0.35, tone_spread=0.08, squeeze=0.35, field=0.3)
#: How large pieces are beside what is counted, and at most how many of them lie under it and over it.
_SIZES, _MOST_BELOW, _MOST_ABOVE = (0.3, 1.5), 2200, 400


def draw_pieces(rng: Generator, bank: Assets, target: Role) -> list[Portrait]:
    """Shapes of other families in about the target's colours, and scraps cut out of its own pictures."""
    colour = target.mean_colour()
    spread = rng.uniform(0.03, 0.16)
    others = [kind for kind in bank.shapes if family_of(kind) != family_of(target.kind)]
    pieces = []
    for _ in range(int(rng.integers(1, 4))):
        shape = others[int(rng.integers(len(others)))]
        paint = replace(shape.paint, colour=_rgb(near_colour(rng, colour, spread)))
        pieces += replace(shape, paint=paint).portraits(rng, 4, 0.8, bank.photos)
    pieces += [_scrap(rng, target.portraits[int(rng.integers(len(target.portraits)))].image) for _ in range(6)]
    return [Portrait(piece) for piece in pieces]


def strew_below(rng: Generator, canvas: Canvas, field: Field, pieces: list[Portrait]) -> None:
    """Cover the ground with pieces, one over the other."""
    _strew(rng, canvas, field, pieces, float(rng.uniform(0.7, 3.5)), _MOST_BELOW)


def strew_above(rng: Generator, canvas: Canvas, field: Field, pieces: list[Portrait]) -> None:
    """Some pieces over whatever is there already."""
    _strew(rng, canvas, field, pieces, float(rng.uniform(0.0, 0.3)), _MOST_ABOVE)


def _strew(rng: Generator, canvas: Canvas, field: Field, pieces: list[Portrait], cover: float, most: int) -> None:
    number = min(most, round(cover * field.width * field.height / field.size**2))
    for _ in range(number):
        at = (float(rng.uniform(0, field.width)), float(rng.uniform(0, field.height)))
        side = field.size * float(np.exp(rng.uniform(*np.log(_SIZES))))
        portrait = pieces[int(rng.integers(len(pieces)))]
        rgba, left, top = stamp(rng, portrait, _LOOK, side, draw_angle(rng, "any"), at)
        canvas.cover(rgba, left, top)


def _scrap(rng: Generator, picture: Image.Image) -> Image.Image:
    """A part of a picture with an uneven outline: its texture without its shape."""
    share = rng.uniform(0.4, 0.75, 2)
    width, height = (max(4, round(side * part)) for side, part in zip(picture.size, share, strict=True))
    left, top = int(rng.integers(picture.width - width + 1)), int(rng.integers(picture.height - height + 1))
    part = picture.crop((left, top, left + width, top + height))
    outline = Image.new("L", part.size)
    corners = (wobbly(rng, float(rng.uniform(0.1, 0.4))) * 0.8 + 1) * np.array([width, height]) / 2
    ImageDraw.Draw(outline).polygon([(x, y) for x, y in corners.tolist()], fill=255)
    part.putalpha(ImageChops.darker(part.getchannel("A"), outline))
    return part


def _rgb(colour: Floats) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in colour)
    return red, green, blue
