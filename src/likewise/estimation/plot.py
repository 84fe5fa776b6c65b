"""Two panels: counted against true, and the interval against the number of hand counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from likewise.draw import legible
from likewise.estimation.intervals import told
from likewise.estimation.known import Known

#: Size of the sheet and of what lies round a panel, in pixels: left, top, right, bottom.
SIZE, MARGIN = (1280, 600), (84, 92, 24, 66)
#: How many times as large it is drawn before it is reduced: Pillow's lines have steps.
FINER = 3
PAPER, INK, FAINT, BLUE, ORANGE = (255, 255, 255), (40, 44, 56), (222, 226, 234), (24, 98, 190), (214, 108, 20)
TEXT = 17.0
#: Marks on an axis that goes by powers of ten.
_STEPS = (1, 2, 5)


Colour = tuple[int, int, int]
Place = tuple[float, float]


@dataclass(frozen=True)
class _Pen:
    """Draws in pixels of the sheet, on one that is `FINER` times as large."""

    pen: ImageDraw.ImageDraw

    def line(self, places: Sequence[Place], colour: Colour, width: float = 1) -> None:
        """A line through places."""
        fine = [(x * FINER, y * FINER) for x, y in places]
        self.pen.line(fine, colour, round(width * FINER), joint="curve")

    def dot(self, place: Place, colour: Colour, radius: float) -> None:
        """A dot with a rim of paper."""
        x, y, r = (FINER * number for number in (*place, radius))
        self.pen.ellipse((x - r, y - r, x + r, y + r), colour, PAPER, FINER)

    def text(self, at: Place, text: str, anchor: str, colour: Colour = INK, size: float = TEXT) -> None:
        """A line of text."""
        shown, font = legible(text, size * FINER)
        self.pen.text((at[0] * FINER, at[1] * FINER), shown, colour, font, anchor=anchor)


@dataclass(frozen=True)
class _Panel:
    """A rectangle with axes.

    Attributes:
        pen: of the sheet.
        box: left, top, right, bottom, in pixels.
        x: (least, most) of the horizontal axis ...
        y: ... and of the vertical one.
        warp: how values are laid out.
    """

    pen: _Pen
    box: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]
    warp: Callable[[float], float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a value lies, in pixels."""
        left, top, right, bottom = self.box
        across, up = (
            (self.warp(v) - self.warp(low)) / (self.warp(high) - self.warp(low))
            for v, (low, high) in ((x, self.x), (y, self.y))
        )
        return left + across * (right - left), bottom - up * (bottom - top)

    def axes(self, title: str, xlabel: str, ylabel: str, x_marks: Sequence[float], y_marks: Sequence[float]) -> None:
        """Grid, marks and labels."""
        left, top, right, bottom = self.box
        for value in x_marks:
            place = self.at(value, self.y[0])[0]
            self.pen.line([(place, top), (place, bottom)], FAINT)
            self.pen.text((place, bottom + 8), told(value), "ma")
        for value in y_marks:
            place = self.at(self.x[0], value)[1]
            self.pen.line([(left, place), (right, place)], FAINT)
            self.pen.text((left - 8, place), told(value), "rm")
        self.pen.line([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], INK)
        self.pen.text((left, top - 50), title, "ls", size=TEXT * 1.25)
        self.pen.text((left, top - 20), ylabel, "ls")
        self.pen.text(((left + right) / 2, bottom + 36), xlabel, "ma")

    def curve(self, points: Sequence[tuple[float, float]], colour: Colour, width: float = 2.5) -> None:
        """A line through points that lie inside."""
        inside = [self.at(x, y) for x, y in points if self.x[0] <= x <= self.x[1] and self.y[0] <= y <= self.y[1]]
        if len(inside) > 1:
            self.pen.line(inside, colour, width)

    def dot(self, x: float, y: float, colour: Colour, radius: float = 5) -> None:
        """A dot."""
        self.pen.dot(self.at(x, y), colour, radius)

    def legend(self, rows: Sequence[tuple[str, Colour, float]], *, left: bool = False) -> None:
        """What each colour stands for, at the top: text, colour, and a line's width or, below 0, a dot's radius."""
        for number, (text, colour, size) in enumerate(rows):
            y = self.box[1] + 18 + 24 * number
            start = self.box[0] + 12 if left else self.box[2] - 42
            if size > 0:
                self.pen.line([(start, y), (start + 30, y)], colour, size)
            else:
                self.pen.dot((start + 15, y), colour, -size)
            self.pen.text((start + 38 if left else start - 8, y), text, "lm" if left else "rm")


def plot_estimate(found: Known) -> Image.Image:
    """The sheet of `SIZE`."""
    sheet = Image.new("RGB", (SIZE[0] * FINER, SIZE[1] * FINER), PAPER)
    pen = _Pen(ImageDraw.Draw(sheet))
    half = SIZE[0] // 2
    left, top, right, bottom = MARGIN
    boxes = [(side * half + left, top, (side + 1) * half - right, SIZE[1] - bottom) for side in (0, 1)]
    _counted_against_true(pen, boxes[0], found)
    _interval_against_number(pen, boxes[1], found)
    return sheet.reduce(FINER)


def _counted_against_true(pen: _Pen, box: tuple[float, float, float, float], found: Known) -> None:
    drawn = np.isfinite(found.truth)
    counts, truth = found.counts[drawn].clip(min=0), found.truth[drawn]
    most = max(1.0, float(counts.max()), float(truth.max())) * 1.08
    panel = _Panel(pen, box, (0.0, most), (0.0, most), lambda value: value)
    marks = _even_marks(most)
    panel.axes(f"{int(drawn.sum())} pictures counted by hand", "counted by the model", "counted by hand", marks, marks)
    panel.curve([(0.0, 0.0), (most, most)], INK, 1)
    for count, true in zip(counts.tolist(), truth.tolist(), strict=True):
        panel.dot(count, true, BLUE)
    panel.legend([("a picture", BLUE, -5), ("where both counts are the same", INK, 1)], left=True)


def _interval_against_number(pen: _Pen, box: tuple[float, float, float, float], found: Known) -> None:
    plan = found.plan
    if plan is None or plan.unit <= 0:
        pen.text((box[0], box[1] + 40), "nothing is left to be narrowed", "ls")
        return
    numbers = np.unique(np.geomspace(4, max(plan.pictures - 1, 5), 60).round().astype(int)).tolist()
    curves = {alone: [(n, 100 * plan.half_width(n, alone=alone)) for n in numbers] for alone in (False, True)}
    widths = [width for curve in curves.values() for _, width in curve if width > 0]
    least, most = max(min(widths), 0.3), min(max(widths), 300.0)
    panel = _Panel(
        pen, box, (numbers[0], numbers[-1]), (least, max(most, 2 * least)), lambda value: float(np.log(value))
    )
    marks = [s * 10.0**e for e in range(-1, 6) for s in _STEPS]
    panel.axes(
        f"interval ({100 * found.level:g} %) against hand counts",
        "pictures counted by hand",
        "half width, % of the total",
        [m for m in marks if panel.x[0] <= m <= panel.x[1]],
        [m for m in marks if panel.y[0] <= m <= panel.y[1]],
    )
    aim = 100 * plan.aim
    if panel.y[0] <= aim <= panel.y[1]:
        panel.curve([(numbers[0], aim), (numbers[-1], aim)], INK, 1)
    panel.curve(curves[True], ORANGE)
    panel.curve(curves[False], BLUE)
    here = min(max(plan.by_hand, numbers[0]), numbers[-1])
    panel.dot(here, float(np.clip(100 * plan.half_width(here), *panel.y)), BLUE, 8)
    rows = [
        ("by hand counts alone", ORANGE, 2.5),
        ("by hand counts and the model's", BLUE, 2.5),
        (f"now, with {plan.by_hand} hand counts", BLUE, -8.0),
    ]
    panel.legend([*rows, (f"the aim, {aim:g} %", INK, 1.0)] if panel.y[0] <= aim <= panel.y[1] else rows)


def _even_marks(most: float) -> list[float]:
    step = next(s * 10.0**e for e in range(-1, 9) for s in _STEPS if most / (s * 10.0**e) <= 6)
    return [step * k for k in range(int(most / step) + 1)]
