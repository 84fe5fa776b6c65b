"""Does a counter that is told a name count what was named? Measured on pictures that show several kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from likewise.data.counting.folder import CountingFolder
from likewise.engine.count_eval import Counts
from likewise.errors import LikewiseError

#: A count moves to the named kind when it moves by at least this share of the difference between the kinds' numbers.
MOVED = 0.5


@dataclass(frozen=True)
class Sensitivity:
    """What a counter makes of names.

    Attributes:
        pictures: how many pictures with several named kinds were asked about.
        follows: share of their pairs of kinds, of unlike number, between which the count moves in the right
            direction by at least half of the difference; NaN where there is no pair.
        nae: mean relative error of the counts of all named kinds.
        absent: counts given for a name that is nowhere in the picture, as a share of the objects that are there.
    """

    pictures: int
    follows: float
    nae: float
    absent: float

    def to_dict(self) -> dict[str, float | None]:
        """The numbers as JSON values; None where one is not finite."""
        return {k: v if math.isfinite(v) else None for k, v in vars(self).items()}


def prompt_sensitivity(
    counter: Counts,
    samples: CountingFolder,
    limit: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity | None:
    """Ask every picture that shows several kinds for each of them by name, and for one that it does not show.

    The absent name is that of the next picture whose kinds are all others. A name that the counter refuses as
    unknown counts as 0 where it is absent, and leaves the picture out where it is not.

    Args:
        counter: what counts; it must take text.
        samples: a sample for every kind in every picture (``targets="all"``); those without a name take no part.
        limit: at most this many pictures, the first ones.
        progress: called after each picture with how many are done and how many there are.

    Returns:
        None where no picture shows several named kinds.
    """
    groups = _by_picture(samples)[:limit]
    asked = [_PromptedCounts.of(counter, samples, group, _absent(groups, i)) for i, group in _counted(groups, progress)]
    known = [a for a in asked if a is not None]
    if not known:
        return None
    moves = [moved for a in known for moved in a.moves()]
    errors = [abs(c - t) / t for a in known for c, t in zip(a.counts, a.truths, strict=True) if t]
    there = sum(sum(a.truths) for a in known if a.absent is not None)
    given = sum(a.absent for a in known if a.absent is not None)
    return Sensitivity(len(known), _mean(moves), _mean(errors), given / there if there else math.nan)


@dataclass(frozen=True)
class _Group:
    """The samples of one picture, by index, and their names."""

    indices: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class _PromptedCounts:
    """A picture's counts and truths by kind, and the count of what is absent."""

    counts: tuple[float, ...]
    truths: tuple[float, ...]
    absent: float | None

    @classmethod
    def of(cls, counter: Counts, samples: CountingFolder, group: _Group, absent: str | None) -> _PromptedCounts | None:
        image = samples[group.indices[0]].image.permute(1, 2, 0).numpy()
        try:
            counts = tuple(float(counter.count(image, text=name).count) for name in group.names)
        except LikewiseError:
            return None
        truths = tuple(float(len(samples.targets[i].points)) for i in group.indices)
        return cls(counts, truths, None if absent is None else _count_or_zero(counter, image, absent))

    def moves(self) -> list[bool]:
        pairs = combinations(zip(self.counts, self.truths, strict=True), 2)
        return [(c - d) * (t - u) >= MOVED * (t - u) ** 2 for (c, t), (d, u) in pairs if t != u]


def _by_picture(samples: CountingFolder) -> list[_Group]:
    """Pictures with at least two named kinds."""
    found: dict[str, dict[int, str]] = {}
    for index, target in enumerate(samples.targets):
        if target.prompt:
            found.setdefault(target.file_name, {})[index] = target.prompt
    groups = [_Group(tuple(named), tuple(named.values())) for named in found.values()]
    return [group for group in groups if len(set(group.names)) > 1]


def _absent(groups: Sequence[_Group], at: int) -> str | None:
    """The first name of the next picture that shares none with this one."""
    for other in (*groups[at + 1 :], *groups[:at]):
        if not set(other.names) & set(groups[at].names):
            return other.names[0]
    return None


def _counted(groups: Sequence[_Group], progress: Callable[[int, int], None] | None) -> Iterator[tuple[int, _Group]]:
    for index, group in enumerate(groups):
        yield index, group
        if progress is not None:
            progress(index + 1, len(groups))


def _count_or_zero(counter: Counts, image: Any, name: str) -> float:
    try:
        return float(counter.count(image, text=name).count)
    except LikewiseError:
        return 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
