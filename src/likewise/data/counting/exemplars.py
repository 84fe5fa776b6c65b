"""Which objects of a picture are shown to the network as examples during training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likewise.boxes import box_centres, box_sides, box_sizes, clip_boxes
from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError

Array = NDArray[np.float64]

#: This many neighbours of the first exemplar are tried as further ones.
TRIES = 48


@dataclass(frozen=True, eq=False)
class Exemplars:
    """Boxes drawn as examples.

    Attributes:
        boxes: (K, 4) xyxy in the picture's pixels.
        scale: the rescaling of the picture at which their mean sqrt(width x height) is as asked for.
    """

    boxes: Array
    scale: float

    @property
    def union(self) -> Array:
        """(4,) the smallest box that holds them all."""
        return _union(self.boxes)


def choose_exemplars(
    sample: CountSample,
    goal: float,
    window: float,
    scale_range: tuple[float, float],
    number: tuple[int, int],
    rng: np.random.Generator,
) -> Exemplars:
    """A few objects that fit together into one crop, well visible ones first.

    One object is drawn; its neighbours are tried in random order and taken while all of them, rescaled so that
    their mean size is `goal`, still fit into the crop. Objects cut by the picture's border are drawn only where there
    is nothing else.

    Args:
        sample: the picture; where no object's box is known its recorded exemplars are drawn from.
        goal: mean sqrt(width x height) the exemplars get, network pixels.
        window: side of the square they must fit into, network pixels.
        scale_range: smallest and largest rescaling.
        number: fewest and most exemplars; fewer where no more fit.
        rng: decides.

    Raises:
        LikewiseError: no box is known at all.
    """
    boxes, weights = _candidates(sample)
    wanted = int(rng.integers(number[0], number[1] + 1))
    first = int(rng.choice(len(boxes), p=weights / weights.sum()))
    chosen = boxes[first : first + 1]
    scale = _scale(chosen, goal, window, scale_range)
    for neighbour in _neighbours(boxes, weights, first, window / scale, rng):
        if len(chosen) == wanted:
            break
        trial = np.concatenate((chosen, boxes[neighbour][None]))
        fitted = float(np.clip(goal / box_sizes(trial).mean(), *scale_range))
        if _span(trial) * fitted <= window:
            chosen, scale = trial, fitted
    return Exemplars(chosen, scale)


def _candidates(sample: CountSample) -> tuple[Array, Array]:
    """Boxes (N, 4) inside the picture, and how much each is worth as an example (N,)."""
    known = sample.known
    boxes = (sample.boxes[known] if bool(known.any()) else sample.exemplars).numpy().astype(np.float64)
    if not len(boxes):
        raise LikewiseError(f"{sample.name or 'the picture'} has no object with a known box to show as an example")
    height, width = sample.size
    weights = np.ones(len(boxes))
    if sample.visible is not None and bool(known.any()):
        weights = sample.visible[known].numpy().astype(np.float64) ** 2
    whole = (boxes[:, :2] > 0.5).all(axis=1) & (boxes[:, 2:] < np.array([width, height]) - 0.5).all(axis=1)
    inside = clip_boxes(boxes, (width, height))
    usable = (box_sides(inside) >= 1.0).all(axis=1)
    # what is cut, hidden or tiny stays possible, at weights that matter only where there is nothing better
    weights = np.maximum(weights * np.where(whole, 1.0, 1e-4), 1e-8) * np.where(usable, 1.0, 1e-6)
    inside[:, 2:] = np.maximum(inside[:, 2:], inside[:, :2] + 1e-3)
    return inside, weights


def _neighbours(boxes: Array, weights: Array, first: int, reach: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Objects not further than `reach` from the first, in a random order that prefers the well visible ones."""
    centres = box_centres(boxes)
    near = np.abs(centres - centres[first]).max(axis=1) < reach
    near[first] = False
    # worth less than a hundredth of the best: not an example when there are better ones
    near &= weights >= weights.max() * 1e-2
    index = np.flatnonzero(near)
    # the smallest of exponential variables of these rates come first: a weighted draw without replacement
    return index[np.argsort(rng.exponential(1.0, len(index)) / weights[index])][:TRIES]


def _scale(boxes: Array, goal: float, window: float, scale_range: tuple[float, float]) -> float:
    """The rescaling asked for; less where a long thin thing would not fit into the crop."""
    scale = float(np.clip(goal / box_sizes(boxes).mean(), *scale_range))
    return min(scale, window / _span(boxes))


def _union(boxes: Array) -> Array:
    return np.concatenate((boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)))


def _span(boxes: Array) -> float:
    return float(box_sides(_union(boxes)).max())
