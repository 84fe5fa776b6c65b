"""How well a counter counts by name in real photographs: one suite of sets, none of whose pictures is trained on.

Crates of fruit are asked for by their fruit, alone and two side by side; cells by what they are; clothes in sheets of
street photographs, of which some show them. Every set is also asked for names that are not in the picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.counting.folder import CountingFolder
from likewise.data.images import read_image
from likewise.errors import LikewiseError
from likewise.lab.suite.photographs import GROCERIES
from likewise.results import CountResult
from likewise.types import Box

Picture = NDArray[np.uint8]
#: Folders the suite reads.
FOLDERS = ("grocery", "red_cells", "nuclei", "clothing")
#: Pictures a set of cells, at most.
CELLS = 15
#: A crate stands beside those that come so many after it.
BESIDE = (2, 4)
#: What is in no picture of groceries, and in none of the others.
NO_GROCERY, NO_PHOTOGRAPH = "dogs", ("strawberries", "cars")
#: Names of clothes, what the photographs' labels call them, and how many of a sheet show them.
CLOTHES = (("jeans", "jeans"), ("skirts", "skirt"), ("coats", "coat"))
SHOWN, SHEET = (2, 3, 4), (2, 3)
#: Width and height of a photograph in a sheet, and the least share of it that what it shows covers.
_SIDES, _LEAST = (256, 384), 0.02


class CountsByName(Protocol):
    """What is measured."""

    def count(self, image: Picture, *, text: str) -> CountResult:
        """What goes by a name."""


@dataclass(frozen=True, eq=False)
class NamedPicture:
    """A photograph and what is in it by name.

    Attributes:
        name: of the picture.
        image: (H, W, 3) RGB.
        truths: how many there are, by name.
        parts: where all of them lie, by name, where that is a part of the picture only.
        absent: names of what is not there.
    """

    name: str
    image: Picture
    truths: Mapping[str, int]
    absent: tuple[str, ...]
    parts: Mapping[str, Box]


@dataclass(frozen=True)
class Asked:
    """One question and its answer.

    Attributes:
        picture: its name.
        text: what was asked for.
        truth: how many there are; 0: it is not there.
        present: how many there are of everything that has a name.
        count: the answer.
        held: whether the interval holds the truth; None: the count is untrusted, or there is no interval.
        pointed: whether all examples lie in the right part; None: it is not a part only.
    """

    picture: str
    text: str
    truth: int
    present: int
    count: float
    held: bool | None
    pointed: bool | None


@dataclass(frozen=True)
class Score:
    """How a set was counted.

    Attributes:
        name: of the set.
        questions: how many named kinds that are there were asked for.
        relative: mean of |count - truth| / truth.
        middle: median of the same.
        absent: what was counted of names that are not there, as a share of all that is.
        pointed: share of the questions of two kinds whose examples are all of the right one; NaN: none are asked.
        held: share of the truths in their intervals, of the counts that have one; NaN: none has.
        untrusted: share of the counts that have none.
    """

    name: str
    questions: int
    relative: float
    middle: float
    absent: float
    pointed: float
    held: float
    untrusted: float

    @classmethod
    def of(cls, name: str, asked: Sequence[Asked]) -> Score:
        """The score of some questions."""
        there, gone = [a for a in asked if a.truth], [a for a in asked if not a.truth]
        off = [abs(a.count - a.truth) / a.truth for a in there]
        absent = sum(a.count for a in gone) / max(1, sum(a.present for a in gone))
        held = [a.held for a in there if a.held is not None]
        pointed = [a.pointed for a in there if a.pointed is not None]
        missing = 1 - len(held) / len(there)
        return cls(name, len(there), fmean(off), median(off), absent, _share(pointed), _share(held), missing)


def sets(data: Path) -> dict[str, Callable[[], Iterator[NamedPicture]]]:
    """Every set by name, read when it is called.

    Args:
        data: the folder with the sets `FOLDERS`.

    Raises:
        LikewiseError: one of them is missing.
    """
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        raise LikewiseError(f"{data} lacks {', '.join(missing)}; the names suite needs {', '.join(FOLDERS)}")
    return {
        "crates of fruit": lambda: _crates(data / "grocery"),
        "two crates": lambda: _two_crates(data / "grocery"),
        "red blood cells": lambda: _cells(data / "red_cells", "red blood cells"),
        "nuclei": lambda: _cells(data / "nuclei", "nuclei"),
        "clothes": lambda: _clothes(data / "clothing"),
    }


def run(
    counter: CountsByName,
    opened: Mapping[str, Callable[[], Iterator[NamedPicture]]],
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, tuple[Asked, ...]]:
    """Ask every question of some sets.

    Args:
        counter: what is measured.
        opened: the sets, from `sets`.
        limit: only so many pictures of each, the first ones.
        progress: called with how many sets are done and how many there are.
    """
    found: dict[str, tuple[Asked, ...]] = {}
    for done, (name, pictures) in enumerate(opened.items()):
        if progress is not None:
            progress(done, len(opened))
        every = (each for _, each in zip(range(limit or 10**9), pictures(), strict=False))
        found[name] = tuple(asked for each in every for asked in _ask(counter, each))
    return found


def scores(asked: Mapping[str, Sequence[Asked]]) -> tuple[Score, ...]:
    """One score a set, and that of all questions together."""
    everything = [each for some in asked.values() for each in some]
    return (*(Score.of(name, some) for name, some in asked.items()), Score.of("all questions", everything))


def to_dict(asked: Mapping[str, Sequence[Asked]]) -> dict[str, Any]:
    """JSON values: ``sets``, a score each, and ``questions``, by set."""
    told = [{k: None if v != v else v for k, v in vars(score).items()} for score in scores(asked)]
    return {"sets": told, "questions": {name: [vars(each) for each in some] for name, some in asked.items()}}


def _ask(counter: CountsByName, picture: NamedPicture) -> Iterator[Asked]:
    present = sum(picture.truths.values())
    for text in (*picture.truths, *picture.absent):
        truth, result = picture.truths.get(text, 0), counter.count(picture.image, text=text)
        held = None if result.interval is None else result.interval[0] <= truth <= result.interval[1]
        part = picture.parts.get(text)
        pointed = None if part is None else bool(result.found) and all(_within(box, part) for box in result.found)
        yield Asked(picture.name, text, truth, present, result.count, held, pointed)


def _within(box: Box, part: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return part[0] <= x <= part[2] and part[1] <= y <= part[3]


def _share(flags: Sequence[bool]) -> float:
    return fmean(flags) if flags else math.nan


def _counted(folder: Path) -> list[tuple[str, Picture, str, int]]:
    """The crates that were counted by eye: file, picture, name and count."""
    records = json.loads(GROCERIES.read_text(encoding="utf-8"))
    return [(r["file"], read_image(folder / r["file"]), r["things"], len(r["points"])) for r in records]


def _crates(folder: Path) -> Iterator[NamedPicture]:
    crates = _counted(folder)
    for index, (file, image, name, count) in enumerate(crates):
        others = [each for _, _, each, _ in (*crates[index:], *crates) if each != name]
        yield NamedPicture(file, image, {name: count}, (others[0], NO_GROCERY), {})


def _two_crates(folder: Path) -> Iterator[NamedPicture]:
    crates = _counted(folder)
    for further in BESIDE:
        for index, (file, left, one, first) in enumerate(crates):
            other, right, two, second = crates[(index + further) % len(crates)]
            if one == two:
                continue
            width, height = left.shape[1], left.shape[0]
            parts = {one: (0.0, 0.0, float(width), float(height))}
            parts[two] = (float(width), 0.0, float(width + right.shape[1]), float(height))
            absent = next(name for _, _, name, _ in (*crates[index + 1 :], *crates) if name not in (one, two))
            image = np.concatenate([left, right], axis=1)
            yield NamedPicture(f"{file} and {other}", image, {one: first, two: second}, (absent,), parts)


def _cells(folder: Path, name: str) -> Iterator[NamedPicture]:
    pictures = CountingFolder(folder, "val")
    for index in range(min(CELLS, len(pictures))):
        sample = pictures[index]
        image = sample.image.permute(1, 2, 0).numpy()
        yield NamedPicture(sample.name, image, {name: round(sample.count)}, (NO_PHOTOGRAPH[index % 2],), {})


def _clothes(folder: Path) -> Iterator[NamedPicture]:
    """Sheets of street photographs of the val split, of which some show a kind of clothes."""
    images = json.loads((folder / "index.json").read_text(encoding="utf-8"))["images"]
    known = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
    ids = {each["name"]: str(each["id"]) for each in known["classes"]}
    val = [each for each in images if each["split"] == "val"]
    for text, label in CLOTHES:
        shown = [e for e in val if e["class_fraction"].get(ids[label], 0) >= _LEAST]
        without = [e for e in val if ids[label] not in e["class_fraction"]]
        for index, count in enumerate(SHOWN):
            chosen = _after(shown, sum(SHOWN[:index]), count) + _after(without, 6 * index, math.prod(SHEET) - count)
            order = np.random.default_rng([2026, index]).permutation(len(chosen))
            sheet = _sheet([folder / chosen[i]["image"] for i in order])
            yield NamedPicture(f"{count} {text}", sheet, {text: count}, ("strawberries",), {})


def _after(records: Sequence[dict[str, Any]], start: int, count: int) -> list[dict[str, Any]]:
    return [records[(start + i) % len(records)] for i in range(count)]


def _sheet(files: Sequence[Path]) -> Picture:
    cells = [np.asarray(Image.fromarray(read_image(file)).resize(_SIDES)) for file in files]
    rows = [np.concatenate(cells[i : i + SHEET[1]], axis=1) for i in range(0, len(cells), SHEET[1])]
    return np.concatenate(rows, axis=0)
