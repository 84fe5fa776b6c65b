"""Regions grown from points: one a point, as large as the thing that stands there.

Convention
----------
Images are (h, w), points x y in their pixels, the centre of the top left pixel at (0.5, 0.5). Labels are 0 for the
ground and 1 + the point's index for its region. A distance is in half-axes of the examples: 1 on the ellipse that the
mean example's box holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.ops.outlining.fitting import fitting_level
from likewise.ops.outlining.likeness import (
    LEARNT,
    Floats,
    averaged,
    binned,
    learn_tables,
    log_odds,
    opponent_colours,
    pixel_features,
    smoothed,
)
from likewise.ops.outlining.parting import Labels, Mask, marked, nearest_marker, parted, widened
from likewise.ops.outlining.tidying import tidied

#: Around each point is the thing, so far; farther from every point than the second is ground, while nothing is known.
CORE, FAR = 0.6, 1.5
#: No thing reaches farther than this from its point; what is farther than the second is ground where it is unlike.
REACH, CLEAR = 1.5, 0.8
#: Where colours say nothing a thing is as large as the examples: log odds that a half-axis is worth.
PRIOR = 3.0
#: Grey levels by which a thing has to differ from the ground beside it for its edge to lie halfway between the two.
DISTINCT = 6.0
#: Where an edge may lie, to fit the boxes of examples: so many log odds to either side, and so much of the way.
ODDS, SHARE = 1.5, 0.15
#: With fewer pixels than this on either side nothing is learnt.
FEW = 50
#: Where this many pixels are of things of at least so many pixels each, every second pixel of every second row teaches.
MANY, LARGE = 4 * LEARNT, 16.0
#: Bins between a colour's ends in which medians are looked for.
LEVELS = 128
#: Where no example is in the image.
NO_BOXES = np.zeros((0, 4))


@dataclass(frozen=True, eq=False)
class Grown:
    """What grew.

    Attributes:
        labels: (h, w) int32.
        likeness: (h, w) float32, log odds that a pixel is of a thing.
        level: (h, w) float32: of each pixel of a region, and each beside one, how far inside the region's edge its
            colour is; the edge is at 0.
    """

    labels: Labels
    likeness: Floats
    level: Floats


def grow(
    pixels: NDArray[np.uint8],
    points: NDArray[np.floating],
    size: tuple[float, float],
    boxes: NDArray[np.floating] = NO_BOXES,
) -> Grown:
    """Grow a region from each of some points.

    What is around the points teaches what the things look like, and what is far from all of them the ground; what grew
    by that teaches it once more. Regions that touch part where both points are equally near, a little nearer to where
    the thing is thin, by a watershed whose markers are the points. Each edge then lies halfway between the thing's
    colour and that of the ground around it, or nearer to one of them by as much as makes the examples fill their boxes.

    Args:
        pixels: (h, w, 3) uint8.
        points: (N, 2), at least one, each inside the image.
        size: (width, height) of the examples, pixels.
        boxes: (E, 4) x0 y0 x1 y1 of examples in this image.
    """
    side = float(np.sqrt(size[0] * size[1]))
    markers = marked(points, pixels.shape[:2])
    distance = nearest_marker(markers, size)
    colours = np.stack([smoothed(each) for each in opponent_colours(pixels)])
    likeness = _likeness(binned(pixel_features(colours, side)), distance, side)
    mask = ((likeness > 0) & (distance < REACH)) | (markers > 0)
    labels = widened(parted(mask, markers, distance, side))
    share = _shares(labels, colours, mask, markers, side)
    level = np.minimum(likeness / ODDS, (share - 0.5) / SHARE)
    level -= fitting_level(labels, level, markers, boxes)
    return Grown(tidied(labels * (level > 0)), likeness, level)


def _likeness(bins: NDArray[np.uint8], distance: Floats, side: float) -> Floats:
    """The log odds of each pixel, taught twice; where either side is too small to teach anything, by distance alone."""
    step = 2 if side >= LARGE and np.count_nonzero(distance < CORE) > MANY else 1
    few, apart = bins[:, ::step, ::step], distance[::step, ::step]
    inside, ground = apart < CORE, apart > FAR
    if ground.mean() < 0.02:  # a crowd: the places between
        ground = apart >= np.quantile(apart, 0.97)
    tables = np.zeros((len(bins), 1), np.float32)
    for again in (True, False):
        sides = np.flatnonzero(inside), np.flatnonzero(ground)
        if min(map(len, sides)) < FEW // step**2:
            break
        tables = learn_tables(few, *sides)
        if again:
            mask = (_prior(apart) + smoothed(log_odds(few, tables)) > 0) & (apart < REACH)
            inside, ground = _shrunk(mask), _shrunk(~mask) & (apart > CLEAR)
    return _prior(distance) + smoothed(log_odds(bins, tables))


def _prior(distance: Floats) -> Floats:
    return np.float32(PRIOR) * (1 - distance)


def _shrunk(mask: Mask) -> Mask:
    """A mask without the pixels that have a neighbour, of eight, outside it; beyond the border there are none."""
    rows = np.pad(mask, 1, constant_values=True)
    rows = rows[:-2] & rows[1:-1] & rows[2:]
    found: Mask = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return found


def _shares(labels: Labels, colours: Floats, mask: Mask, markers: Labels, side: float) -> Floats:
    """Where each pixel of a region lies between the ground's colour, 0, and the region's in the mask, 1.

    Of regions that hardly differ from the ground all pixels are 1.
    """
    places = np.flatnonzero(labels)
    number, values = labels.ravel()[places], colours.reshape(len(colours), -1)[:, places]
    found = np.zeros(labels.shape, np.float32)
    found.ravel()[places] = 1
    around = _around(colours, _shrunk(~mask), markers, side)
    if around is not None:
        sure = mask.ravel()[places]
        apart = _medians(values[:, sure], number[sure], around.shape[1]) - around
        norm = (apart * apart).sum(0)
        weights = apart / np.maximum(norm, 1e-6)
        share = (values * weights[:, number]).sum(0) - (around * weights).sum(0)[number]
        found.ravel()[places] = np.where(norm[number] < DISTINCT**2, 1, share)
    return found


def _around(colours: Floats, ground: Mask, markers: Labels, side: float) -> Floats | None:
    """(C, 1 + N): the colour of the ground around each marker, by its number; None: there is hardly any ground."""
    if np.count_nonzero(ground) < FEW:
        return None
    step = max(1, int(side) // 6)
    there = ground[::step, ::step].astype(np.float32)
    seen = np.concatenate([colours[:, ::step, ::step] * there, there[None]])
    *sums, weight = averaged(averaged(seen, 2 * side / step), 2 * side / step)
    y, x = np.nonzero(markers)
    found = np.zeros((len(colours), int(markers.max()) + 1), np.float32)
    least = weight[y // step, x // step]
    means = np.stack(sums)[:, y // step, x // step] / np.maximum(least, 1e-3)
    found[:, markers[y, x]] = np.where(least > 0.01, means, colours[:, ground].mean(1)[:, None])
    return found


def _medians(values: Floats, number: NDArray[np.int32], most: int) -> Floats:
    """(C, most): the median of values (C, n) by number (n,), to `LEVELS` bins between their ends."""
    found = np.zeros((len(values), most), np.float32)
    for each, into in zip(values, found, strict=True):
        low, high = (float(each.min()), float(each.max())) if each.size else (0.0, 0.0)
        width = max((high - low) / LEVELS, 1e-3)
        bins = np.minimum((each - low) / width, LEVELS - 1).astype(np.intp)
        table = np.bincount(number * LEVELS + bins, minlength=most * LEVELS).reshape(most, LEVELS).cumsum(1)
        into[:] = low + ((table < table[:, -1:] / 2).sum(1) + 0.5) * width
    return found
