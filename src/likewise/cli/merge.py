"""``likewise merge``: one table of what many machines found."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likewise.cli.listing import SortedTexts
from likewise.cli.lock import locked
from likewise.cli.shard import shard_in
from likewise.cli.terminal import say, tell
from likewise.cli.writable import check_file
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.plain_text import BOM, csv_field, name_cell, name_of_cell, printable

_END = b"\r\n"
#: What two runs over the same picture need not agree on.
_OWN = ("image", "seconds")


def merge(
    *tables: str,
    output: Annotated[Path, Parameter(name=("--output", "-o"), metavar="FILE")],
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Put the tables of shards together, in natural order of the files.

    A picture that is in several tables with the same values is taken once; with different values, nothing is written.
    The same holds for tables of other columns, or made with other settings. Shards of which there is no table are
    named.

    Args:
        tables: CSV or Parquet files, or globs.
        output: The table, CSV or, by its suffix, Parquet.
        overwrite: Write it even if there is one.

    Returns:
        Exit code: 1 when a shard's table is missing, or lines were not whole; what is there is merged.
    """
    check_file("-o", output)
    found = [_opened(path) for path in _expand(tables)]
    if output.exists() and not overwrite:
        raise LikewiseError(f"{printable(output)} is there already; name another file, or give --overwrite")
    for each in found[1:]:
        if each.columns != found[0].columns:
            raise LikewiseError(
                f"{each.path} has columns {','.join(each.columns)}; expected those of {found[0].path}: "
                f"{','.join(found[0].columns)}"
            )
    with locked(output):
        rows = _Rows(found, Path(os.path.realpath(output)).parent)
        _write(output, rows, found[0].columns)
    missing = _missing(found)
    for line in (*rows.damaged, *missing):
        tell(line)
    say(f"{output}: {rows.number} rows of {len(found)} table{'s' * (len(found) > 1)}")
    return 1 if rows.damaged or missing else 0


@dataclass(frozen=True)
class _Table:
    path: Path
    columns: tuple[str, ...]

    def rows(self, damaged: list[str]) -> Iterator[dict[str, str]]:
        """Its rows; lines that are not whole are told."""
        if self.path.suffix == ".parquet":
            from likewise.cli.parquet import read_rows

            yield from (dict(zip(self.columns, row, strict=True)) for row in read_rows(self.path))
            return
        with self.path.open("rb") as file:
            lines = iter(file)
            next(lines)
            for number, line in enumerate(lines, 2):
                cells = _cells(line)
                if line.strip() and len(cells) != len(self.columns):
                    damaged.append(f"{self.path}:{number}: not whole, left out; run its shard again")
                elif cells:
                    yield dict(zip(self.columns, cells, strict=True))


class _Rows:
    """All rows, each as a line of JSON, which are sorted through the disk.

    Attributes:
        damaged: what is to be said of lines that are not whole.
        ascii: whether all of it is.
        number: of the rows that were written so far.

    Raises:
        LikewiseError: rows were made with different settings.
    """

    def __init__(self, tables: Sequence[_Table], folder: Path) -> None:
        self._folder = folder
        self._settings: dict[str, Path] = {}
        self.damaged: list[str] = []
        self.ascii = True
        self.number = 0
        self._sorted = SortedTexts((line for table in tables for line in self._lines(table)), _order)

    def merged(self) -> Iterator[list[str]]:
        """A row a file, in natural order.

        Raises:
            LikewiseError: there are two of one file with different values.
        """
        for file, same in groupby(map(json.loads, self._sorted), key=lambda held: str(held[0])):
            (_, source, first), *others = same
            for _, other, row in others:
                if unlike := [
                    name
                    for name, a, b in zip(first, first.values(), row.values(), strict=True)
                    if name not in _OWN and not _same(a, b)
                ]:
                    raise LikewiseError(
                        f"{printable(file)} has different rows in {source} and {other}: "
                        + ", ".join(f"{name} {first[name]!r} and {row[name]!r}" for name in unlike)
                    )
            self.number += 1
            yield list(first.values())

    def _lines(self, table: _Table) -> Iterator[str]:
        for row in table.rows(self.damaged):
            self._settings.setdefault(row["settings"], table.path)
            if len(self._settings) > 1:
                first = next(iter(self._settings.values()))
                raise LikewiseError(
                    f"{table.path} holds results of another prompt, model or version than {first} "
                    f"(settings {' and '.join(self._settings)})"
                )
            file = self._rebased(name_of_cell(row["file"]), table.path)
            self.ascii = self.ascii and all(map(str.isascii, row.values()))
            yield json_text([file, str(table.path), row | {"file": name_cell(file)}])

    def _rebased(self, file: str, table: Path) -> str:
        """A file as seen from the merged table's folder."""
        if "://" in file or Path(file).is_absolute():
            return file
        there = Path(os.path.realpath(table)).parent
        if there == self._folder:
            return file
        return Path(os.path.relpath(os.path.normpath(there / file), self._folder)).as_posix()


def _expand(texts: Sequence[str]) -> list[Path]:
    from likewise.data.images import natural

    paths: dict[Path, None] = {}
    for text in texts:
        matches = [text] if Path(text).exists() or not glob.has_magic(text) else glob.glob(text)  # noqa: PTH207
        if not matches:
            raise LikewiseError(f"{text} matches no file")
        paths.update(dict.fromkeys(map(Path, sorted(matches, key=natural))))
    if not paths:
        raise LikewiseError("no tables; expected files or globs, such as: likewise merge 'out/counts.shard-*.csv'")
    return list(paths)


def _opened(path: Path) -> _Table:
    """A table whose columns are those of results.

    Raises:
        LikewiseError: there is no such file, or it is another table.
    """
    if not path.is_file():
        raise LikewiseError(f"no such file: {printable(path)}")
    if path.suffix == ".parquet":
        from likewise.cli.parquet import columns_of

        columns = columns_of(path)
    else:
        with path.open("rb") as file:
            columns = tuple(_cells(file.readline().removeprefix(BOM)))
    if not {"image", "settings", "file", "stamp"} <= set(columns):
        raise LikewiseError(
            f"{printable(path)} is no table of results; expected columns image, ..., settings, file, stamp"
        )
    return _Table(path, columns)


def _cells(line: bytes) -> list[str]:
    """The cells of a line; none where it is not whole."""
    try:
        return next(csv.reader(io.StringIO(line.decode().rstrip("\r\n"), newline=""), strict=True), [])
    except (ValueError, csv.Error):
        return []


def _order(line: str) -> object:
    from likewise.data.images import natural

    file, source, _ = json.loads(line)
    return natural(file), natural(source)


def _same(one: str, other: str) -> bool:
    """Whether two cells say the same, as texts or as numbers."""
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False


def _missing(tables: Sequence[_Table]) -> list[str]:
    """What is to be said of shards that are not there, if these are tables of shards."""
    there = [shard for table in tables if (shard := shard_in(table.path.name))]
    said = []
    for of in sorted({shard.of for shard in there}):
        left = sorted(set(range(1, of + 1)) - {shard.number for shard in there if shard.of == of})
        if left:
            said.append(
                f"no table of shard {', '.join(map(str, left))} of {of}; run --shard {left[0]}/{of}, then merge again"
            )
    return said


def _write(path: Path, rows: _Rows, columns: Sequence[str]) -> None:
    """Write the table beside its place, and put it there when it is whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".parquet":
            from likewise.cli.parquet import write_rows

            write_rows(part, rows.merged(), columns)
        else:
            with part.open("wb") as file:  # in the form of the runs' own tables: a later run goes on with it
                file.write(BOM * (not rows.ascii) + ",".join(columns).encode() + _END)
                file.writelines(",".join(map(csv_field, row)).encode() + _END for row in rows.merged())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
