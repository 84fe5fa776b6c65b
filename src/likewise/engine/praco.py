"""PrACo's protocol: a picture is asked for what it does not show, and shown beside one of another kind.

Source: Ciampi, Messina, Pierucci, Amato, Avvenuti, Falchi, "Mind the Prompt: A Novel Benchmark for Prompt-based
Class-Agnostic Counting", WACV 2025, and its repository's statistics, which the formulas of `NegativeLabels`, `Mosaic`
and `PrACo` are those of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.counting.sample import CountSample
from likewise.engine.count_eval import Counts
from likewise.engine.kinds import Kinds, KindShown, PromptByKind, each_of, first_exemplars, prepared
from likewise.errors import LikewiseError
from likewise.metrics import CountErrors
from likewise.predict.prepared_image import PreparedImage
from likewise.types import Box


@dataclass(frozen=True)
class NegativeLabels:
    """One picture of the negative-label test.

    Attributes:
        image: its name.
        prompt: the kind it shows.
        truth: how many it shows.
        count: what is counted when that kind is asked for.
        absent: what is counted when another kind of the data set is, by its name.
    """

    image: str
    prompt: str
    truth: float
    count: float
    absent: Mapping[str, float]

    @property
    def normalised(self) -> float:
        """The mean of what is counted for absent kinds, divided by the truth."""
        return fmean(self.absent.values()) / self.truth

    @property
    def nearer(self) -> bool:
        """Whether the count of the right kind is nearer to the truth than that mean is."""
        return abs(self.truth - self.count) < abs(self.truth - fmean(self.absent.values()))


@dataclass(frozen=True)
class Mosaic:
    """One picture of the mosaic test, which shows a picture of one kind above one of another.

    Attributes:
        image: name of the one above.
        prompt: the kind that it shows and that is asked for.
        below: the kind of the other one.
        truth: how many the one above shows.
        upper: what is counted in the upper half.
        lower: what is counted in the lower half, where there is nothing of that kind.
    """

    image: str
    prompt: str
    below: str
    truth: float
    upper: float
    lower: float

    @property
    def true_positives(self) -> float:
        """What is counted in the upper half, up to the truth; the rest of what is counted is false."""
        return min(self.upper, self.truth)

    @property
    def recall(self) -> float:
        """True positives of the truth."""
        return self.true_positives / self.truth

    @property
    def precision(self) -> float:
        """True positives of all that is counted; NaN where nothing is."""
        counted = self.upper + self.lower
        return self.true_positives / counted if counted else math.nan

    @property
    def f1(self) -> float:
        """The harmonic mean of both; NaN where both are 0."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else math.nan


@dataclass(frozen=True)
class PrACo:
    """Whether a counter's counts follow what it is asked for.

    Attributes:
        labels: the negative-label test, a picture each.
        mosaics: the mosaic test, a pair of pictures each.
        errors: (picture, reason) of what could not be counted.
    """

    labels: tuple[NegativeLabels, ...]
    mosaics: tuple[Mosaic, ...]
    errors: tuple[tuple[str, str], ...] = ()

    def summary(self) -> dict[str, float]:
        """The published numbers, as shares; NaN where there is nothing.

        ``nmn``: the mean of `NegativeLabels.normalised`, best 0. ``pccn``: the share of `NegativeLabels.nearer`.
        ``cnt_precision``, ``cnt_recall`` and ``cnt_f1``: means over the mosaics of each picture, then over pictures;
        values that are not defined take no part. ``mae`` and ``rmse``: of the right kinds' counts.
        """
        errors = CountErrors([p.count for p in self.labels], [p.truth for p in self.labels]).summary()
        return {
            "images": len(self.labels),
            "mae": errors["mae"],
            "rmse": errors["rmse"],
            "nmn": _mean([p.normalised for p in self.labels]),
            "pccn": _mean([float(p.nearer) for p in self.labels]),
            "mosaics": len(self.mosaics),
            "cnt_precision": self._over_pictures(lambda mosaic: mosaic.precision),
            "cnt_recall": self._over_pictures(lambda mosaic: mosaic.recall),
            "cnt_f1": self._over_pictures(lambda mosaic: mosaic.f1),
        }

    def to_dict(self) -> dict[str, Any]:
        """Summary, both tests and ``errors`` as JSON values; None for what is not defined."""
        return {
            **{k: v if math.isfinite(v) else None for k, v in self.summary().items()},
            "negative_labels": [vars(p) | {"absent": dict(p.absent)} for p in self.labels],
            "mosaic": [dict(vars(m)) for m in self.mosaics],
            "errors": [{"image": image, "error": error} for image, error in self.errors],
        }

    def _over_pictures(self, value: Callable[[Mosaic], float]) -> float:
        by_picture: dict[tuple[str, str], list[float]] = {}
        for mosaic in self.mosaics:
            by_picture.setdefault((mosaic.image, mosaic.prompt), []).append(value(mosaic))
        return _mean([_mean(values) for values in by_picture.values()])


def praco(
    counter: Counts,
    kinds: Kinds,
    limit: int | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PrACo:
    """Both tests, of every kind in every picture that shows some of it and lacks another kind of the data set.

    Args:
        counter: told by name, if it takes names. Else by example, which the paper does not do: the right kind by the
            picture's own exemplars, an absent one by those of the first picture that shows it.
        kinds: of a data set; in the paper's every picture shows one.
        limit: at most this many kinds in pictures, the first ones. Each is asked for all kinds of the data set, and
            makes a mosaic with a picture of each that does not show its own kind.
        seed: of which pictures those are.
        progress: called after each with how many are done and how many there are.

    Raises:
        LikewiseError: every picture shows every kind of the data set.
    """
    ask = PromptByKind(counter, kinds)
    chosen = [each for each in kinds.shown if kinds.absent(each.picture) and ask.can_ask(each)][:limit]
    if not chosen:
        raise LikewiseError("every picture shows every kind of this set, so that none could be asked for in vain")
    labels: list[NegativeLabels] = []
    mosaics: list[Mosaic] = []

    def question(each: KindShown) -> None:
        sample = kinds.dataset[each.index]
        if sample.count:
            labels.append(_negative_labels(ask, each, sample))
            mosaics.extend(_mosaics(ask, each, sample, np.random.default_rng((seed, each.index))))

    errors = each_of(chosen, question, progress)
    return PrACo(tuple(labels), tuple(mosaics), errors)


def _negative_labels(ask: PromptByKind, each: KindShown, sample: CountSample) -> NegativeLabels:
    image = prepared(sample)
    count = float(ask.count(image, each.kind, first_exemplars(sample)).count)
    absent = {kind: ask.count_absent(image, kind) for kind in ask.kinds.absent(each.picture)}
    return NegativeLabels(each.picture, each.kind, sample.count, count, absent)


def _mosaics(ask: PromptByKind, each: KindShown, sample: CountSample, rng: np.random.Generator) -> list[Mosaic]:
    found = []
    for kind in ask.kinds.absent(each.picture):
        others = ask.kinds.of(kind, without=each.kind)
        if others:
            other = ask.kinds.dataset[others[int(rng.integers(len(others)))].index]
            pixels, exemplars = one_above_the_other(sample, other)
            grid = ask.count(PreparedImage(pixels), each.kind, exemplars).grid
            upper, lower = in_halves(grid)
            found.append(Mosaic(each.picture, each.kind, kind, sample.count, upper, lower))
    return found


def one_above_the_other(upper: CountSample, lower: CountSample) -> tuple[NDArray[np.uint8], list[Box]]:
    """A square picture of two, one above the other, and the exemplars of the upper one in it: PrACo's vertical mosaic.

    Each is squeezed into a half as wide as the smaller of their heights and half as high.
    """
    side = min(upper.size[0], lower.size[0])
    if side < 2:
        raise LikewiseError(f"{upper.name} or {lower.name} is too low to be one half of a picture")
    size = (side, side // 2)
    across, down = size[0] / upper.size[1], size[1] / upper.size[0]
    boxes = [(x0 * across, y0 * down, x1 * across, y1 * down) for x0, y0, x1, y1 in first_exemplars(upper)]
    return np.concatenate([_resized(sample, size) for sample in (upper, lower)]), boxes


def in_halves(grid: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """What a density (H, W) sums to above and below its middle, not below 0; a row that the middle cuts is shared."""
    rows = grid.sum(axis=1, dtype=np.float64)
    half, odd = divmod(len(rows), 2)
    shared = float(rows[half]) / 2 if odd else 0.0
    upper, lower = float(rows[:half].sum()) + shared, float(rows[half + odd :].sum()) + shared
    return max(upper, 0.0), max(lower, 0.0)


def _resized(sample: CountSample, size: tuple[int, int]) -> NDArray[np.uint8]:
    picture = Image.fromarray(sample.image.permute(1, 2, 0).numpy())
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def _mean(values: Sequence[float]) -> float:
    """Of those that are defined; NaN where none is."""
    defined = [value for value in values if not math.isnan(value)]
    return fmean(defined) if defined else math.nan
