"""The counts of all pictures, regions or tiles: what `likewise count DIR --csv` writes, or the like from a program."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, nearest
from likewise.estimation.csv_file import CsvFile, number_in
from likewise.estimation.matching import places
from likewise.plain_text import name_of_cell, printable

Array = NDArray[np.float64]
#: Columns that name a unit, the first that there is; and those that tell parts of one picture apart.
NAMES, PARTS = ("image", "name", "picture", "file_name", "file"), ("region", "tile")
#: Columns of the table that tell how the counts were made.
ABOUT = ("model", "settings", "weights", "prompt")
#: What pictures can be grouped by without a column.
FOLDER = "folder"
YES, NO = ("true", "yes", "1"), ("false", "no", "0", "")


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of everything whose total is wanted.

    Attributes:
        names: (N,) of the pictures, regions or tiles, each once.
        counts: (N,) finite.
        spreads: (N,) half the width of each count's own interval; NaN where it is not known.
        taught: (N,) whether the model was taught by this picture, so that its count says nothing of others'.
        crossfit: (N,) the count by a model that was not taught by this picture; NaN where there is none.
        columns: every other column of the table, (N,) texts each: what `by` can name.
        about: model, settings, weights and prompt, where all counts have the same.
        source: the file, for messages.

    Raises:
        LikewiseError: a name twice, or a count that is not finite.
    """

    names: tuple[str, ...]
    counts: Array
    spreads: Array
    taught: NDArray[np.bool_]
    crossfit: Array
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    source: str = "the counts"

    def __post_init__(self) -> None:
        """Check names and counts."""
        seen: set[str] = set()
        for name, count in zip(self.names, self.counts, strict=True):
            if name in seen:
                raise LikewiseError(f"{self.source} has {printable(name)!r} twice; expected every picture once")
            if not math.isfinite(count):
                raise LikewiseError(f"{self.source}: {printable(name)}: count {count}; expected a finite number")
            seen.add(name)
        if not self.names:
            raise LikewiseError(f"{self.source} holds no counts; expected one row for every picture")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        """In a line: of what, how many, and how much."""
        return f"<Counts of {self.source}: {len(self)} with {self.counts.sum():.1f} in total>"

    def groups(self, by: str) -> tuple[str, ...]:
        """(N,) the group of each: a column of the table, or, by ``folder``, the pictures' folders.

        Raises:
            LikewiseError: there is no such column.
        """
        if by in self.columns:
            return self.columns[by]
        if by == FOLDER:
            return tuple(PurePosixPath(name.replace("\\", "/")).parent.as_posix() for name in self.names)
        raise LikewiseError(f"{self.source} has no column {by!r}{nearest(by, (*self.columns, FOLDER))}")

    def taught_by(self, names: Iterable[str]) -> Counts:
        """The same, with more pictures marked as taught.

        Raises:
            LikewiseError: one is not among these.
        """
        taught = self.taught.copy()
        taught[places(tuple(names), self.names, "taught picture", self.source)] = True
        return replace(self, taught=taught)


def read_counts(source: Any) -> Counts:
    """Counts from whatever holds them.

    Args:
        source: `Counts`; a CSV file's path; names and counts; or results of counting, or their ``to_dict``.

    Raises:
        LikewiseError: a file without the columns that are needed, a name twice, a count that is none.

    Example:
        >>> read_counts({"a.jpg": 10.5, "b.jpg": 3.0})
        <Counts of the counts: 2 with 13.5 in total>
    """
    if isinstance(source, Counts):
        return source
    if isinstance(source, (str, Path)):
        return _from_file(CsvFile.read(source))
    if isinstance(source, Mapping):
        return _plain(tuple(map(str, source)), [float(value) for value in source.values()])
    records = [each if isinstance(each, Mapping) else each.to_dict() for each in source]
    for record in records:
        if not {"image", "count"} <= set(record):
            raise LikewiseError(f"a record with {', '.join(map(str, record))}; expected image and count")
    counts = _plain(tuple(str(r["image"]) for r in records), [float(r["count"]) for r in records])
    counts.spreads[:] = [_half(r.get("low"), r.get("high")) for r in records]
    return counts


def _plain(names: tuple[str, ...], counts: list[float]) -> Counts:
    unknown = np.full(len(names), math.nan)
    return Counts(names, np.array(counts, float), unknown, np.zeros(len(names), bool), unknown.copy())


def _half(low: object, high: object) -> float:
    if low in (None, "") or high in (None, ""):
        return math.nan
    return (float(str(high)) - float(str(low))) / 2


def name_column(file: CsvFile) -> str:
    """The column that names the units.

    Raises:
        LikewiseError: there is none.
    """
    found = next((name for name in NAMES if name in file.header), None)
    if found is None:
        raise LikewiseError(
            f"{file.source} has no column that names the pictures; expected image, it has {', '.join(file.header)}"
        )
    return found


def unit_name(row: Mapping[str, str], column: str) -> str:
    """A row's unit: its picture, and which part of it."""
    parts = [row[part] for part in PARTS if row.get(part)]
    return " ".join([name_of_cell(row[column]), *parts])


def _from_file(file: CsvFile) -> Counts:
    column = name_column(file)
    if "count" not in file.header:
        raise LikewiseError(f"{file.source} has no column count; it has {', '.join(file.header)}")
    names = tuple(unit_name(row, column) for _, row in file.rows)

    def numbers(key: str, least: float = -math.inf) -> Array:
        return np.array([_number(row.get(key, ""), file.where(line), key, least) for line, row in file.rows], float)

    counts = numbers("count", 0)
    if np.isnan(counts).any():
        line, row = file.rows[int(np.flatnonzero(np.isnan(counts))[0])]
        raise LikewiseError(f"{file.where(line)}: {printable(unit_name(row, column))} has no count; expected a number")
    taught = np.array([_truth(row.get("taught", ""), file.where(line)) for line, row in file.rows], bool)
    columns = {name: tuple(row[name] for _, row in file.rows) for name in file.header if name}
    about = {key: columns[key][0] for key in ABOUT if len(set(columns.get(key, ()))) == 1}
    spreads = (numbers("high") - numbers("low")) / 2
    if (spreads < 0).any():
        line, row = file.rows[int(np.flatnonzero(spreads < 0)[0])]
        raise LikewiseError(f"{file.where(line)}: low {row['low']} is above high {row['high']}")
    return Counts(names, counts, spreads, taught, numbers("crossfit"), columns, about, file.source)


def _number(cell: str, where: str, what: str, least: float) -> float:
    return number_in(cell, where, what, least) if cell else math.nan


def _truth(cell: str, where: str) -> bool:
    if cell.lower() not in (*YES, *NO):
        raise LikewiseError(f"{where}: taught {printable(cell)!r}; expected true or false")
    return cell.lower() in YES
