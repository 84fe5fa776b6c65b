"""What is measured of each outlined thing: its size, its form, its brightness and its neighbour.

Convention
----------
Lengths end in ``_px`` or ``_um``, areas in ``_px`` (their number) or ``_um2``; what has no ending has no unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likewise.draw import nearest_distances
from likewise.placement import Placement
from likewise.results.outlines import Outlines

Column = NDArray[np.generic]
Table = dict[str, Column]

#: What regions are measured by, and what that is called here; lengths in a unit.
LENGTHS = {"equivalent_diameter_area": "diameter", "axis_major_length": "major", "axis_minor_length": "minor"}
#: Sides of pixels may differ by so much of themselves, and be square.
SQUARE = 1e-3


def measure(outlines: Outlines, placement: Placement | None = None) -> Table:
    """A table with one row a thing that has an outline.

    Columns: ``label`` (its number), ``x`` and ``y`` (of its centroid, pixels), ``score``, ``cut`` (whether the
    picture's border cuts it), ``area``, ``diameter`` (of the circle of that area), ``major`` and ``minor`` (axes of the
    ellipse with the same second moments), ``circularity`` (4 pi area / perimeter squared, 1 for a circle, with
    Crofton's perimeter; NaN where pixels are not square), ``orientation`` (of the major axis against the picture's x
    axis, degrees counter-clockwise, 0 to 180), ``neighbour`` (from its centroid to the nearest other; infinite where
    there is none), and of each channel ``mean_CHANNEL`` and ``sum_CHANNEL`` of its stored values. Areas and lengths
    come in pixels, and again in micrometres where those are known.

    Example:
        >>> square = np.zeros((9, 9), np.int32)
        >>> square[2:6, 3:7] = 1
        >>> table = measure(Outlines(square, np.float32([1])), Placement(micrometres=(0.5, 0.5)))
        >>> float(table["area_px"][0]), float(table["area_um2"][0]), float(table["x"][0])
        (16.0, 4.0, 5.0)
    """
    # here and not above: who only writes a result down need not wait for it
    from skimage.measure import regionprops_table

    names = ("label", "area", "centroid", "orientation", "perimeter_crofton", *LENGTHS)
    found = regionprops_table(outlines.labels, properties=names)
    centres = np.stack([found["centroid-1"], found["centroid-0"]], 1).astype(np.float64).reshape(-1, 2) + 0.5
    sides = None if placement is None else placement.micrometres
    area = found["area"].astype(np.float64)
    table: Table = {"label": found["label"], "x": centres[:, 0], "y": centres[:, 1], "score": outlines.scores}
    table |= {"cut": outlines.cut, **_lengths(found, area, centres, "px")}
    if sides is not None:
        spaced = regionprops_table(outlines.labels, spacing=sides[::-1], properties=("label", *LENGTHS))
        table |= _lengths(spaced, area * sides[0] * sides[1], centres * np.array(sides), "um")
    square = sides is None or abs(sides[0] / sides[1] - 1) < SQUARE
    round_ = 4 * np.pi * area / np.maximum(found["perimeter_crofton"], 1e-9) ** 2
    table["circularity"] = np.minimum(round_, 1.0) if square else np.full(len(area), np.nan)
    table["orientation"] = (np.degrees(found["orientation"]) + 90) % 180
    for channel, means in outlines.means.items():
        own = means[found["label"] - 1]
        table |= {f"mean_{channel}": own, f"sum_{channel}": own * area}
    return table


def _lengths(found: dict[str, Column], area: NDArray[np.float64], centres: NDArray[np.float64], unit: str) -> Table:
    lengths = {f"{called}_{unit}": found[name] for name, called in LENGTHS.items()}
    square = "" if unit == "px" else "2"
    return {f"area_{unit}{square}": area, **lengths, f"neighbour_{unit}": nearest_distances(centres)}


def channel_means(labels: NDArray[np.int32], values: NDArray[np.generic], most: int) -> NDArray[np.float64]:
    """(most,): the mean of a channel's values (H, W) in each number from 1 on; NaN where there is none.

    Example:
        >>> channel_means(np.int32([[1, 1, 2]]), np.uint16([[10, 30, 5]]), 2).tolist()
        [20.0, 5.0]
    """
    owners = labels.ravel()
    sums = np.bincount(owners, values.ravel().astype(np.float64), most + 1)[1:]
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = sums / np.bincount(owners, minlength=most + 1)[1:]
    return found
