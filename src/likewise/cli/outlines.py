"""Outlines that are asked for on the command line, and the table of all that they measure."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.errors import LikewiseError
from likewise.plain_text import BOM

if TYPE_CHECKING:
    from likewise.results import CountResult

#: The form that is written for each picture, the end of its name, and the name of the table of all.
FORM, SUFFIX, TABLE = "measures", "_measures.csv", "measures.csv"


@dataclass(frozen=True)
class OutlinesAsked:
    """Whether things are outlined, and which.

    Attributes:
        wanted: whether.
        border: also those that the picture's border cuts.

    Raises:
        LikewiseError: those at the border are left out of nothing.
    """

    wanted: bool = False
    border: bool = True

    def __post_init__(self) -> None:
        if not (self.wanted or self.border):
            raise LikewiseError("--no-border leaves out outlines that the border cuts; it needs --outlines")

    def __bool__(self) -> bool:
        return self.wanted

    def forms(self, formats: tuple[str, ...], folder: Path | None) -> tuple[str, ...]:
        """The forms that are asked for, and the table of measures where there is a folder for it."""
        more = self.wanted and folder is not None and FORM not in formats
        return (*formats, FORM) if more else formats

    def of(self, result: CountResult) -> CountResult:
        """A result with the outlines that are wanted."""
        return result if self.border else result.without_border()

    def settings(self) -> dict[str, Any]:
        """What results depend on, as JSON values."""
        return {"outlines": "all" if self.border else "whole"} if self.wanted else {}

    def record(self, result: CountResult) -> dict[str, Any]:
        """The things, as JSON values, a record each; what is no finite number is left out."""
        if result.outlines is None:
            return {}
        table = result.measures
        rows = zip(*(column.tolist() for column in table.values()), strict=True)
        return {"things": [{n: _short(v) for n, v in zip(table, row, strict=True) if _is_finite(v)} for row in rows]}

    def line(self, result: CountResult) -> str:
        """How many have an outline, and their median area."""
        if result.outlines is None:
            return ""
        found = len(result.outlines)
        name, unit = ("area_um2", "um2") if "area_um2" in result.measures else ("area_px", "px")
        areas = sorted(result.measures[name].tolist())
        middle = f", median area {(areas[(found - 1) // 2] + areas[found // 2]) / 2:.4g} {unit}" if found else ""
        return f", {found} outlined{middle}"


#: Where none are asked for.
NO_OUTLINES = OutlinesAsked()


def _short(value: float | bool) -> float | bool:
    return round(value, 4) if isinstance(value, float) else value


def _is_finite(value: float | bool) -> bool:
    return value == value and abs(value) != float("inf")


def gather_measures(folder: Path) -> None:
    """Put all tables of measures in a folder, and in those inside it, into one; nothing where there are none.

    A column that only some of them have is empty in the others. What is put together appears at once.
    """
    from likewise.data.images import natural

    paths = sorted(folder.rglob(f"*{SUFFIX}"), key=lambda path: natural(str(path)))
    if not paths:
        return
    columns = list(dict.fromkeys(name for path in paths for name in next(_rows(path))))
    plain = all(path.read_bytes().isascii() for path in paths)
    part = folder / f".{os.getpid()}.{TABLE}"
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            file.write("" if plain else BOM.decode())
            table = csv.DictWriter(file, columns, restval="")
            table.writeheader()
            for path in paths:
                head, *rows = _rows(path)
                table.writerows(dict(zip(head, row, strict=True)) for row in rows)
        part.replace(folder / TABLE)
    finally:
        part.unlink(missing_ok=True)


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.reader(file)
