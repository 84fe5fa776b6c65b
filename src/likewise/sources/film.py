"""Films, frame by frame, by PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.data.decoders import DamagedError
from likewise.errors import LikewiseError, needs_extra
from likewise.sources.base import PictureSource, Window
from likewise.sources.choice import Axes, Choice

#: What is opened here.
FILM_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts")


class FilmFrame(PictureSource):
    """A frame of a film, decoded.

    Args:
        name: of the film.
        pixels: (H, W, 3) uint8.
        choice: which frame, and the contrast.
        frames: how many the film has.
    """

    def __init__(self, name: str, pixels: NDArray[np.uint8], choice: Choice, frames: int) -> None:
        self.name, self.choice, self.axes = name, choice, Axes(frames=frames)
        self._decoded = pixels
        self.sizes = ((pixels.shape[1], pixels.shape[0]),)

    def stored(self, level: int, window: Window) -> NDArray[np.uint8]:
        """The colours of a window."""
        x0, y0, x1, y1 = window
        return self._decoded[y0:y1, x0:x1]


def open_frame(path: Path, choice: Choice) -> FilmFrame:
    """One frame of a film.

    Raises:
        LikewiseError: none, or one that there is not, is chosen; PyAV is missing.
    """
    count = count_frames(path)
    _, _, number = choice.index(Axes(frames=count), str(path))
    [(_, _, pixels)] = decode(path, [number])
    return FilmFrame(str(path), pixels, choice, count)


def count_frames(path: Path) -> int:
    """How many frames a film has: its packets are counted, nothing is decoded."""
    with _opened(path) as film:
        found = sum(packet.size > 0 for packet in film.demux(_stream(film, path)))
    if not found:
        raise DamagedError("it ends before its first frame")
    return found


def decode(path: Path, numbers: Sequence[int]) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
    """Frames by ascending number, with the second at which each is shown: read once, from the beginning."""
    wanted, last, number = set(numbers), max(numbers), -1
    with _opened(path) as film:
        stream = _stream(film, path)
        stream.thread_type = "NONE"  # the network has the cores
        for number, frame in enumerate(film.decode(stream)):
            if number in wanted:
                yield number, float(frame.time or 0.0), _upright(frame)
            if number >= last:
                return
    raise DamagedError(f"after frame {number} none can be decoded, though there should be more: it is damaged")


def _upright(frame: Any) -> NDArray[np.uint8]:
    """The pixels as they are shown: phones store what they film as the sensor lies, and say how to turn it."""
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # against the clock
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _opened(path: Path) -> Any:
    with needs_extra(f"{path} is a film, which", "video"):
        import av
    return av.open(str(path))


def _stream(film: Any, path: Path) -> Any:
    if not film.streams.video:
        raise LikewiseError(f"{path} has no pictures, only {', '.join(s.type for s in film.streams) or 'nothing'}")
    return film.streams.video[0]
