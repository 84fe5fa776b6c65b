"""Tables of results as Parquet, where pyarrow is installed: the columns of the CSV files, numbers as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from likewise.errors import LikewiseError

#: Columns that hold numbers, and whether they are whole.
_NUMBERS = {
    **dict.fromkeys(("count", "low", "high", "seconds", "area", "probability"), "float64"),
    **dict.fromkeys(("points", "parts", "bytes", "modified"), "int64"),
}
_ROWS = 10_000


def pyarrow() -> Any:
    """The package.

    Raises:
        LikewiseError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise LikewiseError('Parquet needs pyarrow: pip install "likewise[scale]"') from None
    return pyarrow


def schema(columns: Sequence[str]) -> Any:
    """Of a table with these columns."""
    arrow = pyarrow()
    return arrow.schema([(name, getattr(arrow, _type(name) or "string")()) for name in columns])


def as_table(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> Any:
    """Rows as a table of Arrow; an empty cell of a number is none."""
    return pyarrow().Table.from_pylist(
        [{name: _value(name, row[name]) for name in columns} for row in rows], schema(columns)
    )


def columns_of(path: Path) -> tuple[str, ...]:
    """The columns of a file.

    Raises:
        LikewiseError: it is no Parquet file.
    """
    arrow = pyarrow()
    try:
        return tuple(arrow.parquet.read_schema(path).names)
    except (arrow.ArrowException, OSError) as error:
        raise LikewiseError(f"{path} cannot be read as Parquet: {error}") from error


def read_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a file, as cells of a CSV file."""
    with pyarrow().parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS):
            for row in batch.to_pylist():
                yield ["" if value is None else str(value) for value in row.values()]


def write_rows(path: Path, rows: Iterable[Sequence[str]], columns: Sequence[str]) -> None:
    """Write cells of a CSV file as a Parquet file, so many at a time."""
    named = (dict(zip(columns, row, strict=True)) for row in rows)
    with pyarrow().parquet.ParquetWriter(path, schema(columns), compression="zstd") as file:
        while held := list(islice(named, _ROWS)):
            file.write_table(as_table(held, columns))


def _type(name: str) -> str | None:
    """That of a column of numbers, such as count, or count_red of one kind of several; None: it holds text."""
    return _NUMBERS.get(name) or _NUMBERS.get(name.partition("_")[0])


def _value(name: str, value: object) -> object:
    kind = _type(name)
    if kind is None:
        return value if value is None else str(value)
    if value in ("", None):
        return None
    return int(str(value)) if kind == "int64" else float(str(value))
