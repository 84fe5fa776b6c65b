"""Do intervals of totals hold, and how narrow are they: 1000 samples of every set whose truth is known.

Of each set all pictures are counted once by a model, with three exemplars as `likewise eval` does. Then pictures are
drawn over and over by the proportional design, and their true counts taken for hand counts. Beside it: hand counts
alone of as many pictures drawn at random, with Student's t, and ppi-python's power-tuned interval on the same random
pictures.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.estimation import Counts, read_counts
from likewise.estimation.conditional_poisson import ConditionalPoisson, inclusion_probabilities
from likewise.estimation.control import HALF_90, control_of
from likewise.estimation.estimators import Estimator, Part, estimate_total
from likewise.estimation.intervals import Interval, log_interval, t_interval

Array = NDArray[np.float64]

#: Set -> its folder, and what is counted there.
SETS: dict[str, tuple[str, str | None]] = {
    "nuclei": ("nuclei", None),
    "white blood cells": ("blood", "white blood cells"),
    "platelets": ("blood", "platelets"),
    "marrow": ("marrow", None),
    "adipocytes": ("adipocytes", None),
    "vgg_cells": ("vgg_cells", None),
    "red_cells": ("red_cells", None),
    "orchard": ("orchard", None),
}
#: Hand counts, samples of each set, examples a picture, and the seed of it all.
NUMBERS, DRAWS, EXEMPLARS, SEED = (8, 15, 30), 1000, 3, 2026
#: A half width of less than this share of the total is none to compare with: all is counted rightly.
NOTHING = 1e-6


@dataclass(frozen=True)
class Held:
    """How one way to an interval did.

    Attributes:
        coverage: share of the samples whose interval holds the true total.
        width: mean half width, as a fraction of the total.
    """

    coverage: float
    width: float


@dataclass(frozen=True)
class Row:
    """One set and one number of hand counts.

    Attributes:
        name: of the set.
        pictures: N.
        objects: true total.
        off: the model's total by the true one, less 1.
        n: hand counts.
        ours: the proportional design with the difference estimator.
        alone: hand counts alone.
        peer: ppi-python; None where it is not installed.
        needed: hand counts for +-5 %, ours ...
        needed_alone: ... and by hand alone.
    """

    name: str
    pictures: int
    objects: float
    off: float
    n: int
    ours: Held
    alone: Held
    peer: Held | None
    needed: int
    needed_alone: int

    @property
    def ratio(self) -> float:
        """Width by that of hand counts alone; NaN where neither has any."""
        return self.ours.width / self.alone.width if self.alone.width > NOTHING else float("nan")


def run(
    data: Path,
    cache: Path,
    *,
    model: str = "spdcn-lite",
    sets: Sequence[str] = tuple(SETS),
    draws: int = DRAWS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Row, ...]:
    """Measure all sets.

    Args:
        data: the folder with the sets' folders.
        cache: a folder for the counts, which take minutes; a set whose table is there is not counted again.
        model: that counts.
        sets: names in `SETS`.
        draws: samples of each.
        progress: called with how many sets are done and how many there are.

    Raises:
        LikewiseError: a set's folder is missing.
    """
    rows: list[Row] = []
    for done, name in enumerate(sets):
        if progress is not None:
            progress(done, len(sets))
        table, truth = counted(data, cache, name, model)
        rows += [measure(name, table, truth, n, draws) for n in NUMBERS if n < len(table)]
    return tuple(rows)


def counted(data: Path, cache: Path, name: str, model: str) -> tuple[Counts, Array]:
    """A set's counts, from the cache or by counting now, and its true counts."""
    path = cache / f"{name} by {Path(model).stem}.csv"
    if not path.exists():
        _count(data, name, model, path)
    table = read_counts(path)
    return table, np.array(table.columns["truth"], float)


def _count(data: Path, name: str, model: str, path: Path) -> None:
    from likewise.data.counting.folder import CountingFolder
    from likewise.engine.count_eval import evaluate
    from likewise.predict import load_counter

    folder, category = SETS[name]
    if not (data / folder).is_dir():
        raise LikewiseError(f"{data} lacks {folder}; expected the folders of {', '.join(SETS)}")
    report = evaluate(load_counter(model), CountingFolder(data / folder, None, category), exemplars=EXEMPLARS)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "count", "low", "high", "truth"))
        for each in report.per_image:
            ends = ("" if end is None else f"{end:.4f}" for end in (each.low, each.high))
            writer.writerow((each.image, f"{each.count:.4f}", *ends, each.truth))


def measure(name: str, table: Counts, truth: Array, n: int, draws: int = DRAWS) -> Row:
    """One set with n hand counts, drawn ``draws`` times."""
    total = float(truth.sum())
    return Row(
        name,
        len(table),
        total,
        float(table.counts.sum()) / total - 1,
        n,
        _held(_ours(table, truth, n, draws), total),
        _held(_alone(table, truth, n, draws), total),
        _peer(table, truth, n, draws),
        _needed(table, truth, _ours),
        _needed(table, truth, _alone),
    )


def _held(intervals: Iterator[Interval], total: float) -> Held:
    ends = [(each.low or 0.0, each.high or 0.0) for each in intervals]
    slack = 1e-9 * total  # a sum of counts that are all right is the truth, but for its last digits
    inside = fmean(low - slack <= total <= high + slack for low, high in ends)
    return Held(inside, fmean(high - low for low, high in ends) / 2 / total)


def _ours(table: Counts, truth: Array, n: int, draws: int) -> Iterator[Interval]:
    control = control_of(table)
    return _intervals(control.sizes, table, truth, n, draws, "difference")


def _alone(table: Counts, truth: Array, n: int, draws: int) -> Iterator[Interval]:
    return _intervals(np.ones(len(table)), table, truth, n, draws, "hand")


def _intervals(
    sizes: Array, table: Counts, truth: Array, n: int, draws: int, estimator: Estimator
) -> Iterator[Interval]:
    control = control_of(table)
    design = ConditionalPoisson(inclusion_probabilities(sizes, n))
    counted = float(control.values.sum())
    strata = np.zeros(n, np.int64)
    for taken in design.draw(np.random.default_rng(SEED), draws):
        at = np.flatnonzero(taken)
        doubt = control.doubt[at] / HALF_90
        part = Part(truth[at], control.values[at], doubt, design.inclusion[at], strata, len(table), counted)
        found = estimate_total(part, estimator)
        way = t_interval if estimator == "hand" else log_interval
        yield way(found.value, found.spread, 0.95, float(truth[at].sum()))


def _peer(table: Counts, truth: Array, n: int, draws: int) -> Held | None:
    """ppi-python, as its authors offer it: power-tuned, with normal quantiles and no finite population."""
    try:
        ppi = import_module("ppi_py")
    except ImportError:
        return None
    generator = np.random.default_rng(SEED)
    found = []
    for _ in range(draws):
        at = generator.choice(len(table), n, replace=False)
        rest = np.delete(table.counts, at)
        low, high = ppi.ppi_mean_ci(truth[at], table.counts[at], rest, alpha=0.05)
        found.append(Interval(0.0, float(low.item()) * len(table), float(high.item()) * len(table)))
    return _held(iter(found), float(truth.sum()))


def _needed(table: Counts, truth: Array, way: Callable[..., Iterator[Interval]], aim: float = 0.05) -> int:
    """Fewest hand counts whose mean half width, in 100 samples, is at most the aim."""
    low, high = 3, len(table)
    while low < high:
        middle = (low + high) // 2
        enough = _held(way(table, truth, middle, 100), float(truth.sum())).width <= aim
        low, high = (low, middle) if enough else (middle + 1, high)
    return high


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Over all rows: geometric mean and most of the ratios, and rows in which intervals hold in 93 to 97 %."""
    ratios = [row.ratio for row in rows if row.ratio > NOTHING]
    return {
        "ratio": geometric_mean(ratios),
        "widest": max(ratios),
        "held": sum(0.93 <= row.ours.coverage <= 0.97 for row in rows),
        "held_alone": sum(0.93 <= row.alone.coverage <= 0.97 for row in rows),
        "rows": len(rows),
    }
