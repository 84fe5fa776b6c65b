"""A chart of numbers over time, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from likewise.draw import BOX_COLOUR, DOUBTFUL_COLOUR, GROUND, legible
from likewise.types import Point

#: Of the chart, pixels, and how many times as large it is drawn before it is reduced: Pillow's lines have steps.
WIDTH, HEIGHT, FINER = 1200, 640, 2
#: Rim left, above, right and below of the axes, pixels.
LEFT, TOP, RIGHT, BELOW = 90, 96, 40, 76
BAND, RULE, INK, FAINT = (38, 92, 108), (52, 56, 70), (230, 234, 242), (170, 178, 196)
#: About so many lines go across, and so many numbers stand below.
ROWS, STEPS = 5, 8
#: With more marks than this a dot for each would hide the line.
DOTTED = 120


@dataclass(frozen=True)
class Mark:
    """A number at a time.

    Attributes:
        at: when.
        value: the number.
        interval: (low, high) round it; None: not known.
        doubtful: it is not to be trusted.
    """

    at: float
    value: float
    interval: tuple[float, float] | None = None
    doubtful: bool = False


def line_chart(marks: Sequence[Mark], *, title: str, note: str, across: str, whole: bool = False) -> Image.Image:
    """A line through the marks, in the order they are given, over a band of their intervals.

    Args:
        marks: at least one.
        title: stands above.
        note: smaller, below the title.
        across: what the axis below is of.
        whole: times are whole numbers.
    """
    return _Chart(marks, whole=whole).drawn(title, note, across)


class _Chart:
    """The axes, and where numbers lie on them."""

    def __init__(self, marks: Sequence[Mark], *, whole: bool) -> None:
        self._marks = marks
        self._begin, self._end = min(mark.at for mark in marks), max(mark.at for mark in marks)
        if self._begin == self._end:
            self._begin, self._end = self._begin - 1, self._end + 1
        self._down = round_step(self._end - self._begin, STEPS, least=1.0 if whole else 0.0)
        most = max(max(mark.value, *(mark.interval or (0.0,))) for mark in marks)
        self._up = round_step(max(most, 1.0), ROWS)
        self._top = self._up * math.ceil(max(most, 1.0) / self._up - 1e-9)

    def drawn(self, title: str, note: str, across: str) -> Image.Image:
        """The chart."""
        sheet = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), GROUND)
        pen = ImageDraw.Draw(sheet)
        self._rules(pen, across)
        for run in self._runs():
            self._band(pen, run)
        line = [self._place(mark.at, mark.value) for mark in self._marks]
        pen.line(line, fill=BOX_COLOUR, width=3 * FINER, joint="curve")
        for mark, (x, y) in zip(self._marks, line, strict=True):
            if mark.doubtful or len(self._marks) <= DOTTED:
                r = 5 * FINER
                pen.ellipse((x - r, y - r, x + r, y + r), fill=DOUBTFUL_COLOUR if mark.doubtful else BOX_COLOUR)
        _write(pen, (LEFT, 34), title, 26, INK, "lm")
        _write(pen, (LEFT, 66), note, 17, FAINT, "lm")
        return sheet.reduce(FINER)

    def _rules(self, pen: ImageDraw.ImageDraw, across: str) -> None:
        """The lines across and the numbers beside and below."""
        for number in range(round(self._top / self._up) + 1):
            value = number * self._up
            left, y = self._place(self._begin, value)
            pen.line((left, y, self._place(self._end, value)[0], y), fill=RULE, width=FINER)
            _write(pen, (LEFT - 12, y / FINER), f"{value:g}", 16, FAINT, "rm")
        first = math.ceil(self._begin / self._down - 1e-9)
        for number in range(first, math.floor(self._end / self._down + 1e-9) + 1):
            x, y = self._place(number * self._down, 0)
            pen.line((x, y, x, y + 6 * FINER), fill=FAINT, width=FINER)
            _write(pen, (x / FINER, y / FINER + 20), f"{round(number * self._down, 6):g}", 16, FAINT, "mm")
        _write(pen, ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 22), across, 16, FAINT, "mm")

    def _band(self, pen: ImageDraw.ImageDraw, run: Sequence[tuple[float, float, float]]) -> None:
        """The intervals (at, low, high) of marks that follow on each other; of a single one an upright bar."""
        if len(run) == 1:
            [(at, low, high)] = run
            (x, y0), (_, y1) = self._place(at, high), self._place(at, low)
            pen.rectangle((x - 4 * FINER, y0, x + 4 * FINER, y1), fill=BAND)
            return
        outline = [self._place(at, high) for at, _, high in run]
        outline += [self._place(at, low) for at, low, _ in reversed(run)]
        pen.polygon(outline, fill=BAND)

    def _runs(self) -> Iterator[list[tuple[float, float, float]]]:
        """Intervals of marks that follow on each other and all have one."""
        run: list[tuple[float, float, float]] = []
        for mark in self._marks:
            if mark.interval is not None:
                run.append((mark.at, *mark.interval))
            elif run:
                yield run
                run = []
        if run:
            yield run

    def _place(self, at: float, value: float) -> Point:
        """Where a number lies on the sheet as it is drawn."""
        share = (at - self._begin) / (self._end - self._begin)
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BELOW - value / self._top * (HEIGHT - TOP - BELOW)
        return x * FINER, y * FINER


def round_step(span: float, parts: int, least: float = 0.0) -> float:
    """1, 2 or 5 times a power of ten, so that a span has at most about so many of them.

    Example:
        >>> round_step(27, 5), round_step(0.8, 4), round_step(2, 8, least=1)
        (10.0, 0.2, 1)
    """
    raw = span / parts
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return max(step, least)


def _write(
    pen: ImageDraw.ImageDraw, place: Point, text: str, size: float, colour: tuple[int, int, int], anchor: str
) -> None:
    words, font = legible(text, size * FINER)
    pen.text((place[0] * FINER, place[1] * FINER), words, colour, font, anchor=anchor)
