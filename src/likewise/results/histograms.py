"""Histograms of what things measure, drawn with Pillow below an overlay."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from likewise.draw import BOX_COLOUR, GROUND, legible
from likewise.results.measures import Column, Table

#: Bars of a histogram, and its height as a share of the strip's width.
BARS, TALL = 24, 0.16
INK, FAINT = (230, 234, 242), (170, 178, 196)
UNITS = {"area_px": "area, pixels", "area_um2": "area, square micrometres", "circularity": "circularity"}


def below_histograms(picture: Image.Image, table: Table) -> Image.Image:
    """A picture over histograms of area, circularity and the first channel's mean; itself where nothing is measured."""
    shown = {name: _finite(table[name]) for name in _shown(table)}
    panels = [(UNITS.get(name, name.replace("_", " ")), values) for name, values in shown.items() if len(values)]
    if not panels:
        return picture
    room = picture.width // len(panels)
    sheet = Image.new("RGB", (picture.width, picture.height + max(96, round(TALL * picture.width))), GROUND)
    sheet.paste(picture)
    pen = ImageDraw.Draw(sheet)
    for index, (title, values) in enumerate(panels):
        _panel(pen, (index * room, picture.height, (index + 1) * room, sheet.height), title, values)
    return sheet


def _shown(table: Table) -> list[str]:
    area = "area_um2" if "area_um2" in table else "area_px"
    return [area, "circularity", *[name for name in table if name.startswith("mean_")][:1]]


def _finite(column: Column) -> Column:
    return column[np.isfinite(column)]


def _panel(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], title: str, values: Column) -> None:
    """One histogram: its title with the median above, its smallest and largest value below."""
    left, top, right, bottom = box
    pad = (right - left) / 20
    size = float(np.clip((right - left) / 24, 9, 22))
    words, font = legible(f"{title}: median {np.median(np.asarray(values, np.float64)):.4g}", size)
    pen.text((left + pad, top + size), words, INK, font, anchor="lm")
    heights, edges = np.histogram(values, BARS)
    floor, step = bottom - 1.8 * size, (right - left - 2 * pad) / BARS
    for index, height in enumerate(heights.tolist()):
        if height:
            x = left + pad + index * step
            up = (floor - top - 2.2 * size) * height / heights.max()
            pen.rectangle((x, floor - max(up, 1), x + max(step - 1, 1), floor), fill=BOX_COLOUR)
    for place, value, anchor in ((left + pad, edges[0], "lm"), (right - pad, edges[-1], "rm")):
        words, font = legible(f"{value:.4g}", size * 0.85)
        pen.text((place, bottom - 0.9 * size), words, FAINT, font, anchor=anchor)
