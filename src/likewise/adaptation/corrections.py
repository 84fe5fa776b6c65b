"""What a person says of a picture: where everything is, what the counter got wrong, or only how many there are.

Convention
----------
Boxes are x0, y0, x1, y1 and points x, y in float pixels of the picture, the centre of its top left pixel at (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from likewise.data.counting.annotations import Record, is_number, read_annotations
from likewise.data.counting.folder import ANNOTATIONS, CountingFolder
from likewise.errors import LikewiseError
from likewise.predict.prepared_image import Picture, source_of
from likewise.types import Box, Point, Prompt

#: A point that was removed is one of the counter's if it lies within so many object sizes of it.
NEAR = 0.5
#: Where nothing says how large things are, a point that was removed lies within so many pixels.
NEAR_PIXELS = 8.0


@dataclass(frozen=True, eq=False)
class Correction:
    """A picture of which the truth is known, whole or in a part that was reviewed.

    Of ``points``, ``added`` with ``removed``, and ``count`` it has one: all the things that are there, what the
    counter's own points lack and have too many, or how many there are.

    Attributes:
        image: a path, a Pillow picture, an array or a tensor, as `likewise.Counter.count` takes it.
        exemplars: boxes round examples in it; none: it is counted by those of the other pictures.
        negatives: boxes round look-alikes that are not to be counted.
        text: name of the thing, for counters by name.
        region: polygon of (x, y) corners round what was reviewed; None: the whole picture was.
        points: one for each thing; those outside the region say nothing.
        added: things that the counter misses.
        removed: points of the counter that are no things.
        count: how many there are.
        name: for messages and for the record; empty: that of the file.

    Raises:
        LikewiseError: no truth or two; a count that is no number from 0 on; what `likewise.Prompt` refuses.

    Example:
        >>> Correction("dish.jpg", exemplars=[(81, 39, 120, 74)], count=24).kind
        'count'
    """

    image: Picture
    exemplars: Sequence[Box] = ()
    negatives: Sequence[Box] = ()
    text: str | None = None
    region: Sequence[Point] | None = None
    points: Sequence[Point] | None = None
    added: Sequence[Point] = ()
    removed: Sequence[Point] = ()
    count: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", Path(source_of(self.image) or "").name)
        try:
            prompt = self.prompt
            object.__setattr__(self, "exemplars", prompt.exemplars)
            object.__setattr__(self, "negatives", prompt.negatives)
            self._check_truth()
        except LikewiseError as error:
            raise LikewiseError(f"{self.name}: {error}" if self.name else str(error)) from error

    @property
    def prompt(self) -> Prompt:
        """What is counted in the picture, and where."""
        region = None if self.region is None else tuple(self.region)
        return Prompt(tuple(self.exemplars), tuple(self.negatives), self.text, region)

    @property
    def kind(self) -> str:
        """What was corrected: "points" or "count", with " in a region" where a part was reviewed."""
        what = "points" if self.count is None else "count"
        return what if self.region is None else f"{what} in a region"

    def _check_truth(self) -> None:
        for what, given in (("points", self.points or ()), ("added", self.added), ("removed", self.removed)):
            object.__setattr__(self, what, None if what == "points" and self.points is None else _points(what, given))
        edited = bool(len(self.added) or len(self.removed))
        truths = [self.points is not None, edited, self.count is not None]
        if sum(truths) != 1:
            said = "several" if any(truths) else "none"
            raise LikewiseError(f"expected one truth, points, added and removed, or count; got {said}")
        if self.count is not None and not (is_number(_plain(self.count)) and _plain(self.count) >= 0):
            raise LikewiseError(f"count is {self.count!r}; expected a number from 0 on")


def edited_points(
    own: NDArray[np.floating[Any]], added: Sequence[Point], removed: Sequence[Point], side: float | None
) -> NDArray[np.float64]:
    """A counter's points (N, 2) without those that were removed and with those that were added.

    Args:
        own: the counter's points.
        added: what it misses.
        removed: each stands for the nearest of its points.
        side: sqrt(width x height) of a thing, pixels; None: it is not known.

    Raises:
        LikewiseError: a removed point that is none of the counter's.
    """
    kept = np.ones(len(own), bool)
    reach = NEAR_PIXELS if side is None else NEAR * side
    for x, y in removed:
        left = np.flatnonzero(kept)
        far, nearest = cKDTree(own[left]).query((x, y)) if len(left) else (math.inf, 0)
        if far > reach:
            raise LikewiseError(
                f"the removed point ({x:g}, {y:g}) is none of the counter's: the nearest is {far:.0f} pixels away, "
                f"expected at most {reach:.0f}"
            )
        kept[left[nearest]] = False
    return np.concatenate([own[kept].astype(np.float64), np.array(added, np.float64).reshape(-1, 2)])


def read_corrections(
    folder: str | Path, split: str | None = None, category: str | None = None, limit: int | None = None
) -> tuple[list[Correction], tuple[str, ...]]:
    """The corrected pictures of a counting folder, such as the workbench's COCO export beside its pictures.

    A picture with annotations is corrected by its points, one with a ``count`` alone by that. ``region``, a list of
    corners [x, y], says which part was reviewed, ``negatives`` are boxes like ``exemplars``. Pictures that say nothing
    are left out; so are those of an export that nobody touched, unless they say ``"reviewed": true``.

    Args:
        folder: with ``annotations.json`` and the pictures, or that file.
        split: only pictures whose ``split`` this is.
        category: only this category.
        limit: only the first so many pictures.

    Returns:
        The corrections, and what is to be said about pictures that were left out.

    Raises:
        LikewiseError: as `likewise.data.counting.folder.CountingFolder` does; several kinds of things in a picture.
    """
    path = Path(folder) if Path(folder).suffix == ".json" else Path(folder) / ANNOTATIONS
    content = read_annotations(path)
    records = {image["file_name"]: image for image in content["images"]}
    pictures = CountingFolder(path, split, category)
    if len(set(pictures.names)) < len(pictures):
        kinds = ", ".join(repr(str(c.get("plural") or c["name"])) for c in content["categories"])
        raise LikewiseError(f"{path} shows several kinds of things in a picture; teach one: category = one of {kinds}")
    noted: dict[Any, list[Record]] = {}
    for note in content["annotations"]:
        noted.setdefault(note["image_id"], []).append(note)
    found: list[Correction] = []
    silent: list[str] = []
    untouched: list[str] = []
    for index, name in enumerate(pictures.names):
        record = records[name]
        notes = noted.get(record["id"], [])
        if not notes and record.get("count") is None:
            silent.append(name)
        elif _is_untouched(record, notes):
            untouched.append(name)
        elif limit is None or len(found) < limit:
            found.append(_correction(pictures, index, record))
    return found, _left_out(silent, untouched)


def _correction(pictures: CountingFolder, index: int, record: Record) -> Correction:
    target, negatives, region = pictures.targets[index], record.get("negatives") or (), record.get("region")
    boxes = [
        (x, y, x + width, y + height)
        for x, y, width, height in (each["bbox"] if isinstance(each, dict) else _never(each) for each in negatives)
    ]
    points = None if target.truth is not None else [(x, y) for x, y in target.points.tolist()]
    return Correction(
        image=pictures.path(index),
        exemplars=[(x0, y0, x1, y1) for x0, y0, x1, y1 in target.exemplars.tolist()],
        negatives=boxes,
        text=target.prompt,
        region=None if region is None else [(x, y) for x, y in region],
        points=points,
        count=target.truth,
        name=record["file_name"],
    )


def _never(each: object) -> list[float]:
    raise LikewiseError(f"a negative is {each!r:.60}; expected a record with a bbox, x, y, width and height")


def _is_untouched(record: Record, notes: Sequence[Record]) -> bool:
    """Whether a picture of an export is as a model left it."""
    predicted, count = record.get("predicted"), record.get("count")
    if predicted is None or count is None or record.get("reviewed"):
        return False
    return predicted == count and all((note.get("attributes") or {}).get("by") == "model" for note in notes)


def _left_out(silent: Sequence[str], untouched: Sequence[str]) -> tuple[str, ...]:
    said = []
    if silent:
        said.append(f"left out {_some(silent)}: neither annotations nor a count")
    if untouched:
        said.append(
            f'left out {_some(untouched)}: as the model left it, nobody corrected it ("reviewed": true takes it)'
        )
    return tuple(said)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _points(what: str, given: Sequence[Point]) -> tuple[Point, ...]:
    try:
        rows = np.asarray(given, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise LikewiseError(f"{what} is {given!r:.60}; expected a list of points, [(x, y), ...]") from error
    if not np.isfinite(rows).all():
        raise LikewiseError(f"{what} holds a point that is not finite; expected [(x, y), ...]")
    return tuple((float(x), float(y)) for x, y in rows)


def _plain(count: Any) -> Any:
    """A number of numpy or torch as Python's."""
    return count.item() if hasattr(count, "item") else count
