"""Which point each pixel is nearest to, and where regions that touch part.

Source: the watershed by flooding from markers is that of Beucher & Meyer, "The morphological approach to segmentation:
the watershed transformation", in Mathematical Morphology in Image Processing, 1993, as in scikit-image.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from likewise.ops.outlining.likeness import Floats, smoothed

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

#: Farther from every point than this, in half-axes, is as far as this.
FARTHEST = 2.0


def marked(points: NDArray[np.floating], shape: tuple[int, ...]) -> Labels:
    """(H, W): 1 + the index of the point in each pixel, else 0; of two in one pixel the first has it."""
    found = np.zeros(shape, np.int32)
    x, y = np.clip(points.astype(np.int64), 0, np.array(shape[::-1]) - 1).T
    found[y[::-1], x[::-1]] = np.arange(len(points), 0, -1)
    return found


def nearest_marker(markers: Labels, size: tuple[float, float]) -> Floats:
    """(H, W): how far the nearest marker is, in half of a size (width, height), `FARTHEST` at most.

    Example:
        >>> nearest_marker(np.int32([[0, 1, 0, 0, 0, 0]]), (2.0, 2.0)).tolist()
        [[1.0, 0.0, 1.0, 2.0, 2.0, 2.0]]
    """
    across, down = (max(1e-3, side / 2) for side in size)
    right, below = (math.ceil(FARTHEST * half) for half in (across, down))
    dy, dx = np.mgrid[-below : below + 1, -right : right + 1]
    round_one = np.minimum(np.hypot(dx / across, dy / down), FARTHEST).astype(np.float32)
    found = np.full(markers.shape, FARTHEST, np.float32)
    for y, x in np.argwhere(markers):
        top, left = max(0, y - below), max(0, x - right)
        there = found[top : y + below + 1, left : x + right + 1]
        height, width = there.shape
        skipped = (top - y + below, left - x + right)
        np.minimum(there, round_one[skipped[0] :, skipped[1] :][:height, :width], out=there)
    return found


def parted(mask: Mask, markers: Labels, distance: Floats, side: float) -> Labels:
    """A mask's pixels by the marker each belongs to; a piece without a marker is left out.

    A piece with one marker is its. Where several share a piece they part where both are equally near, a little nearer
    to where the piece is thin.

    Args:
        mask: (H, W), on at each marker.
        markers: (H, W), from `marked`.
        distance: (H, W), from `nearest_marker`.
        side: of an object, pixels.
    """
    pieces, count = ndimage.label(mask)
    y, x = np.nonzero(markers)
    within = pieces[y, x]
    sharing = np.bincount(within, minlength=count + 1)
    owner = np.zeros(count + 1, np.int32)
    owner[within] = markers[y, x]
    owner[sharing > 1] = 0
    found: Labels = owner[pieces]
    shared = (sharing > 1)[pieces]
    if shared.any():
        box = ndimage.find_objects(shared.astype(np.int8))[0]
        found[box] += _flooded(mask, shared, markers, distance, side, box)
    return found


def _flooded(
    mask: Mask, shared: Mask, markers: Labels, distance: Floats, side: float, box: tuple[slice, slice]
) -> Labels:
    wider = tuple(slice(max(0, each.start - 1), each.stop + 1) for each in box)
    inner = tuple(
        slice(each.start - grown.start, each.stop - grown.start) for each, grown in zip(box, wider, strict=True)
    )
    thick = smoothed(ndimage.distance_transform_edt(mask[wider]).astype(np.float32))[inner]
    found: Labels = watershed(distance[box] - thick * (2 / side), markers[box] * shared[box], mask=shared[box])
    return found


def widened(labels: Labels) -> Labels:
    """Regions with the pixels beside them that are of none; where two are beside a pixel the higher number has it."""
    rows = np.pad(labels, 1)
    rows = np.maximum(np.maximum(rows[:-2], rows[2:]), rows[1:-1])
    found: Labels = np.where(labels > 0, labels, np.maximum(np.maximum(rows[:, :-2], rows[:, 2:]), rows[:, 1:-1]))
    return found
