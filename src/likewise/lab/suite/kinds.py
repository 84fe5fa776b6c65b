"""How well a counter tells several kinds of thing apart: pictures that show two or three, asked about at once.

Rendered scenes of two unlike kinds, and of near-twins, are of the val split and on backgrounds that no training scene
has; of blood no picture of the val split is trained on. Many red cells of blood have no box, so what is counted of them
is not compared with a truth: there they are a third kind beside the two whose truth is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any, Protocol

import numpy as np

from likewise.data.counting.folder import CountingFolder
from likewise.engine.kinds import first_exemplars
from likewise.errors import LikewiseError
from likewise.predict.prepared_image import PreparedImage
from likewise.results import CountResult, KindsResult
from likewise.scenes import SceneConfig, make_scene
from likewise.types import Box

#: Scenes of each sort, and the seed of them all: none that anything was settled on.
SCENES, SEED = 40, 2026
#: A kind has so many exemplars at most, and so many things at least.
EXEMPLARS, LEAST = 3, 4
#: Two points are of one thing where they are nearer than this share of the size of the smaller examples.
SAME = 0.4
FOLDERS = ("blood", "backgrounds", "grocery_iconic", "clothing")
RENDERED = {
    "rendered, two kinds": SceneConfig.two_kind_scenes(),
    "rendered, near-twins": SceneConfig.near_twins(),
}
#: Kinds of blood that are asked for together, those with a known truth first.
BLOOD = {
    "blood, white cells and platelets": ("white blood cells", "platelets"),
    "blood, and red cells": ("white blood cells", "platelets", "red blood cells"),
}
KNOWN = ("white blood cells", "platelets")


class CountsKinds(Protocol):
    """What is measured: a `likewise.predict.Counter`."""

    def count(self, image: Any, exemplars: Any = ..., *, negatives: Any = ...) -> Any:
        """A `CountResult`, or a `KindsResult` where exemplars are given by name."""


@dataclass(frozen=True, eq=False)
class KindsSample:
    """A picture that shows several kinds.

    Attributes:
        name: of the picture.
        image: (H, W, 3) uint8.
        exemplars: boxes of each kind.
        truth: how many there are of each kind whose truth is known.
    """

    name: str
    image: np.ndarray
    exemplars: dict[str, list[Box]]
    truth: dict[str, float]


@dataclass(frozen=True)
class KindsScore:
    """How well the kinds of one set were told apart.

    Attributes:
        name: of the set.
        pictures: how many.
        relative: mean of |count - truth| / truth over all kinds of all pictures with a known truth.
        middle: median of the same.
        apart: mean of the same where each kind was counted by itself, the others shown as negatives.
        alone: mean of the same where each was counted by itself.
        twice: share of the found points that are of the same thing as a point of another kind.
        total: mean of the sum of all kinds over the sum of the counts of each kind alone, whatever the truth.
        above: share of the pictures in which the sum is above what all examples count as those of one kind.
        inside: share of the known truths that lie in their interval.
        warned: share of the pictures with kinds that can hardly be told apart, as the result says.
    """

    name: str
    pictures: int
    relative: float
    middle: float
    apart: float
    alone: float
    twice: float
    total: float
    above: float
    inside: float
    warned: float


def sets(data: Path) -> dict[str, Callable[[int | None], Iterator[KindsSample]]]:
    """Every set by name: what gives its first so many samples, or all.

    Raises:
        LikewiseError: a folder is missing.
    """
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        raise LikewiseError(f"{data} lacks {', '.join(missing)}; the suite of kinds needs {', '.join(FOLDERS)}")
    return {
        **{name: partial(_rendered, data, config) for name, config in RENDERED.items()},
        **{name: partial(_blood, data, kinds) for name, kinds in BLOOD.items()},
    }


def measure_set(counter: CountsKinds, name: str, samples: Iterator[KindsSample]) -> KindsScore:
    """Count each picture's kinds at once, each by itself, and all as one.

    Raises:
        LikewiseError: there are no samples.
    """
    found = [_measure(counter, each) for each in samples]
    if not found:
        raise LikewiseError(f"{name}: no picture shows several kinds")
    errors = [[error for each in found for error in each.errors[way]] for way in range(3)]
    return KindsScore(
        name=name,
        pictures=len(found),
        relative=fmean(errors[0]),
        middle=median(errors[0]),
        apart=fmean(errors[1]),
        alone=fmean(errors[2]),
        twice=sum(each.twice for each in found) / max(1, sum(each.points for each in found)),
        total=fmean(each.share for each in found),
        above=fmean(each.above for each in found),
        inside=fmean(held for each in found for held in each.inside),
        warned=fmean(each.warned for each in found),
    )


@dataclass(frozen=True)
class _Measured:
    """Of one picture; the errors are those of the kinds at once, told of each other, and alone."""

    errors: tuple[list[float], list[float], list[float]]
    twice: int
    points: int
    share: float
    above: bool
    inside: list[bool]
    warned: bool


def _measure(counter: CountsKinds, sample: KindsSample) -> _Measured:
    image, shown = PreparedImage(sample.image), sample.exemplars
    together: KindsResult = counter.count(image, shown)
    apart, alone = {}, {}
    for name, boxes in shown.items():
        others = [box for other in shown if other != name for box in shown[other]]
        apart[name] = counter.count(image, boxes, negatives=others).count
        alone[name] = counter.count(image, boxes).count
    one = counter.count(image, [box for boxes in shown.values() for box in boxes]).count
    ways = ({name: each.count for name, each in together.items()}, apart, alone)
    errors = tuple([abs(way[name] - truth) / truth for name, truth in sample.truth.items()] for way in ways)
    held = [
        each.interval is not None and each.interval[0] <= truth <= each.interval[1]
        for each, truth in ((together[name], truth) for name, truth in sample.truth.items())
    ]
    points = sum(len(each.points) for each in together.values())
    share = together.total / max(sum(alone.values()), 1e-9)
    return _Measured(
        (errors[0], errors[1], errors[2]),
        doubled(together),
        points,
        share,
        together.total > one + 1e-6,
        held,
        bool(together.confusions),
    )


def doubled(result: KindsResult) -> int:
    """How many points are of the same thing as a point of another kind."""
    return sum(_near(one, [other for other in result.values() if other is not one]) for one in result.values())


def _near(one: CountResult, others: Sequence[CountResult]) -> int:
    near = np.zeros(len(one.points), dtype=bool)
    for other in others:
        sizes = [each.object_size or (0.0, 0.0) for each in (one, other)]
        reach = SAME * min(float(np.sqrt(width * height)) for width, height in sizes)
        away = np.linalg.norm(one.points[:, None] - other.points[None], axis=2)
        near |= (away < reach).any(axis=1)
    return int(near.sum())


def _rendered(data: Path, config: SceneConfig, limit: int | None) -> Iterator[KindsSample]:
    folders = (str(data / "grocery_iconic"), str(data / "clothing"))
    unseen = replace(config, seed=SEED, split="val", backgrounds=(str(data / "backgrounds"),), cutouts=folders)
    found = index = 0
    while found < min(limit or SCENES, SCENES):
        scene = make_scene(unseen, index)
        index += 1
        kinds = [name for name in scene.names if len(scene.of_kind(name)) >= LEAST]
        if len(kinds) < 2:
            continue
        found += 1
        boxes = {name: [scene.objects[i].box for i in scene.exemplars(name, EXEMPLARS)] for name in kinds}
        yield KindsSample(str(index), scene.image, boxes, {name: float(len(scene.of_kind(name))) for name in kinds})


def _blood(data: Path, kinds: Sequence[str], limit: int | None) -> Iterator[KindsSample]:
    """Pictures that show all of the kinds."""
    folder = CountingFolder(data / "blood", "val", targets="all")
    shown: dict[str, dict[str, int]] = {}
    for index, target in enumerate(folder.targets):
        shown.setdefault(target.file_name, {})[target.prompt or ""] = index
    several = [(name, held) for name, held in shown.items() if all(kind in held for kind in kinds)]
    for name, held in several[:limit]:
        samples = {kind: folder[held[kind]] for kind in kinds}
        image = next(iter(samples.values())).image.permute(1, 2, 0).numpy()
        truth = {kind: samples[kind].count for kind in kinds if kind in KNOWN}
        yield KindsSample(name, image, {kind: first_exemplars(each) for kind, each in samples.items()}, truth)
