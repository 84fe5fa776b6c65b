"""How far counts are from the truth: MAE, RMSE, NAE and SRE; whether intervals hold it; and other tasks' measures.

Source: the first two as FSC-147 reports them (Ranjan et al., CVPR 2021), the relative ones as CARPK's and the crowd
counting literature define them. All are in objects but NAE, which is a fraction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from likewise.errors import LikewiseError


def mae(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Mean absolute error, mean |c - n|.

    Args:
        counts: predicted, one a picture.
        truths: true, in the same order.

    Raises:
        LikewiseError: nothing to average, or lengths that differ. So do the other metrics.

    Example:
        >>> mae([9, 23], [10, 20])
        2.0
    """
    return _mean([abs(c - n) for c, n in _pairs(counts, truths)])


def rmse(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Root of the mean squared error, sqrt(mean (c - n)^2); arguments as `mae`.

    Example:
        >>> rmse([11, 27], [10, 20])
        5.0
    """
    return math.sqrt(_mean([(c - n) ** 2 for c, n in _pairs(counts, truths)]))


def nae(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Normalised absolute error, mean |c - n| / n, a fraction; arguments as `mae`.

    Pictures without a single object have no relative error and are left out; NaN where no other is left.

    Example:
        >>> nae([9, 23], [10, 20])
        0.125
    """
    return _mean_or_nan([abs(c - n) / n for c, n in _pairs(counts, truths) if n > 0])


def sre(counts: Sequence[float], truths: Sequence[float]) -> float:
    """Squared relative error, sqrt(mean (c - n)^2 / n); arguments and empty pictures as `nae`.

    Example:
        >>> sre([12, 18], [9, 4])
        5.0
    """
    return math.sqrt(_mean_or_nan([(c - n) ** 2 / n for c, n in _pairs(counts, truths) if n > 0]))


@dataclass
class CountErrors:
    """Counts and truths as they come in, and every metric of what came so far.

    Attributes:
        counts: predicted.
        truths: true.

    Example:
        >>> errors = CountErrors()
        >>> errors.add(count=9, truth=10)
        >>> errors.summary()["mae"]
        1.0
    """

    counts: list[float] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)

    def add(self, count: float, truth: float) -> None:
        """One more picture.

        Raises:
            LikewiseError: a count that is not finite, a truth that is negative or not finite.
        """
        if not (math.isfinite(count) and math.isfinite(truth) and truth >= 0):
            raise LikewiseError(f"count {count} of {truth}: expected a finite count and a finite truth >= 0")
        self.counts.append(float(count))
        self.truths.append(float(truth))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def empty(self) -> int:
        """Pictures without an object, which NAE and SRE leave out."""
        return sum(n == 0 for n in self.truths)

    def summary(self) -> dict[str, float]:
        """``mae``, ``rmse``, ``nae`` and ``sre`` of all pictures so far; all NaN where there is none."""
        metrics = (mae, rmse, nae, sre)
        return {m.__name__: m(self.counts, self.truths) if self.counts else math.nan for m in metrics}


#: Of all truths, this share is to lie in the interval that a count comes with.
LEVEL = 0.9


@dataclass
class IntervalErrors:
    """Intervals and truths as they come in, and whether they hold, how wide they are, and both in one number.

    Ends are rounded outward to whole things, as truths are: a count of 24.4 that may be as low as 23.6 does not rule
    out 23. The interval score (Gneiting & Raftery, JASA 2007, eq. 43) is the width plus what the truth lies outside by
    times 2 / (1 - level), in log(count + 0.5), so that pictures of few and of many things count alike: lower is better,
    and no interval does better on average than the one between the truth's true quantiles.

    Attributes:
        ends: (low, high), one a picture.
        truths: true counts.

    Example:
        >>> errors = IntervalErrors()
        >>> errors.add(20.0, 30.0, truth=25)
        >>> errors.add(20.0, 30.0, truth=40)
        >>> errors.summary()["coverage"], errors.summary()["width"]
        (0.5, 0.325)
    """

    ends: list[tuple[float, float]] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)

    def add(self, low: float, high: float, truth: float) -> None:
        """One more picture.

        Raises:
            LikewiseError: ends that are not finite, negative or swapped; a truth that is negative or not finite.
        """
        if not (0 <= low <= high < math.inf and 0 <= truth < math.inf):
            raise LikewiseError(f"{low} to {high} for {truth}: expected 0 <= low <= high and a truth >= 0, all finite")
        self.ends.append((float(low), float(high)))
        self.truths.append(float(truth))

    def __len__(self) -> int:
        return len(self.truths)

    def summary(self) -> dict[str, float]:
        """All NaN where there is none.

        ``coverage``: the share of truths inside. ``width``: mean of (high - low) / truth, or / 1 where that is less.
        ``interval_score``: see above.
        """
        pairs = list(zip(self.ends, self.truths, strict=True))
        return {
            "coverage": _mean_or_nan([float(math.floor(low) <= n <= math.ceil(high)) for (low, high), n in pairs]),
            "width": _mean_or_nan([(high - low) / max(n, 1.0) for (low, high), n in pairs]),
            "interval_score": _mean_or_nan([_interval_score(low, high, n) for (low, high), n in pairs]),
        }


def _interval_score(low: float, high: float, truth: float) -> float:
    bottom, top, where = (math.log(value + 0.5) for value in (low, high, truth))
    return top - bottom + 2 / (1 - LEVEL) * max(bottom - where, where - top, 0.0)


def _pairs(counts: Sequence[float], truths: Sequence[float]) -> list[tuple[float, float]]:
    if len(counts) != len(truths) or not len(counts):
        raise LikewiseError(f"{len(counts)} counts for {len(truths)} truths; expected as many, at least one")
    return list(zip(counts, truths, strict=True))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_or_nan(values: Sequence[float]) -> float:
    return _mean(values) if values else math.nan


@dataclass
class Ranks:
    """Where the truth stands among a classifier's answers, as they come in, and how often it is near the top.

    Attributes:
        ranks: of each picture's class: how many classes were found more probable.

    Example:
        >>> ranks = Ranks()
        >>> ranks.add(0)
        >>> ranks.add(3)
        >>> ranks.summary()
        {'top1': 0.5, 'top5': 1.0}
    """

    ranks: list[int] = field(default_factory=list)

    def add(self, rank: int) -> None:
        """One more picture; 0: the truth was the answer."""
        self.ranks.append(rank)

    def __len__(self) -> int:
        return len(self.ranks)

    def top(self, k: int) -> float:
        """Share of the pictures whose class is among the first ``k`` answers; NaN where there is no picture."""
        return sum(rank < k for rank in self.ranks) / len(self.ranks) if self.ranks else math.nan

    def summary(self) -> dict[str, float]:
        """``top1`` and ``top5``, as fractions."""
        return {"top1": self.top(1), "top5": self.top(5)}


#: Label of pixels that no measure of masks looks at.
UNLABELLED = 255


@dataclass
class Overlaps:
    """Masks and truths as they come in, and their intersection over union.

    As in PASCAL-5i: pixels are added up over all episodes of a class before intersection is divided by union, each
    episode once; `miou` is the mean over classes. `fb_iou` takes all classes as one, and is the mean for things and
    background.

    Attributes:
        counts: of each class, by name: pixels in mask and truth, in the mask alone, in the truth alone, in neither.

    Example:
        >>> overlaps, mask = Overlaps(), np.array([[True, True, False, False]])
        >>> overlaps.add("coin", mask, np.uint8([[0, 1, 1, 1]]))
        0.25
        >>> overlaps.miou
        0.25
    """

    counts: dict[str, list[int]] = field(default_factory=dict)
    episodes: int = 0

    def add(self, name: str, mask: NDArray[np.bool_], truth: NDArray[np.uint8]) -> float:
        """One more episode of a class: a mask (H, W), and its truth of 1, 0 and 255; the episode's own IoU.

        Raises:
            LikewiseError: sizes that differ.
        """
        if mask.shape != truth.shape:
            raise LikewiseError(f"a mask of {mask.shape} for a truth of {truth.shape}; expected the same size")
        known = truth != UNLABELLED
        thing = (truth == 1) & known
        both, only_mask = int((mask & thing).sum()), int((mask & known & ~thing).sum())
        only_truth = int((~mask & thing).sum())
        neither = int(known.sum()) - both - only_mask - only_truth
        row = self.counts.setdefault(name, [0, 0, 0, 0])
        self.counts[name] = [old + new for old, new in zip(row, (both, only_mask, only_truth, neither), strict=True)]
        self.episodes += 1
        return _share(both, both + only_mask + only_truth)

    def __len__(self) -> int:
        return self.episodes

    def of(self, name: str) -> float:
        """A class's IoU; NaN where neither mask nor truth has a pixel."""
        both, only_mask, only_truth, _ = self.counts[name]
        return _share(both, both + only_mask + only_truth)

    @property
    def miou(self) -> float:
        """Mean IoU over the classes."""
        return _mean_or_nan([self.of(name) for name in self.counts])

    @property
    def fb_iou(self) -> float:
        """Mean of the IoU of things, whatever their class, and of background."""
        both, only_mask, only_truth, neither = (sum(c) for c in zip(*self.counts.values(), strict=True))
        wrong = only_mask + only_truth
        return (_share(both, both + wrong) + _share(neither, neither + wrong)) / 2

    def summary(self) -> dict[str, float]:
        """``miou`` and ``fb_iou``, as fractions."""
        return {"miou": self.miou, "fb_iou": self.fb_iou} if self.counts else {"miou": math.nan, "fb_iou": math.nan}


#: The boundary of a mask reaches this far into it, as a share of the picture's diagonal.
BOUNDARY_REACH = 0.02


def boundaries(mask: NDArray[np.bool_], truth: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """The boundary of a mask and of its truth, for `Overlaps` to compare: what comes out is the boundary IoU.

    A boundary is what of a mask lies within 2 % of the picture's diagonal of a pixel that is not the mask's, row,
    column or diagonal step by step; beyond the picture nothing is the mask's. However large a thing is, its edge is
    measured alike, where the ordinary IoU of large things says little of edges.

    Source: Cheng, Girshick, Dollar, Berg & Kirillov, "Boundary IoU: Improving Object-Centric Image Segmentation
    Evaluation", CVPR 2021.

    Args:
        mask: (H, W).
        truth: (H, W) of 1, 0 and 255. Where nobody says, neither has a pixel.

    Returns:
        (H, W) bool, and (H, W) of 1, 0 and 255.

    Example:
        >>> square = np.zeros((100, 100), bool)
        >>> square[20:80, 20:80] = True
        >>> boundary, _ = boundaries(square, square.astype(np.uint8))
        >>> boundary[50, 20:30].tolist()  # 2 % of 141 pixels are 3
        [True, True, True, False, False, False, False, False, False, False]
    """
    known = truth != UNLABELLED
    reach = max(1, round(BOUNDARY_REACH * math.hypot(*mask.shape)))
    found = _boundary(mask & known, reach)
    said = _boundary(truth == 1, reach).astype(np.uint8)
    return found, np.where(known, said, np.uint8(UNLABELLED))


def _boundary(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    depth = ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
    near: NDArray[np.bool_] = mask & (depth <= reach)
    return near


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
