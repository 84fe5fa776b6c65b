"""Tables of text as people and programs write them: CSV with any usual separator, and what is wrong with one."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from likewise.errors import LikewiseError
from likewise.plain_text import BOM, csv_field, printable

SEPARATORS = (",", ";", "\t")
#: No count, probability or seed is larger.
MOST = 1e15
_COMMAS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([.,]\d{3})+")


@dataclass(frozen=True)
class CsvFile:
    """A table: its header, and its rows with the line each stands on."""

    source: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    @classmethod
    def read(cls, path: str | Path) -> CsvFile:
        """Read a file.

        Raises:
            LikewiseError: there is no such file, it is no text, it has no header, a column twice, or a row that is
                longer than the header.
        """
        file, source = Path(path), printable(path)
        if file.is_dir():
            raise LikewiseError(f"{source} is a folder; expected a CSV table")
        if not file.is_file():
            raise LikewiseError(f"{source}: no such file; expected a CSV table")
        try:
            text = file.read_bytes().removeprefix(BOM).decode()
        except UnicodeDecodeError:
            raise LikewiseError(f"{source} is no text in UTF-8; expected a CSV table, saved as 'CSV UTF-8'") from None
        first = text.partition("\n")[0]
        separator = max(SEPARATORS, key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
        if not lines:
            raise LikewiseError(f"{source} is empty; expected a CSV table with a header")
        header = tuple(cell.strip() for cell in lines[0][1])
        twice = [name for name in header if name and header.count(name) > 1]
        if twice:
            raise LikewiseError(f"{source} has two columns {twice[0]!r}; expected each once")
        rows = tuple((number, _row(source, number, header, cells)) for number, cells in lines[1:])
        return cls(source, header, rows)

    def where(self, line: int) -> str:
        """The beginning of a message about a line."""
        return f"{self.source}, line {line}"


def _row(source: str, number: int, header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise LikewiseError(f"{source}, line {number}: {len(cells)} cells under {len(header)} columns")
    padded = [*cells, *[""] * len(header)]
    return {name: cell.strip() for name, cell in zip(header, padded, strict=False)}


def number_in(cell: str, where: str, what: str, least: float = -math.inf, *, by_hand: bool = False) -> float:
    """A cell as a finite number; a decimal comma is understood.

    Args:
        cell: as written.
        where: it stands, for messages.
        what: it is, likewise.
        least: the smallest that is allowed.
        by_hand: a person wrote it, who may have meant a point, too, as one between thousands.

    Raises:
        LikewiseError: it is none, below ``least`` or beyond `MOST`, or its comma may be one between thousands.
    """
    expected = "a number" + f", {least:g} or more" * (least > -math.inf)
    if re.fullmatch(_THOUSANDS if by_hand else _COMMAS, cell):
        digits = re.sub(r"[.,]", "", cell)
        raise LikewiseError(
            f"{where}: {what} {printable(cell)} may be {digits} or a fraction; write {digits} if that is meant"
        )
    try:
        value = math.nan if "_" in cell else float(cell.replace(",", "."))
    except ValueError:
        raise LikewiseError(f"{where}: {what} {printable(cell)!r}; expected {expected}") from None
    if not math.isfinite(value) or value < least or abs(value) > MOST:
        raise LikewiseError(f"{where}: {what} {printable(cell)}; expected {expected}")
    return value


def write_rows(path: str | Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    """Write a table with commas, in UTF-8 that spreadsheets know; its folder is made where it is missing."""
    text = "".join(",".join(map(csv_field, row)) + "\r\n" for row in (header, *rows))
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(BOM * (not text.isascii()) + text.encode())
    return file
