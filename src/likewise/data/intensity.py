"""From the values of any instrument to 8 bits: which value is black and which is white.

What has 8 bits is taken as it is. Beyond that the nominal range of a type says little: a camera of 12 bits writes files
of 16, and one hot pixel is as bright as the type allows. So the range is read from the picture: from the value that a
thousandth of it lies below to the one that a thousandth lies above, the same for all colours. Two things are known
better than that and keep the range they were made with:

- 8 bits in a wider type: floats that are multiples of 1/255 in [0, 1], integers that are multiples of 257;
- values that lie in [0, 1] (floats) or [0, 255] and cover at least half of it, as `skimage.img_as_float` and arithmetic
  with an ordinary picture give them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError

#: Share of a picture's values that is below black, and above white.
OUTLIERS = 0.001
#: The range is read from at most about this many values, in a regular grid over the whole picture.
SAMPLED = 1 << 22

Values = NDArray[np.generic]
Range = tuple[float, float]


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


def intensity_range(samples: Sequence[Values], name: str) -> Range:
    """The values that become 0 and 255.

    Args:
        samples: of a picture, of one type and any shape.
        name: of the picture, for the message.

    Raises:
        LikewiseError: not one of them is finite.
    """
    values = np.concatenate([sample.ravel() for sample in samples])
    eps = float(np.finfo(str(values.dtype)).eps) if values.dtype.kind == "f" else None
    wide = values.astype(np.float64)
    found = np.sort(wide[np.isfinite(wide)])
    if not len(found):
        raise LikewiseError(f"{name} has nothing but values that are not finite (NaN or infinite)")
    # whole places towards the middle: between two places one hot pixel would pull at the value
    last = len(found) - 1
    low, high = found[int(np.ceil(OUTLIERS * last))], found[int((1 - OUTLIERS) * last)]
    if low >= high:  # all but a few are alike
        low, high = found[0], found[-1]
    if _is_widened(found, eps):
        return 0.0, 65535.0 if eps is None else 1.0
    whites = (255.0,) if eps is None else (1.0, 255.0)
    for white in whites:
        if low >= 0 and high <= white and (high - low >= white / 2 or low == high):
            return 0.0, white
    return float(low), float(high if high > low else low + max(1.0, abs(low)))


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
