"""Regions in GeoJSON: RFC 7946, the ``crs`` member of the standard before it, and QuPath's, which is in pixels."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, needs_extra
from likewise.placement import Placement, Unit
from likewise.regions import Polygon, Region

#: Longitude and latitude.
WGS84 = "OGC:CRS84"
#: Properties that name a feature, in any case of letters, the best first.
_NAMES = ("name", "label", "title")

Record = dict[str, Any]
#: Turns places (N, 2) of a file into pixels.
ToPixels = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def read_geojson(path: Path, placement: Placement, unit: Unit | None) -> list[Region]:
    """The polygons of a file: see `likewise.data.regions.read_regions`.

    Raises:
        LikewiseError: as there.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LikewiseError(f"{path} is no JSON: {error}") from error
    features = list(_features(held))
    if not features:
        raise LikewiseError(f"{path} holds no GeoJSON; expected a feature collection, or a list of QuPath's objects")
    try:
        to_pixels = _to_pixels(path, held, features, placement, unit)
        found = [_region(feature, number, to_pixels) for number, feature in enumerate(features, start=1)]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, LikewiseError):
            raise
        raise LikewiseError(f"{path} is damaged: a feature is not what GeoJSON says ({error})") from error
    return [region for region in found if region is not None]


def _features(held: Any) -> Iterator[Record]:
    """The features of a collection, of a list, or the one that a feature or a geometry is."""
    if isinstance(held, list):
        for each in held:
            yield from _features(each)
    elif isinstance(held, dict) and held.get("type") == "FeatureCollection":
        yield from _features(held.get("features"))
    elif isinstance(held, dict) and held.get("type") == "Feature":
        yield held
    elif isinstance(held, dict) and ("coordinates" in held or "geometries" in held):
        yield {"type": "Feature", "geometry": held}


def _region(feature: Record, number: int, to_pixels: ToPixels) -> Region | None:
    polygons = tuple(_polygons(feature.get("geometry"), to_pixels))
    return Region(_name(feature, number), polygons) if polygons else None


def _polygons(geometry: Record | None, to_pixels: ToPixels) -> Iterator[Polygon]:
    if geometry is None:
        return
    if geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _polygons(part, to_pixels)
    several = {"Polygon": [geometry.get("coordinates")], "MultiPolygon": geometry.get("coordinates")}
    for rings in several.get(geometry["type"]) or ():
        if rings:  # an empty polygon is one
            yield tuple(_ring(ring, to_pixels) for ring in rings)


def _ring(corners: list[list[float]], to_pixels: ToPixels) -> tuple[tuple[float, float], ...]:
    places = to_pixels(np.array([corner[:2] for corner in corners], np.float64))  # a third number is a height
    ends_meet = len(corners) > 1 and corners[0] == corners[-1]
    return tuple((x, y) for x, y in (places[:-1] if ends_meet else places).tolist())


def _name(feature: Record, number: int) -> str:
    properties = feature.get("properties") or {}
    folded = {str(key).lower(): value for key, value in properties.items()}
    kind = folded.get("classification")
    if isinstance(kind, dict):
        kind = kind.get("name") or ": ".join(map(str, kind.get("names") or ()))
    candidates = [*(folded.get(key) for key in _NAMES), kind, folded.get("id"), folded.get("fid")]
    named = (each for each in candidates if isinstance(each, (str, int)) and str(each).strip())
    return str(next(named, number))


def _to_pixels(path: Path, held: Any, features: list[Record], placement: Placement, unit: Unit | None) -> ToPixels:
    crs = _crs(held)
    if crs is None and unit is None:
        unit = "px"
        if placement.knows("crs") and not any("objectType" in (f.get("properties") or {}) for f in features):
            raise LikewiseError(
                f"{path} does not say what its places are, and the picture has coordinates: choose pixels (--unit px, "
                "unit='px'), or longitude and latitude (--unit crs, unit='crs')"
            )
    if crs is None and unit != "crs":
        own = unit or "px"
        return lambda places: placement.pixels(places, own)
    if not placement.knows("crs"):
        raise LikewiseError(f"{path} is in coordinates ({crs or WGS84}), and the picture does not tell where it lies")
    moved = _moved(crs or WGS84, placement.crs)
    return lambda places: placement.pixels(moved(places), "crs")


def _crs(held: Any) -> str | None:
    """The reference system that a file names, as ``AUTHORITY:CODE`` where it has those."""
    member = held.get("crs") if isinstance(held, dict) else None
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str):
        return None
    urn = re.fullmatch(r"urn:ogc:def:crs:(\w+):[\w.]*:(\w+)", name, re.IGNORECASE)
    return f"{urn[1].upper()}:{urn[2]}" if urn else name


def _moved(source: str, target: str | None) -> ToPixels:
    """What brings places of one reference system to another.

    Raises:
        LikewiseError: rasterio is not installed, or knows one of them not.
    """
    if target is None or source.upper() == target.upper():
        return lambda places: places
    with needs_extra(f"to bring regions from {source} to {target}", "geo"):
        from rasterio.crs import CRS
        from rasterio.errors import CRSError
        from rasterio.warp import transform
    try:
        start, end = CRS.from_user_input(source), CRS.from_user_input(target)
    except CRSError as error:
        raise LikewiseError(f"regions in {source} cannot be brought to {target}: {error}") from error

    def move(places: NDArray[np.float64]) -> NDArray[np.float64]:
        xs, ys = transform(start, end, places[:, 0].tolist(), places[:, 1].tolist())[:2]
        return np.stack([xs, ys], axis=1)

    return move
