"""Points as tables, one row a point: CSV for spreadsheets, Parquet for everything larger.

Columns: picture, category, x and y in pixels and score; by (model or hand) where somebody asks; x_um and y_um in
micrometres, and easting, northing and crs, where the picture has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from likewise.errors import needs_extra
from likewise.placement import Unit
from likewise.plain_text import BOM, csv_field, name_cell, text_cell
from likewise.results.annotations import PointAnnotations, each_kind

#: What places are called in each unit.
PLACES: Mapping[Unit, tuple[str, str]] = {"px": ("x", "y"), "um": ("x_um", "y_um"), "crs": ("easting", "northing")}


def write_csv(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write a table that spreadsheets open as it is: a byte order mark comes before letters beyond ASCII.

    Columns that none of the pictures has are left out.

    Args:
        pictures: any number.
        info: is not written.
        path: of the file.
    """
    found = list(each_kind(pictures))
    units: list[Unit] = [unit for unit in PLACES if any(picture.placement.knows(unit) for picture in found)]
    told = [name for name, told in (("by", any(p.by is not None for p in found)), ("crs", "crs" in units)) if told]
    columns = ["picture", "category", *(name for unit in units or ["px"] for name in PLACES[unit]), "score", *told]
    lines = [",".join(columns), *(line for picture in found for line in _lines(picture, units, told))]
    table = "".join(line + "\r\n" for line in lines)
    path.write_bytes((b"" if table.isascii() else BOM) + table.encode())


def _lines(picture: PointAnnotations, units: list[Unit], told: list[str]) -> Iterable[str]:
    head = f"{csv_field(name_cell(picture.name))},{csv_field(text_cell(picture.category))}"
    crs = csv_field(text_cell(picture.placement.crs or ""))
    count = len(picture.points)
    cells: list[list[str]] = []
    for unit in units:
        known = picture.placement.knows(unit)
        places = picture.placement.places(picture.points, unit) if known else np.zeros((count, 2))
        form = f".{_digits(picture, unit)}f"
        cells += [[f"{v:{form}}" if known else "" for v in column] for column in places.T.tolist()]
    cells.append([f"{score:.4f}" for score in picture.scores.tolist()])
    cells += [{"by": list(picture.by or ("model",) * count), "crs": [crs] * count}[name] for name in told]
    return (f"{head}," + ",".join(row) for row in zip(*cells, strict=True))


def _digits(picture: PointAnnotations, unit: Unit) -> int:
    """Decimals that tell a hundredth of a pixel."""
    if unit == "px":
        return 2
    unit_square = picture.placement.places([(0, 0), (1, 1)], unit)
    side = float(np.abs(np.diff(unit_square, axis=0)).max()) or 1.0
    return max(0, 2 - int(np.floor(np.log10(side))))


def write_parquet(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write a Parquet file with one row group a picture and kind; all columns, empty where nothing is known.

    Args:
        pictures: any number, written one after another.
        info: of the whole, kept with the schema.
        path: of the file.

    Raises:
        LikewiseError: pyarrow is not installed.
    """
    with needs_extra("a Parquet file", "tables"):
        import pyarrow as pa
        from pyarrow import parquet
    texts = {"picture": pa.string(), "category": pa.string(), "by": pa.string(), "crs": pa.string()}
    numbers = {name: pa.float32() if unit == "px" else pa.float64() for unit, pair in PLACES.items() for name in pair}
    types = {"picture": texts["picture"], "category": texts["category"], **numbers, "score": pa.float32(), **texts}
    schema = pa.schema(list(types.items()), metadata={f"likewise.{key}": value for key, value in info.items()})
    with parquet.ParquetWriter(path, schema) as writer:
        for picture in each_kind(pictures):
            columns = _columns(picture)
            arrays = [pa.array(columns[name], kind) for name, kind in types.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _columns(picture: PointAnnotations) -> dict[str, Any]:
    """A picture's values by column; what is not known is None."""
    count, nothing = len(picture.points), [None] * len(picture.points)
    columns: dict[str, Any] = {
        "picture": [picture.name] * count,
        "category": [picture.category] * count,
        "by": nothing if picture.by is None else list(picture.by),
        "crs": [picture.placement.crs] * count,
        "score": picture.scores,
    }
    for unit, names in PLACES.items():
        known = picture.placement.knows(unit)
        places = picture.placement.places(picture.points, unit) if known else None
        columns |= {name: nothing if places is None else places[:, axis] for axis, name in enumerate(names)}
    return columns
