"""How well outlines and boxes fit the true ones: what counts as found, and the numbers that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from likewise.boxes import box_areas, shared_areas

Floats = NDArray[np.float64]

#: Intersection over union from which on a thing is found.
FOUND = 0.5
#: Recalls at which COCO reads precision.
RECALLS = np.linspace(0, 1, 101)


def mask_overlaps(found: NDArray[np.integer], truth: NDArray[np.integer]) -> Floats:
    """(F, T) intersection over union of the masks in two label images (H, W), by ascending number.

    Example:
        >>> mask_overlaps(np.array([[1, 1, 0]]), np.array([[4, 0, 0]])).tolist()
        [[0.5]]
    """
    (one, mine), (other, theirs) = (np.unique(each, return_inverse=True) for each in (found, truth))
    shared = np.bincount(mine.ravel() * len(other) + theirs.ravel(), minlength=len(one) * len(other))
    table = shared.reshape(len(one), len(other)).astype(np.float64)
    union = table.sum(1)[:, None] + table.sum(0) - table
    result: Floats = (table / np.maximum(union, 1))[one > 0][:, other > 0]
    return result


def box_overlaps(found: NDArray[np.floating], truth: NDArray[np.floating]) -> Floats:
    """(F, T) intersection over union of boxes (F, 4) and (T, 4), xyxy.

    Example:
        >>> box_overlaps(np.array([[0.0, 0, 2, 1]]), np.array([[0.0, 0, 1, 1]])).tolist()
        [[0.5]]
    """
    shared = shared_areas(found[:, None], truth[None])
    union = box_areas(found)[:, None] + box_areas(truth)[None] - shared
    result: Floats = shared / np.maximum(union, 1e-9)
    return result


@dataclass(eq=False)
class OutlineErrors:
    """What was found in pictures, added one by one.

    A thing is found where its overlap with one of the true ones is at least `FOUND`, each with one; pictures weigh as
    many things as they show.

    Example:
        >>> errors = OutlineErrors()
        >>> errors.add(np.array([[0.8, 0.0], [0.0, 0.3]]), np.array([0.9, 0.5]))
        >>> errors.f1, errors.mean_overlap, round(errors.average_precision, 3)
        (0.5, 0.8, 0.505)
    """

    found: int = 0
    true: int = 0
    overlaps: list[float] = field(default_factory=list)
    _ranked: list[tuple[float, bool]] = field(default_factory=list)

    def add(self, overlaps: Floats, scores: Sequence[float] | NDArray[np.floating]) -> None:
        """A picture: overlaps (F, T) of what was found with what is there, and a score (F,) for each found."""
        self.found, self.true = self.found + overlaps.shape[0], self.true + overlaps.shape[1]
        rows, columns = linear_sum_assignment(np.where(overlaps >= FOUND, overlaps, 0), maximize=True)
        best = overlaps[rows, columns]
        self.overlaps += best[best >= FOUND].tolist()
        free = np.ones(overlaps.shape[1], bool)
        for index in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
            left = np.where(free, overlaps[index], 0)
            hit = bool(left.size) and left.max() >= FOUND
            if hit:
                free[left.argmax()] = False
            self._ranked.append((float(scores[index]), bool(hit)))

    @property
    def recall(self) -> float:
        """Share of the true things that were found."""
        return len(self.overlaps) / max(1, self.true)

    @property
    def f1(self) -> float:
        """The harmonic mean of that and the share of what was found that is true."""
        return 2 * len(self.overlaps) / max(1, self.found + self.true)

    @property
    def mean_overlap(self) -> float:
        """Mean intersection over union of what was found with what it is; NaN where nothing was."""
        return float(np.mean(self.overlaps)) if self.overlaps else float("nan")

    @property
    def average_precision(self) -> float:
        """AP50 as COCO has it: the mean, over 101 recalls, of the best precision at that recall or more.

        NaN where there is nothing to be found.
        """
        hits = np.array([hit for _, hit in sorted(self._ranked, key=lambda each: -each[0])], bool)
        if not self.true:
            return float("nan")
        right = hits.cumsum()
        precision = np.maximum.accumulate((right / np.arange(1, len(hits) + 1))[::-1])[::-1]
        places = np.searchsorted(right / self.true, RECALLS, side="left")
        return float(np.mean([precision[place] if place < len(hits) else 0.0 for place in places]))
