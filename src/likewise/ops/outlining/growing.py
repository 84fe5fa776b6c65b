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
from scipy import ndimage
from skimage.segmentation import watershed

from likewise.ops.outlining.likeness import (
    FINE,
    Floats,
    averaged,
    binned,
    blurred,
    learn_tables,
    log_odds,
    opponent_colours,
    pixel_features,
)

Labels = NDArray[np.int32]

#: Around each point is the thing, so far; farther from every point than the second is ground, while nothing is known.
CORE, FAR = 0.6, 1.5
#: No thing reaches farther than this from its point; what is farther than the second is ground where it is unlike.
REACH, CLEAR = 1.5, 0.8
#: Where colours say nothing a thing is as large as the examples: log odds that a half-axis is worth.
PRIOR = 3.0
#: Grey levels by which a thing has to differ from the ground beside it for its edge to lie halfway between the two.
DISTINCT = 6.0
#: Opened, so that hairs go: this many object sizes.
HAIR = 0.04
#: With fewer pixels than this on either side nothing is learnt.
FEW = 50


@dataclass(frozen=True, eq=False)
class Grown:
    """What grew.

    Attributes:
        labels: (h, w) int32.
        likeness: (h, w) float32, log odds that a pixel is of a thing.
    """

    labels: Labels
    likeness: Floats


def grow(pixels: NDArray[np.uint8], points: NDArray[np.floating], size: tuple[float, float]) -> Grown:
    """Grow a region from each of some points.

    What is around the points teaches what the things look like, and what is far from all of them the ground; what grew
    by that teaches it once more. Regions that touch part where both points are equally near, a little nearer to where
    the thing is thin, by a watershed whose markers are the points. Each edge then lies halfway between the thing's
    colour and that of the ground around it.

    Args:
        pixels: (h, w, 3) uint8.
        points: (N, 2), at least one, each inside the image.
        size: (width, height) of the examples, pixels.
    """
    side = float(np.sqrt(size[0] * size[1]))
    markers = _markers(points, pixels.shape[:2])
    distance = _distance(markers, size)
    colours = blurred(opponent_colours(pixels), max(0.6, FINE * side))
    bins = binned(pixel_features(colours, side))
    likeness = _likeness(bins, distance, side)
    mask = ((likeness > 0) & (distance < REACH)) | (markers > 0)
    thick = blurred(ndimage.distance_transform_edt(mask).astype(np.float32), max(0.5, 0.05 * side))
    labels = watershed(distance - thick * (2 / side), markers, mask=mask)
    return Grown(_cleaned(_halfway(labels, colours, mask, side), side), likeness)


def _markers(points: NDArray[np.floating], shape: tuple[int, ...]) -> Labels:
    """The pixel of each point; of two in one pixel the first has it."""
    found = np.zeros(shape, np.int32)
    x, y = np.clip(points.astype(np.int64), 0, np.array(shape[::-1]) - 1).T
    found[y[::-1], x[::-1]] = np.arange(len(points), 0, -1)
    return found


def _distance(markers: Labels, size: tuple[float, float]) -> Floats:
    """From the nearest marker, in half-axes."""
    halves = (2 / max(size[1], 1e-3), 2 / max(size[0], 1e-3))
    found: NDArray[np.float64] = ndimage.distance_transform_edt(markers == 0, sampling=halves)
    return found.astype(np.float32)


def _likeness(bins: NDArray[np.uint8], distance: Floats, side: float) -> Floats:
    """The log odds of each pixel, taught twice; where either side is too small to teach anything, by distance alone."""
    prior = (PRIOR * (1 - np.minimum(distance, 2.0))).astype(np.float32)
    far = distance > FAR
    if far.mean() < 0.02:  # a crowd: the places between
        far = distance >= np.quantile(distance, 0.97)
    inside, ground, found = distance < CORE, far, prior
    for _ in range(2):
        sides = np.flatnonzero(inside), np.flatnonzero(ground)
        if min(map(len, sides)) < FEW:
            return found
        found = prior + blurred(log_odds(bins, learn_tables(bins, *sides)), max(0.5, 0.03 * side))
        mask, rim = (found > 0) & (distance < REACH), max(1.0, 0.06 * side)
        inside = ndimage.distance_transform_edt(mask) > rim
        ground = (ndimage.distance_transform_edt(~mask) > rim) & (distance > CLEAR)
    return found


def _halfway(labels: Labels, colours: Floats, mask: NDArray[np.bool_], side: float) -> Labels:
    """Regions without what is nearer to the colour of the ground around than to their own middle colour."""
    ground = ndimage.distance_transform_edt(~mask) > max(1.0, 0.08 * side)
    if np.count_nonzero(ground) < FEW:
        return labels
    there = ground.astype(np.float32)
    share = averaged(averaged(there, 2 * side), 2 * side)
    around = averaged(averaged(colours * there, 2 * side), 2 * side) / np.maximum(share, 1e-3)
    around = np.where(share > 0.01, around, colours[:, ground].mean(1)[:, None, None])
    apart = colours - around
    number = np.arange(1, int(labels.max()) + 1)
    middles = np.stack([np.nan_to_num(ndimage.median(each, labels, number)) for each in apart])
    own = np.concatenate([np.zeros((3, 1)), middles], 1).astype(np.float32)[:, labels]
    norm = (own * own).sum(0)
    kept = (norm < DISTINCT**2) | ((apart * own).sum(0) > 0.5 * norm)
    return np.where(kept, labels, 0)


def _cleaned(labels: Labels, side: float) -> Labels:
    """Regions without hairs, in one piece and without holes."""
    found, radius = np.zeros_like(labels), max(1, round(HAIR * side))
    for number, part in enumerate(ndimage.find_objects(labels), start=1):
        if part is not None:
            box = tuple(slice(max(0, each.start - radius), each.stop + radius) for each in part)
            free = (labels[box] == number) | (labels[box] == 0)
            found[box][_one_piece(labels[box] == number, radius) & free] = number
    return found


def _one_piece(region: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    opened = ndimage.binary_opening(region, iterations=radius)
    pieces, several = ndimage.label(opened if opened.any() else region)
    if several > 1:
        pieces = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(pieces)
    return filled
