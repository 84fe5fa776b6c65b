"""The share of each pixel that lies between edges, by the even-odd rule: what is drawn is passed over row by row.

The map is cut into level bands at every row's edge and every corner. Within a band the same sides go from its top to
its bottom. Sorted from left to right, they alternately enter and leave what is covered; where two of them cross, which
their orders at the top and the bottom tell, each goes on in the other's role. A piece of a side that enters covers what
is to its right, in its own pixels by a trapezoid and in all that follow whole; one that leaves takes it away. So only
the pixels that a side goes through are touched, and sums along the rows do the rest.

Shapes: M edges; S sides, each an edge's part in one band; P pieces of sides between crossings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Sides taken together, which bounds the memory.
TOGETHER = 1 << 19
#: What is exact has at most so many sides, pixels that they go through, and pairs of sides that may cross.
MOST = 1 << 21
#: What is more is sampled at so many points down and across each pixel, of so many pixels at a time.
SAMPLES, PIXELS = 2, 1 << 19


class Sides(NamedTuple):
    """Parts of edges in bands, sorted by band and from left to right at its top.

    Attributes:
        band: (S,) the band's index.
        row: (S,) of the map.
        high: (S,) the band's height in rows.
        top: (S,) x at its top.
        bottom: (S,) x at its bottom.
        enters: (S,) +1 for what enters at the top, -1 for what leaves.
    """

    band: Ints
    row: Ints
    high: Floats
    top: Floats
    bottom: Floats
    enters: Floats


def coverage(start: Floats, end: Floats, height: int, width: int) -> NDArray[np.float32]:
    """Shares (height, width) in [0, 1] covered by closed edges from ``start`` to ``end``, (M, 2) x y each."""
    flat = (start[:, 1] == end[:, 1]) | (np.maximum(start[:, 1], end[:, 1]) <= 0)
    flat |= np.minimum(start[:, 1], end[:, 1]) >= height
    start, end = start[~flat], end[~flat]
    turned = start[:, 1] > end[:, 1]
    upper, lower = np.where(turned[:, None], end, start), np.where(turned[:, None], start, end)
    exact = _exact(upper, lower, height, width)
    return _sampled(upper, lower, height, width) if exact is None else exact


def _exact(upper: Floats, lower: Floats, height: int, width: int) -> NDArray[np.float32] | None:
    """The exact shares; None where they would take too long."""
    cuts = np.concatenate([np.arange(height + 1.0), upper[:, 1], lower[:, 1]])
    cuts = np.unique(cuts[(cuts >= 0) & (cuts <= height)])
    first, last = np.searchsorted(cuts, upper[:, 1].clip(0)), np.searchsorted(cuts, lower[:, 1].clip(None, height))
    if (last - first).sum() + _across(upper, lower, height, width) > MOST:
        return None
    change = np.zeros(height * (width + 2))
    sides_in = np.cumsum(np.bincount(first, minlength=len(cuts)) - np.bincount(last, minlength=len(cuts)))
    before, pairs = np.concatenate([[0], np.cumsum(sides_in)]), 0
    begin = 0
    while begin < len(cuts) - 1:
        stop = max(begin + 1, int(np.searchsorted(before, before[begin] + TOGETHER, side="right")) - 1)
        sides = _sides(upper, lower, cuts, first.clip(begin, stop), last.clip(begin, stop))
        furthest = _furthest_crossed(sides)
        pairs += int((furthest - np.arange(len(furthest))).sum())
        if pairs > MOST:
            return None
        _add(change, _pieces(sides, *_crossings(sides, furthest)), width)
        begin = stop
    lines = change.reshape(height, width + 2)
    np.cumsum(lines, axis=1, out=lines)
    return lines[:, :width].clip(0, 1).astype(np.float32)


def _across(upper: Floats, lower: Floats, height: int, width: int) -> float:
    """How many columns edges go through, at most, within the map."""
    left, right = (f(upper[:, 0], lower[:, 0]).clip(0, width) for f in (np.minimum, np.maximum))
    return float((right - left).sum())


def _sides(upper: Floats, lower: Floats, cuts: Floats, first: Ints, last: Ints) -> Sides:
    """The sides of the edges in their bands from ``first`` to before ``last``, (M,) each."""
    edge, place = _repeated(last - first)
    band = first[edge] + place
    p, q = upper[edge], lower[edge]
    ends = []
    for level in (cuts[band], cuts[band + 1]):
        # from the nearer end of the edge: at a corner two edges have to meet exactly
        along = (level - p[:, 1]) / (q[:, 1] - p[:, 1])
        ends.append(np.where(along < 0.5, p[:, 0] + along * (q[:, 0] - p[:, 0]), q[:, 0] - (1 - along) * (q - p)[:, 0]))
    order = np.lexsort((ends[1], ends[0], band))
    band, top, bottom = band[order], ends[0][order], ends[1][order]
    rank = np.arange(len(band)) - np.searchsorted(band, band)
    enters = np.where(rank % 2 == 0, 1.0, -1.0)
    return Sides(band, np.floor(cuts[band]).astype(np.int64), cuts[band + 1] - cuts[band], top, bottom, enters)


def _furthest_crossed(sides: Sides) -> Ints:
    """For each side the last one of those to its right at the top that is to its left at the bottom; or itself."""
    place = np.empty(len(sides.band), np.int64)
    place[np.lexsort((sides.bottom, sides.band))] = np.arange(len(place))
    nearest = np.minimum.accumulate(place[::-1])[::-1]
    return np.searchsorted(nearest, place, side="right") - 1


def _crossings(sides: Sides, furthest: Ints) -> tuple[Ints, Floats]:
    """Which sides are crossed, and how far down their band (0 to 1); a crossing is named once for either side."""
    left, place = _repeated(furthest - np.arange(len(furthest)))
    right = left + 1 + place
    crossed = sides.bottom[right] < sides.bottom[left]
    left, right = left[crossed], right[crossed]
    apart, beyond = sides.top[right] - sides.top[left], sides.bottom[left] - sides.bottom[right]
    return np.concatenate([left, right]), np.tile(apart / (apart + beyond), 2)


def _pieces(sides: Sides, crossed: Ints, down: Floats) -> tuple[Ints, Floats, Floats, Floats]:
    """Pieces between crossings: row, x at either end, and height, negative where one takes away, (P,) each."""
    side = np.concatenate([np.arange(len(sides.band)), crossed])
    begin = np.concatenate([np.zeros(len(sides.band)), down])
    order = np.lexsort((begin, side))
    side, begin = side[order], begin[order]
    number = np.arange(len(side)) - np.searchsorted(side, side)
    final = np.append(side[1:] != side[:-1], np.True_)[: len(side)]
    finish = np.where(final, 1.0, np.append(begin[1:], 1.0)[: len(side)])
    top, lean = sides.top[side], (sides.bottom - sides.top)[side]
    signed = sides.enters[side] * (1 - 2.0 * (number % 2)) * sides.high[side] * (finish - begin)
    return sides.row[side], top + begin * lean, top + finish * lean, signed


def _add(change: Floats, pieces: tuple[Ints, Floats, Floats, Floats], width: int) -> None:
    """Add pieces to what changes from pixel to pixel along the rows, (height x (width + 2),)."""
    row, start, end, signed = pieces
    low, high = np.minimum(start, end), np.maximum(start, end)
    first = np.floor(low).clip(-1, width).astype(np.int64)
    last = np.maximum(np.ceil(high).clip(0, width + 1).astype(np.int64), first + 1)
    piece, place = _repeated(last - first)
    column = first[piece] + place
    # outside of the map there is one column on either side, as wide as it takes
    near = np.where(place == 0, low[piece], np.maximum(low[piece], column))
    far = np.where(column + 1 == last[piece], high[piece], np.minimum(high[piece], column + 1))
    wide = (high - low)[piece]
    share = signed[piece] * np.where(wide > 0, (far - near) / np.where(wide > 0, wide, 1), 1.0)
    column, middle = column.clip(0, width), ((near + far) / 2).clip(0, width)
    into = (middle - column).clip(0, 1)
    place = row[piece] * (width + 2) + column
    np.add.at(change, place, share * (1 - into))
    np.add.at(change, place + 1, share * into)


def _sampled(upper: Floats, lower: Floats, height: int, width: int) -> NDArray[np.float32]:
    """The share of `SAMPLES` x `SAMPLES` points of each pixel that are covered."""
    rows, across = max(1, PIXELS // width), width * SAMPLES
    parts = []
    for begin in range(0, height, rows):
        stop = min(height, begin + rows)
        first, last = (
            np.ceil(y * SAMPLES - 0.5).clip(begin * SAMPLES, stop * SAMPLES).astype(np.int64)
            for y in (upper[:, 1], lower[:, 1])
        )
        passed = np.zeros((stop - begin) * SAMPLES * (across + 1), bool)
        for edges in np.array_split(np.arange(len(first)), max(1, int((last - first).sum()) // MOST)):
            which, place = _repeated((last - first)[edges])
            edge = edges[which]
            level = first[edge] + place
            slope = (lower[edge, 0] - upper[edge, 0]) / (lower[edge, 1] - upper[edge, 1])
            x = upper[edge, 0] + ((level + 0.5) / SAMPLES - upper[edge, 1]) * slope
            column = np.ceil(x * SAMPLES - 0.5).clip(0, across).astype(np.int64)
            where = (level - begin * SAMPLES) * (across + 1) + column
            passed ^= np.bincount(where, minlength=len(passed)) % 2 == 1
        inside = np.logical_xor.accumulate(passed.reshape(-1, across + 1), 1)[:, :across]
        parts.append(inside.reshape(stop - begin, SAMPLES, width, SAMPLES).mean((1, 3), dtype=np.float32))
    return np.concatenate(parts)


def _repeated(counts: Ints) -> tuple[Ints, Ints]:
    """Each index as often as its count says, and which time it is."""
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
