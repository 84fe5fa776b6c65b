"""Measures as tables, one row a thing: CSV for spreadsheets, Parquet for everything larger.

Columns: picture, category, and those of `likewise.results.measures.measure`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from likewise.errors import LikewiseError, needs_extra
from likewise.plain_text import BOM, csv_field, name_cell, text_cell
from likewise.results.annotations import PointAnnotations
from likewise.results.measures import Column, Table

#: Decimals of shares and angles, and significant digits of all else.
DECIMALS, DIGITS = {"score": 4, "circularity": 4, "x": 2, "y": 2, "orientation": 1}, 6


def write_measures_csv(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write a table that spreadsheets open as it is; a cell is empty where there is no such number.

    Args:
        pictures: any number, with outlines. Columns are those of all of them.
        info: is not written.
        path: of the file.

    Raises:
        LikewiseError: no outlines.
    """
    found = [(picture, _measured(picture)) for picture in pictures]
    columns = list(dict.fromkeys(name for _, table in found for name in table))
    lines = [",".join(["picture", "category", *(csv_field(text_cell(name)) for name in columns)])]
    for picture, table in found:
        head = f"{csv_field(name_cell(picture.name))},{csv_field(text_cell(picture.category))}"
        rows = len(table["label"])
        cells = [_cells(name, table[name]) if name in table else [""] * rows for name in columns]
        lines += [f"{head}," + ",".join(row) for row in zip(*cells, strict=True)]
    text = "".join(line + "\r\n" for line in lines)
    path.write_bytes((b"" if text.isascii() else BOM) + text.encode())


def _cells(name: str, column: Column) -> list[str]:
    if column.dtype.kind in "biu":
        return [str(int(value)) for value in column.tolist()]
    form = f".{DECIMALS[name]}f" if name in DECIMALS else f".{DIGITS}g"
    return [_plain(format(value, form)) if np.isfinite(value) else "" for value in column.tolist()]


def _plain(number: str) -> str:
    """Without an exponent, which some spreadsheets take for text."""
    return f"{float(number):.0f}" if "e+" in number else number


def write_measures_parquet(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write a Parquet file with one row group a picture; what is no number is null.

    Args:
        pictures: any number, with outlines.
        info: of the whole, kept with the schema.
        path: of the file.

    Raises:
        LikewiseError: no outlines; pyarrow is not installed.
    """
    with needs_extra("a Parquet file", "tables"):
        import pyarrow as pa
        from pyarrow import parquet
    tables = []
    for picture in pictures:
        table = _measured(picture)
        texts = {"picture": [picture.name] * len(table["label"]), "category": [picture.category] * len(table["label"])}
        numbers = {name: pa.array(_numbers(column), from_pandas=True) for name, column in table.items()}
        tables.append(pa.table({**texts, **numbers}))
    whole = pa.concat_tables(tables, promote_options="default")
    told = {f"likewise.{key}": value for key, value in info.items()}
    parquet.write_table(whole.replace_schema_metadata(told), path)


def _numbers(column: Column) -> Column:
    """Numbers, of which those that are infinite are none; a flag stays one."""
    return np.where(np.isinf(column), np.nan, column) if column.dtype.kind == "f" else column


def _measured(picture: PointAnnotations) -> Table:
    if picture.measures is None:
        raise LikewiseError("measures need outlines, and this count has none; ask for them with outlines=True")
    return picture.measures
