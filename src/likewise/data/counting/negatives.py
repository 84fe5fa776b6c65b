"""Which boxes of a picture are shown to the network during training as what is not to be counted."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.boxes import box_sides, centred_boxes
from likewise.data.counting.sample import CountSample
from likewise.vocabulary import base_name

Array = NDArray[np.float64]

#: Of another kind that differs in colour or size only, an object is shown as a look-alike so many times as often.
TWIN = 4.0
#: Places tried for each box of empty ground.
TRIES = 12
#: Boxes of empty ground are up to this many times larger or smaller than an exemplar, a side.
STRETCH = 1.5


def negative_weight(visible: float, counted: str, other: str) -> float:
    """How good an example of a look-alike an object of another kind is: `Others.weights`.

    Args:
        visible: the share of it that can be seen.
        counted: name of the kind that is counted.
        other: name of its own kind.
    """
    return visible**2 * (TWIN if base_name(counted) == base_name(other) else 1.0)


def choose_negatives(sample: CountSample, window: Array, number: int, rng: np.random.Generator) -> Array:
    """Boxes (N, 4) of things of other kinds that lie inside a window of the picture, N <= number.

    Well visible ones, and those most like what is counted, are drawn more often: see `Others`.

    Args:
        sample: the picture.
        window: x0, y0, x1, y1 in its pixels.
        number: how many at most.
        rng: decides.
    """
    if sample.others is None:
        return np.empty((0, 4))
    boxes = sample.others.boxes.numpy().astype(np.float64)
    weights = sample.others.weights.numpy().astype(np.float64)
    inside = (boxes[:, :2] >= window[:2]).all(axis=1) & (boxes[:, 2:] <= window[2:]).all(axis=1) & (weights > 0)
    boxes, weights = boxes[inside], weights[inside]
    # the smallest of exponential variables of these rates come first: a weighted draw without replacement
    return boxes[np.argsort(rng.exponential(1.0, len(boxes)) / weights)][:number]


def empty_ground(sample: CountSample, exemplars: Array, window: Array, number: int, rng: np.random.Generator) -> Array:
    """Boxes (N, 4) inside a window that touch nothing that is counted, about as large as the exemplars, N <= number.

    Args:
        sample: the picture.
        exemplars: (K, 4) in its pixels.
        window: x0, y0, x1, y1 in its pixels.
        number: how many at most.
        rng: decides.
    """
    taken = _extents(sample)
    found = []
    for _ in range(TRIES * number):
        like = exemplars[int(rng.integers(len(exemplars)))]
        sides = box_sides(like) * np.exp(rng.uniform(-1.0, 1.0, 2) * np.log(STRETCH))
        start = window[:2] + rng.random(2) * (box_sides(window) - sides)
        box = np.concatenate((start, start + sides))
        apart = (box[2:] <= taken[:, :2]).any(axis=1) | (box[:2] >= taken[:, 2:]).any(axis=1)
        if (start >= window[:2]).all() and apart.all():
            found.append(box)
        if len(found) == number:
            break
    return np.array(found).reshape(-1, 4)


def _extents(sample: CountSample) -> Array:
    """(M, 4) boxes of everything that is counted; a square of the usual size round a point without a box."""
    squares = centred_boxes(sample.points, sample.sizes()[:, None])
    extents: Array = torch.where(sample.known[:, None], sample.boxes, squares).numpy().astype(np.float64)
    return extents
