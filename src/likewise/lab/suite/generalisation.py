"""How well a counter counts what it was never trained on: one suite of sets, always all of them, and a peer beside it.

Nothing of it is ever trained on: rendered scenes show kinds of the val split on backgrounds that no training scene has;
of marrow, adipocytes and vgg_cells no picture is trained on, of other real sets none of the val split. Every picture
is asked about with the first three of its boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from torch.utils.data import Dataset

from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.engine.count_eval import CountReport, Counts, evaluate
from likewise.errors import LikewiseError
from likewise.lab.suite.photographs import GROCERIES, FaceMosaics, Photographs
from likewise.lab.suite.template_matching import TemplateMatcher, opencv
from likewise.scenes import SceneConfig, SyntheticScenes

#: Scenes a group of rendered ones, and the seed of them all.
SCENES, SEED = 40, 2026
EXEMPLARS = 3
#: Folders the suite reads.
FOLDERS = (
    "marrow",
    "adipocytes",
    "vgg_cells",
    "nuclei",
    "blood",
    "grocery",
    "backgrounds",
    "grocery_iconic",
    "clothing",
    "red_cells",
    "orchard",
)
#: Groups of rendered scenes.
RENDERED = {
    "rendered, dense": SceneConfig(objects=(60, 600), second_share=0.0),
    "rendered, everyday": SceneConfig(objects=(1, 30), size=(20.0, 240.0)),
    "rendered, cells": SceneConfig(objects=(10, 400), settings=("slide", "glow", "stained", "thin walls")),
    "rendered, receding": SceneConfig(settings=("receding",)),
    "rendered, two kinds": SceneConfig.two_kind_scenes(),
    "rendered, near-twins": SceneConfig.near_twins(),
    "rendered, hidden": SceneConfig.hidden(),
}
#: Sets that came last; a second mean leaves them out, for comparison with what was measured before there were any.
LATER = ("rendered, hidden", "red_cells", "orchard")
Open = Callable[[], Dataset[CountSample]]


@dataclass(frozen=True)
class Score:
    """How one counter did on one set.

    Attributes:
        name: of the set.
        pictures: how many were counted.
        mean_count: mean true count.
        relative: mean of |count - truth| / truth, a fraction.
        middle: median of the same.
        mae: mean |count - truth|, objects.
        bias: mean of (count - truth) / truth: below 0 where too few are counted.
    """

    name: str
    pictures: int
    mean_count: float
    relative: float
    middle: float
    mae: float
    bias: float

    @classmethod
    def of(cls, name: str, report: CountReport) -> Score:
        """The score of a report; pictures with nothing to count have no relative error."""
        off = [(p.count - p.truth) / p.truth for p in report.per_image if p.truth] or [math.nan]
        shares = [abs(share) for share in off]
        truths = [p.truth for p in report.per_image]
        mean_count, mae = fmean(truths or [math.nan]), report.summary()["mae"]
        return cls(name, len(truths), mean_count, fmean(shares), median(shares), mae, fmean(off))

    @classmethod
    def mean(cls, scores: Sequence[Score]) -> Score:
        """The mean of several sets, each counting alike, however many pictures it has."""
        columns = [[getattr(s, key) for s in scores] for key in ("mean_count", "relative", "middle", "mae", "bias")]
        return cls("mean of the sets", sum(s.pictures for s in scores), *(fmean(column) for column in columns))


@dataclass(frozen=True)
class Suite:
    """What was measured.

    Attributes:
        scores: of the counter, one a set, their mean, and that of all pictures whatever their set.
        peer: of template matching, in the same order; empty where it was left out.
        errors: (picture, reason) of what could not be counted.
        reports: every count, by set.
    """

    scores: tuple[Score, ...]
    peer: tuple[Score, ...]
    errors: tuple[tuple[str, str], ...]
    reports: dict[str, CountReport]

    @property
    def everything(self) -> CountReport:
        """All pictures of all sets as one report."""
        return _together(self.reports, self.errors)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: ``sets``, ``peer`` and ``trust`` (of all pictures), and every count by set."""
        return {
            "sets": [vars(score) for score in self.scores],
            "peer": [vars(score) for score in self.peer],
            "trust": {k: v if math.isfinite(v) else None for k, v in self.everything.trust().items()},
            "reports": {name: report.to_dict() for name, report in self.reports.items()},
        }


def sets(data: Path) -> dict[str, Open]:
    """Every set by name, opened when it is called.

    Args:
        data: the folder with the sets `FOLDERS`.

    Raises:
        LikewiseError: one of them is missing: the suite is measured whole or not at all.
    """
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        raise LikewiseError(f"{data} lacks {', '.join(missing)}; the generalisation suite needs {', '.join(FOLDERS)}")

    def real(name: str, category: str | None = None) -> Open:
        return lambda: CountingFolder(data / name, "val", category)

    return {
        **{name: _rendered(config, data) for name, config in RENDERED.items()},
        **{name: real(name) for name in ("marrow", "adipocytes", "vgg_cells", "nuclei", "red_cells", "orchard")},
        "blood, white cells": real("blood", "white blood cells"),
        "blood, platelets": real("blood", "platelets"),
        "photographs": Photographs,
        "crates of fruit": lambda: Photographs(GROCERIES, data / "grocery"),
        "face mosaics": FaceMosaics,
    }


def run(
    counter: Counts,
    opened: dict[str, Open],
    limit: int | None = None,
    *,
    peer: Counts | None = None,
    trust: Literal["fast", "full"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Suite:
    """Count every set of a suite.

    Args:
        counter: what is measured.
        opened: the sets, from `sets`.
        limit: only so many pictures of each, the first ones.
        peer: what is measured beside it.
        trust: as `evaluate` takes it.
        progress: called with how many sets are done and how many there are.
    """
    reports: dict[str, CountReport] = {}
    theirs: dict[str, CountReport] = {}
    for done, (name, open_set) in enumerate(opened.items()):
        if progress is not None:
            progress(done, len(opened))
        pictures = open_set()
        reports[name] = evaluate(counter, pictures, limit, exemplars=EXEMPLARS, trust=trust)
        if peer is not None:
            theirs[name] = evaluate(peer, pictures, limit, exemplars=EXEMPLARS)
    errors = tuple((f"{name}: {image}", why) for name, report in reports.items() for image, why in report.errors)
    return Suite(_scores(reports), _scores(theirs), errors, reports)


def the_peer() -> TemplateMatcher | None:
    """Template matching, or None where OpenCV is not installed."""
    try:
        opencv()
    except LikewiseError:
        return None
    return TemplateMatcher()


def _rendered(config: SceneConfig, data: Path) -> Open:
    cutouts = (str(data / "grocery_iconic"), str(data / "clothing"))
    unseen = replace(config, seed=SEED, split="val", backgrounds=(str(data / "backgrounds"),), cutouts=cutouts)
    return lambda: SyntheticScenes(unseen, SCENES)


def _scores(reports: dict[str, CountReport]) -> tuple[Score, ...]:
    scores = [Score.of(name, report) for name, report in reports.items()]
    if not scores:
        return ()
    means = [Score.mean(scores)]
    if earlier := [score for score in scores if score.name not in LATER]:
        means += (
            [replace(Score.mean(earlier), name="mean without the later sets")] if len(earlier) < len(scores) else []
        )
    return (*scores, *means, Score.of("all pictures", _together(reports)))


def _together(reports: dict[str, CountReport], errors: tuple[tuple[str, str], ...] = ()) -> CountReport:
    return CountReport(tuple(p for report in reports.values() for p in report.per_image), errors)
