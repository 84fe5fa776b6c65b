"""From the values of any instrument to 8 bits: which value is black and which is white.

What has 8 bits is taken as it is. Beyond that the nominal range of a type says little: a camera of 12 bits writes files
of 16, and one hot pixel is as bright as the type allows. So the range is read from the picture: from the value that a
thousandth of it lies below to the one that a thousandth lies above, the same for all colours and all parts. Two things
are known better than that and keep the range they were made with:

- 8 bits in a wider type: floats that are multiples of 1/255 in [0, 1], integers that are multiples of 257;
- values that lie in [0, 1] (floats) or [0, 255] and cover at least half of it, as `skimage.img_as_float` and arithmetic
  with an ordinary picture give them.

What is no value (NaN, infinite, a file's nodata) is nothing: it has no say in the range, and becomes the picture's own
median, which stands out least. Black would be a thing with an edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.data.contrast import AUTO, Contrast
from likewise.errors import LikewiseError

#: Share of a picture's values that is below black, and above white.
OUTLIERS = 0.001
#: The range is read from at most about this many values, in a regular grid over the whole picture.
SAMPLED = 1 << 22

Values = NDArray[np.generic]
Range = tuple[float, float]


@dataclass(frozen=True)
class Levels:
    """How a picture's values become 8 bits: read from the whole once, and the same for all its parts.

    Attributes:
        low: the value that becomes 0.
        high: the value that becomes 255.
        nothing: what becomes of values that are none, 0 to 255, for each channel.
        nodata: the value of pixels that are none, in all their channels; None: there is no such value.

    Example:
        >>> levels = Levels(100.0, 300.0, (128,), nodata=7)
        >>> levels.apply(np.array([[[100], [300], [7], [200]]])).ravel().tolist()
        [0, 255, 128, 128]
    """

    low: float
    high: float
    nothing: tuple[int, ...]
    nodata: float | None = None

    def apply(self, values: Values) -> NDArray[np.uint8]:
        """Values (h, w, C) as 0 to 255, those outside of the range at its ends."""
        found = values if values.dtype == np.uint8 and (self.low, self.high) == (0, 255) else None
        found = eight_bits(values, (self.low, self.high)) if found is None else found.astype(np.uint8)
        missing = are_missing(values, self.nodata)
        return np.where(missing, np.array(self.nothing, np.uint8), found) if missing.any() else found


def check_type(dtype: np.dtype[np.generic], name: str) -> None:
    """Refuse what no picture consists of.

    Raises:
        LikewiseError: complex numbers, text, dates, objects, records.
    """
    if dtype.kind not in "buif":
        raise LikewiseError(f"{name} has values of type {dtype}; expected integers or floats")


def sampling_step(values: int) -> int:
    """Every how manieth row and column is looked at for the range, where there are so many values."""
    return max(1, int(np.ceil(np.sqrt(values / SAMPLED))))


def nodata_value(text: str | None, dtype: np.dtype[np.generic]) -> float | None:
    """A file's nodata as a value of its pixels; None: none of them can be it, or it is NaN, which is nothing anyway."""
    try:
        value = float(text) if text is not None else np.nan
    except ValueError:
        return None
    if not np.isfinite(value):
        return None
    if dtype.kind == "f":
        return float(np.asarray(value).astype(dtype)) if abs(value) <= float(np.finfo(str(dtype)).max) else None
    held = dtype.kind in "ui" and value == int(value)
    info = np.iinfo(str(dtype)) if held else None
    return value if info is not None and info.min <= value <= info.max else None


def are_missing(values: Values, nodata: float | None) -> NDArray[np.bool_]:
    """Which values (..., C) are none: not finite, or of a pixel that is nodata in all its channels."""
    missing = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros((*values.shape[:-1], 1), np.bool_)
    if nodata is not None:
        missing = missing | (values == nodata).all(-1, keepdims=True)
    return np.asarray(missing)


def levels_of(samples: Sequence[Values], name: str, contrast: Contrast = AUTO, nodata: float | None = None) -> Levels:
    """How a picture's values become 8 bits.

    Args:
        samples: of the whole picture, of one type, (n, C) each.
        name: of the picture, for the message.
        contrast: which values become black and white.
        nodata: see `Levels`.

    Raises:
        LikewiseError: not one of them is a value.
    """
    values = np.concatenate(samples)
    wide = values.astype(np.float64)
    present = np.broadcast_to(~are_missing(values, nodata), values.shape)
    found = np.sort(wide[present])
    if not len(found):
        raise LikewiseError(f"{name} has nothing but values that are not finite (NaN or infinite) or no data")
    low, high = _range(found, values.dtype, contrast)
    if present.all():
        return Levels(low, high, (0,), nodata)
    channels = [wide[present[:, channel], channel] for channel in range(wide.shape[1])]
    middles = np.array([np.median(held) if held.size else np.median(found) for held in channels])
    return Levels(low, high, tuple(eight_bits(middles, (low, high)).tolist()), nodata)


def intensity_range(samples: Sequence[Values], name: str, contrast: Contrast = AUTO) -> Range:
    """The values that become 0 and 255, of samples of any shape: see `levels_of`."""
    levels = levels_of([sample.reshape(-1, 1) for sample in samples], name, contrast)
    return levels.low, levels.high


def _range(found: NDArray[np.float64], dtype: np.dtype[np.generic], contrast: Contrast) -> Range:
    """The values that become 0 and 255, of sorted ones."""
    if contrast.unit == "value":
        return contrast.low, contrast.high
    # whole places towards the middle: between two places one hot pixel would pull at the value
    last = len(found) - 1
    places = int(np.ceil(contrast.low / 100 * last)), int(contrast.high / 100 * last)
    low, high = float(found[places[0]]), float(found[max(places)])
    if low >= high:  # all but a few are alike
        low, high = float(found[0]), float(found[-1])
    known = _known_range(found, (low, high), dtype) if contrast.unit == "auto" else None
    return known or (low, high if high > low else low + max(1.0, abs(low)))


def _known_range(found: NDArray[np.float64], within: Range, dtype: np.dtype[np.generic]) -> Range | None:
    """The range that values were made with, where that can be told."""
    if dtype == np.uint8:
        return 0.0, 255.0
    eps = float(np.finfo(str(dtype)).eps) if dtype.kind == "f" else None
    if _is_widened(found, eps):
        return 0.0, 65535.0 if eps is None else 1.0
    low, high = within
    for white in (255.0,) if eps is None else (1.0, 255.0):
        if low >= 0 and high <= white and (high - low >= white / 2 or low == high):
            return 0.0, white
    return None


def eight_bits(values: Values, within: Range) -> NDArray[np.uint8]:
    """Values as 0 to 255, those outside of the range at its ends, those that are not finite at its low end."""
    low, high = within
    wide = values.astype(np.float64)
    if values.dtype.kind == "f":
        wide[~np.isfinite(wide)] = low
    if not np.isfinite(high - low):  # the largest floats: their difference is none
        wide, low, high = wide / 4, low / 4, high / 4
    wide.clip(low, high, out=wide)
    wide -= low
    wide /= high - low
    wide *= 255
    return np.rint(wide, out=wide).astype(np.uint8)


def full_scale(values: Values) -> float:
    """The value that means opaque: 1 where no float is above it, else the end of the 8 to 16 (or 32) bits used."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    high = float(finite.max(initial=0))
    if values.dtype.kind == "f" and high <= 1:
        return 1.0
    return next((float(2**bits - 1) for bits in (8, 10, 12, 14, 16, 32) if high <= 2**bits - 1), high)


def blocks(values: Values, most: int = SAMPLED) -> Iterator[Values]:
    """Consecutive rows of an array, of at most ``most`` values each, at least one row."""
    rows = max(1, most // max(1, values[0].size))
    for y in range(0, len(values), rows):
        yield values[y : y + rows]


def _is_widened(found: NDArray[np.float64], eps: float | None) -> bool:
    """Whether all but outliers are 8-bit values that were brought to a wider type's nominal range.

    Args:
        found: sorted values.
        eps: of the floats they were; None: integers.
    """
    if eps is not None:
        levels = found * 255
        exact = (np.abs(levels - np.rint(levels)) <= 4 * 255 * eps) & (found >= 0) & (found <= 1)
    elif found[int((1 - OUTLIERS) * (len(found) - 1))] <= 255:
        return False
    else:
        exact = (found >= 0) & (found <= 65535) & (found % 257 == 0)
    return bool(exact.mean() >= 1 - OUTLIERS)
