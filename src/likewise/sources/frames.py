"""Pictures in time: some of the frames of a film or of a time series, one after another."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

from likewise.data.unreadable import unreadable
from likewise.errors import LikewiseError
from likewise.sources.base import PictureSource
from likewise.sources.choice import PLAIN, Choice
from likewise.sources.film import FILM_SUFFIXES, FilmFrame, count_frames, decode
from likewise.sources.opening import open_source


@dataclass(frozen=True)
class Frames:
    """Which frames: every ``step``-th from ``start`` up to ``stop``, as Python's slices do.

    Raises:
        LikewiseError: a step below 1, or nothing between the ends.

    Example:
        >>> list(Frames.parse("0:10:4").of(9))
        [0, 4, 8]
        >>> list(Frames.parse("-2:").of(9))
        [7, 8]
        >>> list(Frames.parse("all").of(3))
        [0, 1, 2]
    """

    start: int | None = None
    stop: int | None = None
    step: int = 1

    def __post_init__(self) -> None:
        if self.step < 1:
            raise LikewiseError(f"a step of {self.step}: expected 1 or more")

    @classmethod
    def parse(cls, text: str) -> Frames:
        """``all``, ``3``, ``START:STOP`` or ``START:STOP:STEP``, each number left out where the end is meant."""
        if text == "all":
            return cls()
        if re.fullmatch(r"\d+", text):
            return cls(int(text), int(text) + 1)
        if not re.fullmatch(r"(-?\d+)?:(-?\d+)?(:(\d+)?)?", text):
            raise LikewiseError(f"--frames {text}: expected all, a number, or START:STOP:STEP, such as 0:100:5")
        start, stop, step, *_ = [int(part) if part else None for part in text.split(":")] + [None, None]
        return cls(start, stop, 1 if step is None else step)

    def of(self, there: int) -> range:
        """The numbers of the frames among so many.

        Raises:
            LikewiseError: there is none.
        """
        found = range(*slice(self.start, self.stop, self.step).indices(there))
        if not found:
            raise LikewiseError(f"frames {self}: there are {there}, 0 to {there - 1}, and none of them is among these")
        return found

    def __str__(self) -> str:
        ends = ["" if end is None else str(end) for end in (self.start, self.stop)]
        return ":".join([*ends, str(self.step)])


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture in time.

    Attributes:
        number: of the frame, from 0.
        seconds: since the beginning, where that is known.
        source: the picture.
    """

    number: int
    seconds: float | None
    source: PictureSource


def is_film(path: Path) -> bool:
    """Whether a file is a film, by its suffix."""
    return path.suffix.lower() in FILM_SUFFIXES


def open_frames(path: str | Path, frames: Frames, choice: Choice = PLAIN) -> Generator[Frame]:
    """The frames of a film, a stack in time or an OME-Zarr, each of which is closed before the next is opened.

    Raises:
        LikewiseError: none of these frames is there; as `open_source` does.
    """
    path = Path(path)
    if is_film(path) and path.is_file():
        yield from _film_frames(path, frames, choice)
        return
    with open_source(path, replace(choice, frame=0)) as first:
        numbers = frames.of(first.axes.frames)
    for number in numbers:
        with open_source(path, replace(choice, frame=number)) as source:
            yield Frame(number, None, source)


def _film_frames(path: Path, frames: Frames, choice: Choice) -> Generator[Frame]:
    try:
        there = count_frames(path)
        for number, seconds, pixels in decode(path, list(frames.of(there))):
            yield Frame(number, seconds, FilmFrame(str(path), pixels, replace(choice, frame=number), there))
    except LikewiseError:
        raise
    except Exception as error:  # as `open_source` does: what a decoder raises is no one class
        raise unreadable(str(path), path, error, "a film") from error
