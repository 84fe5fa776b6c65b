"""Points as a layer of a GeoPackage, for maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, needs_extra
from likewise.placement import Floats
from likewise.results.annotations import PointAnnotations, each_kind

#: A point in well-known binary, little-endian.
_WKB = np.dtype([("order", "u1"), ("kind", "<u4"), ("place", "<f8", 2)])


def write_geopackage(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write the points of pictures with one reference system as the layer ``points``.

    Args:
        pictures: with coordinates; at least one.
        info: of the whole, kept as the layer's metadata.
        path: of the file.

    Raises:
        LikewiseError: a picture without coordinates, or with another reference system than the first; GDAL cannot
            write, or what it needs is not installed.
    """
    with needs_extra("a GeoPackage", "geo"):
        from pyogrio import raw
        from pyogrio.errors import CRSError, DataSourceError
    found = list(each_kind(pictures))
    systems = {picture.placement.crs if picture.placement.knows("crs") else None for picture in found}
    if len(systems) != 1 or None in systems:
        raise LikewiseError(
            "a GeoPackage holds points of pictures that have coordinates in one reference system; for others, write "
            "geojson or a table (points, parquet)"
        )
    columns = {
        "picture": _repeated(found, lambda picture: picture.name),
        "category": _repeated(found, lambda picture: picture.category),
        "by": np.array([by for p in found for by in p.by or ("model",) * len(p.points)], dtype=object),
        "score": np.concatenate([p.scores.astype(np.float64) for p in found]),
        "x": np.concatenate([p.points[:, 0].astype(np.float64) for p in found]),
        "y": np.concatenate([p.points[:, 1].astype(np.float64) for p in found]),
    }
    places = np.concatenate([p.placement.places(p.points, "crs") for p in found])
    path.unlink(missing_ok=True)  # GDAL would add to it
    try:
        raw.write(
            path,
            geometry=_points_wkb(places),
            field_data=list(columns.values()),
            fields=list(columns),
            layer="points",
            driver="GPKG",
            geometry_type="Point",
            crs=found[0].placement.crs,
            layer_metadata=dict(info) or None,
        )
    except (CRSError, DataSourceError) as error:
        raise LikewiseError(f"{path}: GDAL cannot write it: {error}") from error


def _points_wkb(places: Floats) -> NDArray[np.object_]:
    """Points (N, 2) as well-known binary, (N,) bytes."""
    records = np.zeros(len(places), _WKB)
    records["order"], records["kind"], records["place"] = 1, 1, places
    held = records.tobytes()
    parts = [held[at : at + _WKB.itemsize] for at in range(0, len(held), _WKB.itemsize)]
    return np.array(parts, dtype=object)


def _repeated(pictures: list[PointAnnotations], value: Any) -> NDArray[np.object_]:
    """A picture's value at each of its points."""
    return np.array([value(picture) for picture in pictures for _ in range(len(picture.points))], dtype=object)
