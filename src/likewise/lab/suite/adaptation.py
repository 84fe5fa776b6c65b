"""What a few corrected pictures teach: errors before and after on sets that the weights were never trained on.

Of each set some pictures of its train split are corrected with all their points, drawn by a seed, and the val split is
counted before and after, both times by three boxes in every picture, and once more by the card's examples, without any
box. The peer is one factor, true over counted on the same pictures, on the counts before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from likewise.adaptation.adapt import adapt
from likewise.adaptation.corrections import Correction
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError
from likewise.predict import Counter
from likewise.types import Box

#: Sets whose pictures no bundled weights were trained on.
SETS = ("marrow", "adipocytes", "vgg_cells", "red_cells", "orchard")
#: Boxes a picture is counted by before, and that a corrected one has.
EXEMPLARS = 3


@dataclass(frozen=True)
class AdaptationScore:
    """How one set was counted before and after, with one draw of corrected pictures or as the mean of several.

    Attributes:
        name: of the set.
        pictures: how many were counted.
        before: mean relative error by boxes in every picture.
        factor: of the peer.
        after: of the adapted counter.
        alone: of the adapted counter, shown no boxes.
        chosen: what it kept, of each draw.
        inside: the share of truths in its intervals.
        width: their mean width over the truth.
        width_before: the same of the counter before.
    """

    name: str
    pictures: int
    before: float
    factor: float
    after: float
    alone: float
    chosen: tuple[str, ...]
    inside: float
    width: float
    width_before: float

    @property
    def ratio(self) -> float:
        """Error after over error before."""
        return self.after / self.before if self.before else math.nan

    @property
    def factor_ratio(self) -> float:
        """The peer's error over that before."""
        return self.factor / self.before if self.before else math.nan


@dataclass(frozen=True)
class _Counted:
    truth: float
    count: float
    low: float
    high: float

    @property
    def error(self) -> float:
        return abs(self.count - self.truth) / max(self.truth, 1.0)

    @property
    def width(self) -> float:
        return (self.high - self.low) / max(self.truth, 1.0)


def check_sets(data: Path, names: Sequence[str]) -> None:
    """See that the sets are there.

    Raises:
        LikewiseError: names those that are not.
    """
    missing = [name for name in names if not (data / name).is_dir()]
    if missing:
        raise LikewiseError(f"{data} lacks {', '.join(missing)}; expected folders {', '.join(names)}")


def measure_set(
    counter: Counter,
    data: Path,
    name: str,
    seeds: Sequence[int],
    *,
    corrected: int = 5,
    limit: int | None = None,
    seconds: float = math.inf,
    progress: Callable[[str], None] = lambda _what: None,
) -> list[AdaptationScore]:
    """The scores of one set, one for each seed.

    Args:
        counter: that is adapted.
        data: folder with the set's.
        name: of the set.
        seeds: of the draws of corrected pictures.
        corrected: how many are drawn.
        limit: only so many pictures are counted, spread over the val split.
        seconds: that each adaptation may take.
        progress: told what is being done.
    """
    train, val = CountingFolder(data / name, "train"), CountingFolder(data / name, "val")
    progress(f"{name}: before")
    chosen = _spread(len(val), limit)
    samples = [sample for sample in (val[index] for index in chosen) if len(sample.exemplars)]
    before = [_count(counter, sample, _boxes(sample)) for sample in samples]
    scores = []
    for seed in seeds:
        progress(f"{name}: adapting, seed {seed}")
        drawn = _drawn(train, corrected, seed)
        own = [_count(counter, sample, _boxes(sample)) for sample in drawn]
        factor = sum(each.truth for each in own) / max(sum(each.count for each in own), 1e-9)
        adapted = adapt(counter, [_correction(sample) for sample in drawn], seconds=seconds, seed=seed)
        progress(f"{name}: after, seed {seed}")
        after = [_count(adapted, sample, _boxes(sample)) for sample in samples]
        scores.append(
            AdaptationScore(
                name=name,
                pictures=len(samples),
                before=fmean(each.error for each in before),
                factor=fmean(abs(each.count * factor - each.truth) / max(each.truth, 1.0) for each in before),
                after=fmean(each.error for each in after),
                alone=fmean(_count(adapted, sample, ()).error for sample in samples),
                chosen=(adapted.taught.chosen if adapted.taught else "",),
                inside=fmean(math.floor(each.low) <= each.truth <= math.ceil(each.high) for each in after),
                width=fmean(each.width for each in after),
                width_before=fmean(each.width for each in before),
            )
        )
    return scores


def mean_of(scores: Sequence[AdaptationScore]) -> AdaptationScore:
    """The mean of several draws of one set."""
    return replace(
        scores[0],
        before=fmean(each.before for each in scores),
        factor=fmean(each.factor for each in scores),
        after=fmean(each.after for each in scores),
        alone=fmean(each.alone for each in scores),
        chosen=tuple(way for each in scores for way in each.chosen),
        inside=fmean(each.inside for each in scores),
        width=fmean(each.width for each in scores),
        width_before=fmean(each.width_before for each in scores),
    )


def geometric_mean(ratios: Sequence[float]) -> float:
    """Of ratios above 0.

    Example:
        >>> round(geometric_mean([0.25, 1.0]), 3)
        0.5
    """
    return math.exp(fmean(math.log(ratio) for ratio in ratios))


def _drawn(train: CountingFolder, corrected: int, seed: int) -> list[CountSample]:
    """Pictures with exemplars, drawn by a seed."""
    order = random.Random(seed).sample(range(len(train)), len(train))  # noqa: S311  # nothing is kept secret by it
    drawn: list[CountSample] = []
    for index in order:
        if len(drawn) == corrected:
            break
        if len(train.targets[index].exemplars):
            drawn.append(train[index])
    return drawn


def _correction(sample: CountSample) -> Correction:
    points = [(x, y) for x, y in sample.points.tolist()]
    return Correction(sample.image, _boxes(sample), points=points, name=sample.name)


def _boxes(sample: CountSample) -> tuple[Box, ...]:
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in sample.exemplars[:EXEMPLARS].tolist())


def _count(counter: object, sample: CountSample, boxes: Sequence[Box]) -> _Counted:
    result = counter.count(sample.image, boxes)  # type: ignore[attr-defined]  # whatever counts
    low, high = result.interval or (0.0, result.count * 100)
    return _Counted(sample.count, result.count, low, high)


def _spread(count: int, limit: int | None) -> list[int]:
    """So many places, evenly spread."""
    if limit is None or limit >= count:
        return list(range(count))
    return [index * count // limit for index in range(limit)]
