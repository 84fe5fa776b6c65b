"""Where a picture lies: how large its pixels are in micrometres, or which coordinates they have on the earth.

Convention
----------
Points of the picture are ``(x, y)`` in its pixels, the centre of the top left pixel at (0.5, 0.5), x to the right and y
downwards. Micrometres have the same corner and directions. Coordinates are those of a reference system (CRS), reached
by an affine transform: easting = a x + b y + c and northing = d x + e y + f.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likewise.errors import LikewiseError

Floats = NDArray[np.float64]
#: What boxes and regions are given in: pixels, micrometres, or coordinates of the picture's reference system.
Unit = Literal["px", "um", "crs"]
UNITS: tuple[Unit, ...] = ("px", "um", "crs")


@dataclass(frozen=True)
class Placement:
    """What is known of where a picture lies and how large it is.

    Attributes:
        micrometres: width and height of a pixel; None: not known.
        crs: the reference system of ``transform``, such as "EPSG:32733" or as WKT; None: not known.
        transform: (a, b, c, d, e, f) from points of the picture to coordinates; None: not known.

    Raises:
        LikewiseError: pixels without a size, a transform that has no inverse, a number that is not finite.

    Example:
        >>> mosaic = Placement(crs="EPSG:32733", transform=(0.05, 0, 500000, 0, -0.05, 8000000))
        >>> mosaic.places([(100, 40)], "crs").tolist()
        [[500005.0, 7999998.0]]
        >>> mosaic.pixels([(500005, 7999998)], "crs").tolist()
        [[100.0, 40.0]]
        >>> Placement(micrometres=(0.5, 0.5)).box_in_pixels((10, 20, 30, 60), "um")
        (20.0, 40.0, 60.0, 120.0)
    """

    micrometres: tuple[float, float] | None = None
    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None

    def __post_init__(self) -> None:
        sides = self.micrometres
        if sides is not None and not (len(sides) == 2 and all(0 < side < math.inf for side in sides)):
            raise LikewiseError(f"micrometres = {sides}: expected width and height of a pixel, such as (0.5, 0.5)")
        numbers = self.transform
        if numbers is None:
            return
        if len(numbers) != 6 or not all(math.isfinite(number) for number in numbers):
            raise LikewiseError(f"transform = {numbers}: expected six finite numbers a, b, c, d, e, f")
        if numbers[0] * numbers[4] == numbers[1] * numbers[3]:
            raise LikewiseError(f"transform = {numbers}: the picture would have no area")

    def knows(self, unit: Unit) -> bool:
        """Whether points of the picture can be told in a unit."""
        return {"px": True, "um": self.micrometres is not None, "crs": self.transform is not None}[unit]

    def places(self, points: ArrayLike, unit: Unit) -> Floats:
        """Points (N, 2) of the picture, in a unit.

        Raises:
            LikewiseError: the picture has no such unit.
        """
        linear, shift = self._affine(unit)
        result: Floats = _pairs(points) @ linear.T + shift
        return result

    def pixels(self, places: ArrayLike, unit: Unit) -> Floats:
        """Points (N, 2) in a unit, in pixels of the picture.

        Raises:
            LikewiseError: the picture has no such unit.
        """
        linear, shift = self._affine(unit)
        result: Floats = (_pairs(places) - shift) @ np.linalg.inv(linear).T
        return result

    def box_in_pixels(self, box: Sequence[float], unit: Unit) -> tuple[float, float, float, float]:
        """The box of the picture round a box (x0, y0, x1, y1) in a unit; which corner comes first does not matter.

        Raises:
            LikewiseError: the picture has no such unit.
        """
        x0, y0, x1, y1 = box
        corners = self.pixels([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], unit)
        left, top = corners.min(0).tolist()
        right, bottom = corners.max(0).tolist()
        return left, top, right, bottom

    def within(self, corner: tuple[float, float], scale: float | tuple[float, float] = 1.0) -> Placement:
        """Of what is cut from the picture and brought to another size.

        Args:
            corner: (x, y) of the picture where the part begins.
            scale: pixels of the part in one of the picture, across and down where they differ.
        """
        across, down = (scale, scale) if isinstance(scale, (int, float)) else scale
        sides, numbers = self.micrometres, self.transform
        if sides is not None:
            sides = (sides[0] / across, sides[1] / down)
        if numbers is not None:
            a, b, _, d, e, _ = numbers
            easting, northing = self.places([corner], "crs")[0].tolist()
            numbers = (a / across, b / down, easting, d / across, e / down, northing)
        return Placement(sides, self.crs, numbers)

    def _affine(self, unit: Unit) -> tuple[Floats, Floats]:
        """(2, 2) and (2,): what pixels are multiplied with, and what is added."""
        if unit == "um" and self.micrometres is not None:
            return np.diag(np.array(self.micrometres, np.float64)), np.zeros(2)
        if unit == "crs" and self.transform is not None:
            a, b, c, d, e, f = (float(number) for number in self.transform)
            return np.array([[a, b], [d, e]]), np.array([c, f])
        if unit == "px":
            return np.eye(2), np.zeros(2)
        raise LikewiseError(self._lacks(unit))

    def _lacks(self, unit: str) -> str:
        if unit not in UNITS:
            return f"unit = {unit!r}: expected px (pixels), um (micrometres) or crs (coordinates)"
        known = " or ".join(each for each in UNITS if self.knows(each))
        what = {"um": "the size of its pixels in micrometres", "crs": "its coordinates"}[unit]
        return f"the picture does not tell {what}; give places in {known}"


#: Of a picture of which nothing is known.
UNPLACED = Placement()


def _pairs(points: ArrayLike) -> Floats:
    pairs = np.asarray(points, np.float64)
    if pairs.size == 0:
        return np.zeros((0, 2))
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise LikewiseError(f"points {pairs.shape}: expected (N, 2), x y")
    return pairs
