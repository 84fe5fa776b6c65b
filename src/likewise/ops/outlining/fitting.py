"""Where the edge is put: as tight about each thing as makes the regions of the examples fill the boxes drawn there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.ops.outlining.likeness import Floats

Labels = NDArray[np.int32]
Boxes = NDArray[np.floating]

#: Levels that are tried; the one that is taken where no box says otherwise is 0.
LEVELS = np.linspace(-1.0, 1.0, 17)
#: So many boxes are looked at, the first; and one whose region is smaller or larger than it by this is ignored, log.
LOOKED_AT, ODD = 12, 1.0
#: A level is not moved by one whole for less than this, log of an area.
STEADY = 0.02


def fitting_level(labels: Labels, level: Floats, markers: Labels, boxes: Boxes) -> float:
    """The level above which the regions of the examples are as large as their boxes, on average.

    Args:
        labels: (H, W), regions as large as they may be.
        level: (H, W), from the ground, below -1, to what is surely of a thing, above 1.
        markers: (H, W), 1 + the index of the point in each pixel, else 0.
        boxes: (E, 4) x0 y0 x1 y1 round examples; one without a point is ignored.

    Returns:
        One of `LEVELS`; 0 where no box has a point.
    """
    tables = [_too_large(labels, level, markers, box) for box in boxes[:LOOKED_AT]]
    usable = [table for table in tables if table is not None and abs(table[len(LEVELS) // 2]) < ODD]
    if not usable:
        return 0.0
    off = np.abs(np.mean(np.clip(usable, -ODD, ODD), 0)) + STEADY * np.abs(LEVELS)
    return float(LEVELS[int(off.argmin())])


def _too_large(labels: Labels, level: Floats, markers: Labels, box: Boxes) -> NDArray[np.float64] | None:
    """(L,): the log of the area of a region's box at each level over that of the example's; None: it has no point."""
    x0, y0, x1, y1 = (int(side) for side in box)
    rows, columns = np.nonzero(markers[y0 : y1 + 1, x0 : x1 + 1])
    if not len(rows):
        return None
    apart = np.hypot(columns + x0 + 0.5 - box[[0, 2]].mean(), rows + y0 + 0.5 - box[[1, 3]].mean())
    y, x = int(rows[apart.argmin()] + y0), int(columns[apart.argmin()] + x0)
    inside = labels == markers[y, x]
    part = ndimage.find_objects(inside.astype(np.int8))
    found = np.full(len(LEVELS), -np.inf)
    if not part:
        return found
    own = np.where(inside[part[0]], level[part[0]], -np.inf)
    at = (y - part[0][0].start, x - part[0][1].start)
    for place, least in enumerate(LEVELS):
        pieces, _ = ndimage.label(own > least)
        if pieces[at]:
            [rest] = ndimage.find_objects((pieces == pieces[at]).astype(np.int8))
            height, width = (side.stop - side.start for side in rest)
            found[place] = np.log(height * width / ((box[2] - box[0]) * (box[3] - box[1])))
    return found
