"""The outline of each counted thing: which pixels are its, and how sure that is.

Convention
----------
Pixels are the caller's picture's. Boxes are x0, y0, x1, y1 along the edges of pixels, half-open; polygons go along the
edges of pixels too, so that their area is the number of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.results.base import check

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outlines:
    """Outlines of the things in one picture.

    Attributes:
        labels: (H, W) int32, of the picture's size: 0, or the number of the thing that a pixel belongs to, which is 1 +
            the index of its point. Points that nothing could be told from the ground at have no number.
        likeness: of each number from 1 on, how like the examples its pixels are, 0 to 1; what has no pixel has 0.
        means: by the name of each channel of the picture, the mean of its stored values in each number from 1 on.

    Example:
        >>> labels = np.int32([[1, 1, 0, 0], [1, 1, 0, 2]])
        >>> found = Outlines(labels, np.float32([0.9, 0.5]))
        >>> found.numbers.tolist(), found.boxes.tolist(), found.cut.tolist()
        ([1, 2], [[0, 0, 2, 2], [3, 1, 4, 2]], [True, True])
        >>> found.polygon(1).tolist()
        [[0, 0], [2, 0], [2, 2], [0, 2]]
    """

    labels: NDArray[np.int32]
    likeness: NDArray[np.float32]
    means: Mapping[str, Floats] = field(default_factory=dict)
    _parts: list[tuple[slice, slice] | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check("labels", self.labels, "(H, W) of int32", self.labels.ndim == 2 and self.labels.dtype == np.int32)
        one_each = self.likeness.ndim == 1 and int(self.labels.max(initial=0)) <= len(self.likeness)
        check("likeness", self.likeness, "(N,), one a number", one_each)
        for name, means in self.means.items():
            check(f"means of {name}", means, f"({len(self.likeness)},)", means.shape == self.likeness.shape)
        object.__setattr__(self, "_parts", ndimage.find_objects(self.labels, max_label=len(self.likeness)))

    def __len__(self) -> int:
        """How many things have an outline."""
        return len(self.numbers)

    @property
    def numbers(self) -> NDArray[np.intp]:
        """(N,): of the things that have an outline, ascending."""
        return 1 + np.flatnonzero([part is not None for part in self._parts])

    @property
    def boxes(self) -> NDArray[np.int64]:
        """(N, 4): round each of them."""
        found = [(x.start, y.start, x.stop, y.stop) for y, x in self._boxed()]
        return np.array(found, np.int64).reshape(-1, 4)

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,): of each of them, 0 to 1."""
        return self.likeness[self.numbers - 1]

    @property
    def cut(self) -> NDArray[np.bool_]:
        """(N,): whether it touches the picture's border, so that the rest of it may lie outside."""
        height, width = self.labels.shape
        x0, y0, x1, y1 = self.boxes.T
        found: NDArray[np.bool_] = (x0 <= 0) | (y0 <= 0) | (x1 >= width) | (y1 >= height)
        return found

    def whole(self) -> Outlines:
        """Only those that the picture's border does not cut; the numbers stay."""
        gone = np.zeros(len(self.likeness) + 1, bool)
        gone[self.numbers[self.cut]] = True
        return replace(self, labels=np.where(gone[self.labels], 0, self.labels).astype(np.int32))

    def crop(self, number: int) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """The mask of a thing in its own box, and the box's (x, y); the number has to have an outline."""
        part = self._parts[number - 1]
        assert part is not None, f"number {number} has no outline"  # noqa: S101  # what callers promise
        return self.labels[part] == number, (part[1].start, part[0].start)

    def polygon(self, number: int) -> NDArray[np.int64]:
        """(K, 2) x y: the corners of a thing's outer edge, once round, the first not repeated; y points down."""
        mask, corner = self.crop(number)
        return edge_polygon(mask) + np.array(corner)

    def _boxed(self) -> Iterator[tuple[slice, slice]]:
        return (part for part in self._parts if part is not None)


def edge_polygon(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The corners of a mask's outer edge along the edges of pixels, once round and clockwise as it is seen.

    Args:
        mask: (h, w), one piece in which pixels hang together by their sides, without holes: then no corner comes
            twice, and the polygon's area is the number of pixels.

    Returns:
        (K, 2) x y, from the leftmost corner of the top row on.

    Example:
        >>> edge_polygon(np.array([[True, True], [True, False]])).tolist()
        [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]
    """
    rim = np.pad(mask, 1)
    core = rim[1:-1, 1:-1]
    sides = (  # of pixels inside whose neighbour is not: where the edge begins, and which way it goes on
        (core & ~rim[:-2, 1:-1], (0, 0), (1, 0)),
        (core & ~rim[1:-1, 2:], (1, 0), (0, 1)),
        (core & ~rim[2:, 1:-1], (1, 1), (-1, 0)),
        (core & ~rim[1:-1, :-2], (0, 1), (0, -1)),
    )
    onward: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for there, (right, down), way in sides:
        for y, x in zip(*(each.tolist() for each in np.nonzero(there)), strict=True):
            onward.setdefault((x + right, y + down), []).append(way)
    top = int(np.flatnonzero(mask[0])[0]) if mask[0].any() else 0
    return _walked(onward, (top, 0))


def _walked(onward: dict[tuple[int, int], list[tuple[int, int]]], start: tuple[int, int]) -> NDArray[np.int64]:
    """From a corner along the edges until it is reached again: the corners at which it turns."""
    corners: list[tuple[int, int]] = []
    place, before = start, (0, -1)
    while True:
        ways = onward[place]
        way = next((each for each in ways if each == (-before[1], before[0])), ways[0])
        ways.remove(way)
        if way != before:
            corners.append(place)
        place, before = (place[0] + way[0], place[1] + way[1]), way
        if place == start:
            return np.array(corners, np.int64)
