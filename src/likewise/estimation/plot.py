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
PAPER, INK, FAINT, BLUE, ORANGE = (255, 255, 255), (40, 44, 56), (222, 226, 234), (24, 98, 190), (214, 108, 20)
TEXT = 17.0
#: Marks on an axis that goes by powers of ten.
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class _Panel:
    """A rectangle with axes.

    Attributes:
        box: left, top, right, bottom, in pixels.
        x: (least, most) of the horizontal axis ...
        y: ... and of the vertical one.
        warp: how values are laid out.
    """

    pen: ImageDraw.ImageDraw
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
            self.pen.line((place, top, place, bottom), FAINT)
            self.text((place, bottom + 8), told(value), "ma")
        for value in y_marks:
            place = self.at(self.x[0], value)[1]
            self.pen.line((left, place, right, place), FAINT)
            self.text((left - 8, place), told(value), "rm")
        self.pen.rectangle(self.box, outline=INK)
        self.text((left, top - 50), title, "ls", size=TEXT * 1.25)
        self.text((left, top - 20), ylabel, "ls")
        self.text(((left + right) / 2, bottom + 36), xlabel, "ma")

    def text(
        self, at: tuple[float, float], text: str, anchor: str, colour: tuple[int, int, int] = INK, size: float = TEXT
    ) -> None:
        """A line of text."""
        shown, font = legible(text, size)
        self.pen.text(at, shown, colour, font, anchor=anchor)

    def curve(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], width: int = 3) -> None:
        """A line through points that lie inside."""
        inside = [self.at(x, y) for x, y in points if self.x[0] <= x <= self.x[1] and self.y[0] <= y <= self.y[1]]
        if len(inside) > 1:
            self.pen.line(inside, colour, width, joint="curve")

    def dot(self, x: float, y: float, colour: tuple[int, int, int], radius: float = 5) -> None:
        """A dot."""
        across, up = self.at(x, y)
        self.pen.ellipse((across - radius, up - radius, across + radius, up + radius), colour, PAPER)


def plot_estimate(found: Known) -> Image.Image:
    """The sheet of `SIZE`."""
    sheet = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(sheet)
    half = SIZE[0] // 2
    left, top, right, bottom = MARGIN
    boxes = [(side * half + left, top, (side + 1) * half - right, SIZE[1] - bottom) for side in (0, 1)]
    _counted_against_true(pen, boxes[0], found)
    _interval_against_number(pen, boxes[1], found)
    return sheet


def _counted_against_true(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], found: Known) -> None:
    drawn = np.isfinite(found.truth)
    counts, truth = found.counts[drawn].clip(min=0), found.truth[drawn]
    most = max(1.0, float(counts.max()), float(truth.max())) * 1.08
    panel = _Panel(pen, box, (0.0, most), (0.0, most), lambda value: value)
    marks = _even_marks(most)
    panel.axes(f"{int(drawn.sum())} pictures counted by hand", "counted by the model", "counted by hand", marks, marks)
    panel.curve([(0.0, 0.0), (most, most)], INK, 1)
    for count, true in zip(counts.tolist(), truth.tolist(), strict=True):
        panel.dot(count, true, BLUE)


def _interval_against_number(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], found: Known) -> None:
    plan = found.plan
    if plan is None or plan.unit <= 0:
        panel = _Panel(pen, box, (0.0, 1.0), (0.0, 1.0), lambda value: value)
        panel.text((box[0], box[1] + 40), "nothing is left to be narrowed", "ls")
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
    right, top = box[2] - 12, box[1] + 10
    panel.text((right, top), "hand counts alone, at random", "ra", ORANGE)
    panel.text((right, top + 24), "with the model's counts; the dot: now", "ra", BLUE)


def _even_marks(most: float) -> list[float]:
    step = next(s * 10.0**e for e in range(-1, 9) for s in _STEPS if most / (s * 10.0**e) <= 6)
    return [step * k for k in range(int(most / step) + 1)]
