"""Colours for several kinds of thing, and the lines beside a picture that say which is which."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from PIL import Image, ImageDraw

from likewise.draw import DOUBTFUL_COLOUR, GROUND, legible

Colour = tuple[int, int, int]
#: Colours that people tell apart, also the colour-blind (after Okabe and Ito, brighter), for the first kinds.
COLOURS: tuple[Colour, ...] = (
    (86, 180, 255),
    (255, 176, 32),
    (64, 224, 144),
    (240, 130, 200),
    (250, 236, 90),
    (255, 110, 70),
    (150, 120, 255),
)
#: Steps round the circle of hues for more kinds than that: no two of many are near each other.
_GOLDEN = 0.618034


def kind_colours(count: int) -> tuple[Colour, ...]:
    """A colour for each of so many kinds.

    Example:
        >>> len(set(kind_colours(12)))
        12
    """
    more = (colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.65, 0.85) for number in range(max(0, count - len(COLOURS))))
    return (*COLOURS[:count], *((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in more))


def with_legend(picture: Image.Image, rows: Sequence[tuple[Colour, str, bool]], note: str) -> Image.Image:
    """A picture with a line a kind below it, each behind a dot of its colour, and a small note.

    Args:
        picture: at the new picture's top left corner.
        rows: the colour of each kind, what is said of it, and whether that is not to be trusted.
        note: such as the model's name.
    """
    unit = max(picture.size) / 100
    step, pad = unit * 4, unit * 1.6
    lines = [(*legible(text, unit * 3), colour, doubtful) for colour, text, doubtful in rows]
    words, small = legible(note, unit * 1.7)
    pen = ImageDraw.Draw(picture)
    broad = max(pen.textlength(text, font=font) for text, font, *_ in lines) + 3 * pad + unit * 2
    width = round(max(picture.width, broad, pen.textlength(words, font=small) + 2 * pad))
    sheet = Image.new("RGB", (width, round(picture.height + step * len(lines) + unit * 3 + 2 * pad)), GROUND)
    sheet.paste(picture)
    pen = ImageDraw.Draw(sheet)
    for number, (text, font, colour, doubtful) in enumerate(lines):
        y = picture.height + pad + (number + 0.5) * step
        pen.ellipse((pad, y - unit, pad + 2 * unit, y + unit), fill=colour)
        pen.text((2 * pad + 2 * unit, y), text, DOUBTFUL_COLOUR if doubtful else (255, 255, 255), font, anchor="lm")
    pen.text((pad, picture.height + pad + step * len(lines) + unit), words, (200, 206, 220), small)
    return sheet
