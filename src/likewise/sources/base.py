"""What every kind of picture file offers: its size, and the 8-bit colours of any part of it.

Convention
----------
Windows are half-open (x0, y0, x1, y1) in whole pixels. A file may hold the same picture several times, each smaller
than the one before: its levels, of which the first is the picture itself. Where nothing was recorded (nodata, NaN) the
colours are the picture's usual ones, so that nothing is seen there, and `PictureSource.part` says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.contrast import AUTO
from likewise.data.intensity import SAMPLED, Levels, eight_bits, levels_of, sampling_step
from likewise.data.unreadable import unreadable
from likewise.errors import LikewiseError
from likewise.placement import Placement
from likewise.preprocess.scaled_view import Pixels
from likewise.sources.choice import Axes, Choice

#: (x0, y0, x1, y1), half-open, in whole pixels of a level.
Window = tuple[int, int, int, int]
Values = NDArray[np.generic]

#: Longest side of the picture that is drawn on.
THUMBNAIL = 1600
#: A picture with more pixels is never read whole: it is counted window by window, and only some windows are looked at
#: to learn what is black and what is white ...
GIANT = 1 << 26
#: ... so many along each side, of this many pixels a side.
PROBES, PROBE = 12, 512


def bits_of(dtype: np.dtype[np.generic]) -> int:
    """The `PictureSource.bits` of stored values: 8 of what is taken as it is, else more."""
    return 8 if dtype == np.uint8 else 8 * dtype.itemsize + 1


class PictureSource(ABC):
    """A picture that is read in parts.

    Attributes:
        name: of the file, for results and messages.
        sizes: (width, height) of each level, the picture's own first.
        axes: the names and numbers of its channels, planes and frames, before one of each was chosen.
        choice: what was chosen.
        placement: how large a pixel is, or where on earth.
        bits: 8 where its values are colours of 8 bits, which are taken as they are.
    """

    name: str
    sizes: tuple[tuple[int, int], ...]
    axes: Axes = Axes()
    choice: Choice = Choice()
    placement: Placement | None = None
    bits: int = 8

    @abstractmethod
    def stored(self, level: int, window: Window) -> Values | np.ma.MaskedArray:
        """What `values` gives; raises nearly anything, of damaged files."""

    def values(self, level: int, window: Window) -> Values | np.ma.MaskedArray:
        """What is stored of a window, one channel or colours: (h, w, C), C is 1 or 3; masked where there is nothing.

        Raises:
            LikewiseError: the file is damaged, or ends before the window does.
        """
        try:
            return self.stored(level, window)
        except LikewiseError:
            raise
        except Exception as error:  # decoders of damaged files raise nearly anything
            raise unreadable(self.name or "the picture", Path(self.name) if self.name else None, error) from error

    def close(self) -> None:  # noqa: B027  # most have nothing open
        """Let the file go; nothing can be read any more."""

    @property
    def width(self) -> int:
        """Of the picture, pixels."""
        return self.sizes[0][0]

    @property
    def height(self) -> int:
        """Of the picture, pixels."""
        return self.sizes[0][1]

    def read(self, window: Window | None = None, scale: float = 1.0) -> NDArray[np.uint8]:
        """A part of the picture, or all of it, rescaled: (round(h * scale), round(w * scale), 3) uint8 RGB.

        Args:
            window: in pixels of the picture; None: all of it.
            scale: at most 1; it is read from the smallest level that is large enough, bilinear with antialiasing.
        """
        x0, y0, x1, y1 = window or (0, 0, self.width, self.height)
        level = self.level_for(scale)
        across, down = self.factor(level)
        first, last = (int(x0 / across), int(y0 / down)), (-int(-x1 // across), -int(-y1 // down))
        near = (*first, min(last[0], self.sizes[level][0]), min(last[1], self.sizes[level][1]))
        pixels = self.colours(level, near)
        size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
        if size == (pixels.shape[1], pixels.shape[0]):
            return pixels
        within = (x0 / across - near[0], y0 / down - near[1], x1 / across - near[0], y1 / down - near[1])
        box = (within[0], within[1], min(within[2], pixels.shape[1]), min(within[3], pixels.shape[0]))
        return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box=box))

    def whole(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """All of the picture, (H, W, 3) uint8, and where it holds anything, (H, W); None: everywhere."""
        return self.part(0, (0, 0, self.width, self.height))

    def thumbnail(self, longest: int = THUMBNAIL) -> NDArray[np.uint8]:
        """The whole picture with at most so many pixels along its longer side: (h, w, 3) uint8."""
        scale = min(1.0, longest / max(self.width, self.height))
        if self.width * self.height * (self.factor(self.level_for(scale))[0] ** -2) <= GIANT:
            return self.read(scale=scale)
        return self._sketch(scale)

    def pixels(self, level: int = 0) -> Pixels:
        """A level's colours, read where they are cut."""
        return LevelPixels(self, level)

    def level_for(self, scale: float) -> int:
        """The smallest level that shows at least as much as the picture at a scale."""
        enough = [level for level in range(len(self.sizes)) if self.factor(level)[0] * scale <= 1 + 1e-6]
        return enough[-1] if enough else 0

    def factor(self, level: int) -> tuple[float, float]:
        """How many of the picture's pixels, across and down, one of a level stands for."""
        width, height = self.sizes[level]
        return self.width / width, self.height / height

    def part(self, level: int, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """A window of a level as (h, w, 3) uint8, and where it holds anything, (h, w); None: everywhere."""
        values = self.values(level, window)
        nothing = _nothing(values)
        return self._colours(values), None if nothing is None else np.logical_not(nothing)

    def colours(self, level: int, window: Window) -> NDArray[np.uint8]:
        """A window of a level as (h, w, 3) uint8."""
        return self._colours(self.values(level, window))

    def _colours(self, values: Values | np.ma.MaskedArray) -> NDArray[np.uint8]:
        raw, nothing = np.ma.getdata(values), _nothing(values)
        shown = raw if self._as_is else self.levels.apply(raw)
        if nothing is not None:
            shown = np.where(nothing[..., None], self._usual, shown)
        return np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:2], 3)), dtype=np.uint8)

    @property
    def _as_is(self) -> bool:
        return self.bits == 8 and self.choice.contrast == AUTO

    @cached_property
    def levels(self) -> Levels:
        """How stored values become 8 bits, the same for all parts."""
        return levels_of(self._samples, self.name, self.choice.contrast)

    @cached_property
    def _usual(self) -> NDArray[np.uint8]:
        """The middle colour of what there is: (C,)."""
        middle = np.median(np.concatenate(self._samples).astype(np.float64), axis=0)
        return middle.astype(np.uint8) if self._as_is else eight_bits(middle, (self.levels.low, self.levels.high))

    @cached_property
    def _samples(self) -> list[Values]:
        """Values from all over the picture, where there is anything: (n, C) each."""
        found = []
        for window in self._probes():
            values = self.values(0, window)
            step = sampling_step(3 * (self.width * self.height if self._is_small else PROBES**2 * PROBE**2))
            part, nothing = np.ma.getdata(values)[::step, ::step], _nothing(values)
            flat = part.reshape(-1, part.shape[-1])
            found.append(flat if nothing is None else flat[~nothing[::step, ::step].ravel()])
        return found

    @property
    def _is_small(self) -> bool:
        return self.width * self.height <= GIANT

    def _probes(self) -> list[Window]:
        """Strips that are the whole picture; windows spread over it where it is large."""
        if self._is_small:
            rows = max(1, SAMPLED // self.width)
            return [(0, y, self.width, min(y + rows, self.height)) for y in range(0, self.height, rows)]
        starts = [
            np.linspace(0, max(0, side - PROBE), PROBES).astype(int).tolist() for side in (self.width, self.height)
        ]
        return [(x, y, min(x + PROBE, self.width), min(y + PROBE, self.height)) for y in starts[1] for x in starts[0]]

    def _sketch(self, scale: float) -> NDArray[np.uint8]:
        """A small copy of a picture that no level is small enough for, made strip by strip."""
        rows = max(1, GIANT // 4 // self.width)
        size = max(1, round(self.width * scale)), max(1, round(self.height * scale))
        found = np.empty((size[1], size[0], 3), np.uint8)
        step = max(1, int(rows * scale))
        for y in range(0, size[1], step):
            last = min(y + step, size[1])
            window = (0, round(y / scale), self.width, min(self.height, max(round(last / scale), round(y / scale) + 1)))
            strip = Image.fromarray(self.colours(0, window))
            found[y:last] = np.asarray(strip.resize((size[0], last - y), Image.Resampling.BILINEAR))
        return found

    def __enter__(self) -> PictureSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LevelPixels:
    """A level of a source as an array that is read where it is cut.

    Attributes:
        shape: (H, W, 3).
    """

    def __init__(self, source: PictureSource, level: int) -> None:
        self._source, self._level = source, level
        width, height = source.sizes[level]
        self.shape = (height, width, 3)

    def __getitem__(self, part: tuple[slice, slice]) -> NDArray[np.uint8]:
        (y0, y1, _), (x0, x1, _) = (cut.indices(side) for cut, side in zip(part, self.shape, strict=False))
        return self._source.colours(self._level, (x0, y0, x1, y1))


def _nothing(values: Values | np.ma.MaskedArray) -> NDArray[np.bool_] | None:
    """Where there is nothing, (h, w); None: nowhere."""
    mask = np.ma.getmask(values)
    gone = None if mask is np.ma.nomask else np.asarray(mask).all(-1)
    raw = np.ma.getdata(values)
    if raw.dtype.kind == "f":
        odd = np.asarray(~np.isfinite(raw.astype(np.float64, copy=False)).any(-1))
        gone = odd if gone is None else gone | odd
    return np.asarray(gone) if gone is not None and gone.any() else None
