"""Which peaks of a density count as one thing (`likewise.predict.points.settled`), chosen where the truth is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from statistics import fmean

import torch
from torch.utils.data import Dataset

from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError
from likewise.predict.counter import Counter
from likewise.predict.densities import mean_side
from likewise.predict.points import peaks_of, settled
from likewise.types import Prompt

#: What is counted as one: more than the first, less than the second; None: sums as they are.
Bounds = tuple[float, float] | None
BOUNDS: tuple[Bounds, ...] = (None, *itertools.product((0.25, 0.3, 0.35, 0.4, 0.5, 0.65), (1.2, 1.35, 1.5, 1.7)))


def errors_by_bounds(
    counter: Counter,
    sets: Iterable[Dataset[CountSample]],
    limit: int | None = None,
    exemplars: int | None = None,
    bounds: Sequence[Bounds] = BOUNDS,
) -> dict[Bounds, float]:
    """Mean relative error of the counts under each pair of bounds; every set has the same say.

    Args:
        counter: counts by example; its own ``settle`` does not matter and stays what it is.
        sets: samples with boxes; pictures without an object, or without exemplars, are left out.
        limit: only the first so many pictures of each set.
        exemplars: at most so many exemplars a picture.
        bounds: to compare.

    Raises:
        LikewiseError: a set in which nothing is left.
    """
    before, counter.settle = counter.settle, None
    try:
        found = [_errors(counter, data, limit, exemplars, bounds) for data in sets]
    finally:
        counter.settle = before
    return {pair: fmean(fmean(own[pair]) for own in found) for pair in bounds}


def _errors(
    counter: Counter, data: Dataset[CountSample], limit: int | None, exemplars: int | None, bounds: Sequence[Bounds]
) -> dict[Bounds, list[float]]:
    total = len(data)  # type: ignore[arg-type]  # map-style sets have a length
    errors: dict[Bounds, list[float]] = {pair: [] for pair in bounds}
    for sample in (data[i] for i in range(total if limit is None else min(limit, total))):
        boxes = [(x0, y0, x1, y1) for x0, y0, x1, y1 in sample.exemplars[:exemplars].tolist()]
        if not boxes or not sample.count:
            continue
        result = counter.count(sample.image, boxes)
        grid = torch.from_numpy(result.grid)
        tight = Prompt(tuple(boxes)).tightened(counter.densities.margin).exemplars
        cells = torch.tensor(grid.shape[::-1]) / torch.tensor(result.size)
        side = mean_side(tight) * math.sqrt(cells.prod())
        peaks = peaks_of(grid, side, torch.tensor(tight) * cells.repeat(2))
        for pair in bounds:
            read = grid if pair is None else settled(grid, peaks, pair)
            errors[pair].append(abs(read.sum(dtype=torch.float64).item() - sample.count) / sample.count)
    if not errors[bounds[0]]:
        raise LikewiseError("a set has no picture with both objects and exemplars; expected at least one")
    return errors
