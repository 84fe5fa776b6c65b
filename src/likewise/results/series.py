"""What counting some of the frames of a film or of a stack in time gives: a count for each of them.

The frames are counted one by one, each for itself: nothing is followed from one to the next, so a thing that is seen
in three frames is in three counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from likewise.draw import NEGATIVE_COLOUR, canvas, captioned, draw_boxes, draw_outline, draw_points, on_ground
from likewise.drawings import save_text
from likewise.errors import LikewiseError
from likewise.plain_text import BOM, csv_field, text_cell
from likewise.results.base import Files, check, finite, rounded
from likewise.results.chart import Mark, line_chart
from likewise.results.count import CountResult
from likewise.types import UNTRUSTED, Prompt

#: Columns of a film's table.
COLUMNS = ("frame", "seconds", "count", "low", "high", "untrusted", "points", "warnings")
#: Ends of the names of what is written: the chart, the table, the overlay film.
CHART, TABLE, FILM = "_frames.png", "_frames.csv", "_count.mp4"


@dataclass(frozen=True, eq=False)
class FrameCount:
    """How many a frame shows.

    Attributes:
        number: of the frame, from 0.
        seconds: since the beginning, where that is known.
        count: how many.
        interval: (low, high), between which the truth lies in nine of ten cases; None: not known, or untrusted.
        points: (N, 2) float32 x y, one a found object, best first.
        untrusted: the count cannot be trusted.
        warnings: what speaks against it.

    Raises:
        LikewiseError: points of another shape, or a value that is not finite.
    """

    number: int
    seconds: float | None
    count: float
    interval: tuple[float, float] | None
    points: np.ndarray
    untrusted: bool = False
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check("points", self.points, "(N, 2)", self.points.ndim == 2 and self.points.shape[1] == 2)
        finite("points", self.points)
        finite("count", np.array(self.count))

    @classmethod
    def of(cls, number: int, seconds: float | None, result: CountResult) -> FrameCount:
        """What is kept of a frame's result: neither its picture nor its density."""
        told = result.count, result.interval, result.points, result.untrusted, result.warnings
        return cls(number, seconds, *told)

    @property
    def likely(self) -> str:
        """How far off it may be: "22 to 27" or "untrusted"; empty where nothing is known."""
        if self.interval is None:
            return UNTRUSTED * self.untrusted
        return f"{self.interval[0]:.0f} to {self.interval[1]:.0f}"

    @property
    def when(self) -> str:
        """Which frame, and at which second where that is known."""
        return f"frame {self.number}" + ("" if self.seconds is None else f", {self.seconds:.2f} s")

    def line(self) -> str:
        """The frame and its count in a few words."""
        return f"{self.when}: {self.count:.1f}{f' ({self.likely})' * bool(self.likely)}"

    def row(self) -> tuple[str, ...]:
        """Its values of `COLUMNS`; empty where they are not known."""
        low, high = ("", "") if self.interval is None else (f"{end:.4f}" for end in self.interval)
        seconds = "" if self.seconds is None else f"{self.seconds:.4f}"
        points = str(len(self.points))
        word, warned = UNTRUSTED * self.untrusted, " ".join(self.warnings)
        return str(self.number), seconds, f"{self.count:.4f}", low, high, word, points, warned

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; low and high are None where the interval is not known."""
        low, high = (None, None) if self.interval is None else (round(end, 4) for end in self.interval)
        return {
            "frame": self.number,
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "count": round(self.count, 4),
            "low": low,
            "high": high,
            "untrusted": self.untrusted,
            "points": rounded(self.points, 2),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """Counts of some of the frames of a film or of a stack in time.

    Attributes:
        frames: their counts, in the order of time.
        size: (width, height) of each, pixels.
        prompt: what was asked; its boxes of examples and look-alikes are of the first of the frames.
        model: name of the model that counted.
        seconds: how long it took.
        source: the film's file name.

    Raises:
        LikewiseError: there are no frames.

    Example:
        >>> none = np.zeros((0, 2), np.float32)
        >>> frames = tuple(FrameCount(5 * i, float(i), n, (n - 1, n + 2), none) for i, n in enumerate([10.0, 15.5]))
        >>> series = SeriesResult(frames, (640, 480), Prompt([(1, 2, 20, 20)]), "spdcn-lite", 0.4, "belt.mp4")
        >>> series
        <SeriesResult of belt.mp4: 2 frames, mean 12.75, 10.0 to 15.5 by spdcn-lite>
        >>> print(series.table().splitlines()[1])
        0,0.0000,10.0000,9.0000,12.0000,,0,
        >>> series.plot().size
        (1200, 640)
    """

    frames: tuple[FrameCount, ...]
    size: tuple[int, int]
    prompt: Prompt
    model: str
    seconds: float
    source: str | None = None

    def __post_init__(self) -> None:
        if not self.frames:
            raise LikewiseError("no frames; expected the count of at least one")

    def __repr__(self) -> str:
        """In a line: of which film, and its `summary`."""
        return f"<SeriesResult of {self.source or 'a film'}: {self.summary(2)} by {self.model}>"

    def summary(self, digits: int = 1) -> str:
        """How many frames, their mean count, and the least and the greatest."""
        number = f"{len(self.frames)} frame{'s' * (len(self.frames) > 1)}"
        return f"{number}, mean {self.mean:.{digits}f}, {self.least:.1f} to {self.greatest:.1f}"

    @property
    def mean(self) -> float:
        """Of the frames' counts."""
        return fmean(frame.count for frame in self.frames)

    @property
    def least(self) -> float:
        """The smallest of the counts."""
        return min(frame.count for frame in self.frames)

    @property
    def greatest(self) -> float:
        """The largest of the counts."""
        return max(frame.count for frame in self.frames)

    def warnings(self) -> tuple[str, ...]:
        """What speaks against the counts, each once, with the frames it is said of."""
        said: dict[str, list[int]] = {}
        for frame in self.frames:
            for warning in frame.warnings:
                said.setdefault(warning, []).append(frame.number)
        return tuple(f"{_numbered(numbers)}: {warning}" for warning, numbers in said.items())

    def table(self) -> str:
        """A row a frame, as text of a CSV file that spreadsheets open."""
        rows = (",".join(csv_field(text_cell(cell)) for cell in frame.row()) for frame in self.frames)
        table = "".join(f"{row}\r\n" for row in (",".join(COLUMNS), *rows))
        return table if table.isascii() else BOM.decode() + table

    def plot(self) -> Image.Image:
        """The counts over time as a line, their intervals as a band; over the frames' numbers where no time is known.

        Counts that cannot be trusted are marked in another colour.
        """
        timed = all(frame.seconds is not None for frame in self.frames)
        marks = [
            Mark(float(frame.seconds or 0) if timed else frame.number, frame.count, frame.interval, frame.untrusted)
            for frame in self.frames
        ]
        title = Path(self.source).name if self.source else "counts"
        return line_chart(
            marks,
            title=title,
            note=f"{self.summary()}, by {Path(self.model).stem}",
            across="seconds" if timed else "frame",
            whole=not timed,
        )

    def overlay(self, number: int, image: np.ndarray) -> Image.Image:
        """A frame with its points, and beside it its count; boxes are drawn on the first frame, which they are of.

        Args:
            number: which of `frames`, from 0.
            image: (H, W, 3) uint8, that frame or a reduced copy of it.
        """
        frame = self.frames[number]
        picture, _ = canvas(image, least=1)
        scale = np.array([picture.width / self.size[0], picture.height / self.size[1]])
        picture = on_ground(picture)
        if self.prompt.region is not None:
            draw_outline(picture, [tuple(corner) for corner in np.asarray(self.prompt.region) * scale])
        draw_points(picture, frame.points * scale)
        if number == 0:
            draw_boxes(picture, _scaled(self.prompt.exemplars, scale))
            draw_boxes(picture, _scaled(self.prompt.negatives, scale), NEGATIVE_COLOUR)
        doubtful = frame.untrusted or bool(frame.warnings)
        likely = "" if frame.interval is None else f", likely {frame.likely}"
        note = f"{frame.when}: {frame.count:.2f}{likely}, by {Path(self.model).stem}"
        return captioned(picture, f"{frame.count:.0f}{'?' * doubtful}", note, doubtful=doubtful)

    def save(self, directory: str | Path, name: str | None = None) -> Path:
        """Write the `plot`, the `table` and the numbers, to ``NAME_frames.png``, ``.csv`` and ``.json``.

        Args:
            directory: made where it is missing.
            name: None: the film's own name.

        Returns:
            The path of the plot.
        """
        files = Files(directory, name, self.source, (CHART,), (TABLE, "_frames.json"))
        save_text(self.table(), files.path(TABLE))
        files.note("_frames.json", {**self.to_dict(), "prompt": self.prompt.to_dict()})
        return files.draw(CHART, self.plot())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values: image, model, mean, least, greatest, seconds and the list of frames."""
        return {
            "image": self.source,
            "model": self.model,
            "mean": round(self.mean, 4),
            "least": round(self.least, 4),
            "greatest": round(self.greatest, 4),
            "frames": [frame.to_dict() for frame in self.frames],
            "seconds": round(self.seconds, 3),
        }


def _numbered(numbers: Sequence[int]) -> str:
    """Frames by number, of many the first."""
    shown = ", ".join(map(str, numbers[:3]))
    rest = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return f"frame{'s' * (len(numbers) > 1)} {shown}{rest}"


def _scaled(boxes: Sequence[Sequence[float]], scale: np.ndarray) -> list[tuple[float, float, float, float]]:
    found = np.reshape(boxes, (-1, 4)) * np.tile(scale, 2)
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in found.tolist()]
