"""What was found in one picture, by a model or by hand: what files for other programs are written from.

Convention
----------
Everything is in the picture's own pixels: boxes are xyxy and points x y, the centre of the top left pixel at
(0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.placement import UNPLACED, Placement
from likewise.results.measures import Table
from likewise.results.outlines import Outlines
from likewise.types import Box, Point

#: What an object is called where nobody gave it a name.
NAMELESS = "object"


@dataclass(frozen=True, eq=False)
class PointAnnotations:
    """The counted objects of one picture.

    Attributes:
        name: the picture's file name; empty where it has none.
        size: (width, height) of the picture.
        count: how many there are, corrections by hand included; not always a whole number.
        points: (N, 2) float32, x y of each object.
        scores: (N,) float32 of each.
        exemplars: boxes of the examples that they were counted by.
        object_size: mean (width, height) of examples, where there are any.
        category: what they are called.
        by: who put each point there, "model" or "hand"; None: nobody asks, it was the model.
        predicted: where somebody asks: the model's own count; None: a person counted alone.
        placement: where the picture lies, as far as that is known.
        grid: (h, w) float32, the density over the whole picture, in objects per cell; None: there is none.
        negatives: boxes of look-alikes that were not counted.
        region: polygon of (x, y) corners in which was counted; None: everywhere.
        beside: the other kinds of the same picture, where several were counted at once.
        outlines: of the objects, numbered by their points, where they were asked for.
        measures: what those measure, a row an outline; there where they are.
    """

    name: str
    size: tuple[int, int]
    count: float
    points: NDArray[np.float32]
    scores: NDArray[np.float32]
    exemplars: tuple[Box, ...] = ()
    object_size: tuple[float, float] | None = None
    category: str = NAMELESS
    by: tuple[str, ...] | None = None
    predicted: float | None = None
    placement: Placement = UNPLACED
    grid: NDArray[np.float32] | None = None
    negatives: tuple[Box, ...] = ()
    region: tuple[Point, ...] | None = None
    beside: tuple[PointAnnotations, ...] = ()
    outlines: Outlines | None = None
    measures: Table | None = None

    @property
    def kinds(self) -> tuple[PointAnnotations, ...]:
        """Each kind that was counted in this picture, this one first."""
        return (self, *self.beside)


@dataclass(frozen=True, eq=False)
class MaskAnnotation:
    """Where one picture shows the thing.

    Attributes:
        name: the picture's file name; empty where it has none.
        mask: (H, W) bool, of the picture's size.
        box: round what is to be seen of it; of no meaning where the mask is empty.
        by: who drew it, "model" or "hand"; None: nobody asks, it was the model.
    """

    name: str
    mask: NDArray[np.bool_]
    box: Box
    by: str | None = None


def each_kind(pictures: Iterable[PointAnnotations]) -> Iterator[PointAnnotations]:
    """Every kind of every picture, those of one picture one after another."""
    return (kind for picture in pictures for kind in picture.kinds)
