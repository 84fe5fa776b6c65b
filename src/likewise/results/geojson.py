"""Points as GeoJSON: for maps where the picture has coordinates, else in pixels, as QuPath reads objects.

Convention
----------
RFC 7946 knows longitude and latitude of WGS 84 only. Coordinates of another reference system are written with the
``crs`` member of the standard before it (2008), which GDAL and QGIS read. In QuPath's form a point is a detection with
its class and its score as a measurement, and each example is an annotation; pixels are QuPath's, whose top left one
begins at (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.results.annotations import PointAnnotations
from likewise.results.legend import Colour, kind_colours
from likewise.results.outlines import Outlines

#: Longitude and latitude of WGS 84, as they are called; these alone need no ``crs``.
WGS84 = frozenset(("EPSG:4326", "OGC:CRS84"))
#: Of what was counted, in QuPath.
COLOUR = (0, 160, 255)

Record = dict[str, Any]


def write_geojson(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write the points of one picture, or its outlines where there are some, as polygons along the edges of pixels.

    Args:
        pictures: one.
        info: is not written.
        path: of the file.

    Raises:
        LikewiseError: several pictures, whose pixels would lie upon each other.
    """
    picture, *others = pictures
    if others:
        raise LikewiseError("a GeoJSON file holds the points of one picture; write one for each")
    on_map = picture.placement.knows("crs")
    colours = kind_colours(len(picture.kinds)) if picture.beside else (COLOUR,)
    features = (
        feature
        for kind, colour in zip(picture.kinds, colours, strict=True)
        for feature in (_on_map(kind) if on_map else _in_pixels(kind, colour))
    )
    head: Record = {"type": "FeatureCollection"}
    if on_map and picture.placement.crs and picture.placement.crs not in WGS84:
        head["crs"] = {"type": "name", "properties": {"name": _urn(picture.placement.crs)}}
    with path.open("w", encoding="utf-8") as file:
        file.write(json_text(head, ascii_only=False)[:-1] + ', "features": [')
        for index, feature in enumerate(features):
            file.write(("," if index else "") + "\n" + json_text(feature, ascii_only=False))
        file.write("\n]}\n")


def _urn(crs: str) -> str:
    """A reference system as GeoJSON names it, or as it is where it has no number."""
    authority, _, code = crs.partition(":")
    return f"urn:ogc:def:crs:EPSG::{code}" if authority.upper() == "EPSG" and code.isdigit() else crs


def _in_pixels(picture: PointAnnotations, colour: Colour) -> Iterator[Record]:
    kind = {"name": picture.category, "color": list(colour)}
    for number, (x0, y0, x1, y1) in enumerate(picture.exemplars, start=1):
        ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        properties = {"objectType": "annotation", "name": f"example {number}", "classification": kind}
        yield _feature("Polygon", [[[round(v, 2) for v in corner] for corner in ring]], properties)
    if picture.outlines is not None:
        for number, outline, score in _rings(picture.outlines):
            told = {"objectType": "detection", "name": str(number), "classification": kind}
            yield _feature("Polygon", [outline.tolist()], told | {"measurements": {"score": round(score, 4)}})
        return
    for (x, y), score, by in _each(picture):
        properties = {"objectType": "detection", "classification": kind, "measurements": {"score": round(score, 4)}}
        yield _feature("Point", [round(x, 2), round(y, 2)], properties | ({"metadata": {"by": by}} if by else {}))


def _on_map(picture: PointAnnotations) -> Iterator[Record]:
    places = picture.placement.places(picture.points, "crs").tolist()
    a, b, _, d, e, _ = picture.placement.transform or (1, 0, 0, 0, 1, 0)
    digits = max(0, 3 - math.floor(math.log10(max(map(abs, (a, b, d, e))))))  # to a thousandth of a pixel
    head: Record = {"picture": picture.name, "category": picture.category}
    if picture.outlines is not None:
        for number, ring, score in _rings(picture.outlines):
            corners = [[round(v, digits) for v in corner] for corner in picture.placement.places(ring, "crs").tolist()]
            yield _feature("Polygon", [corners], head | {"label": number, "score": round(score, 4)})
        return
    for place, ((x, y), score, by) in zip(places, _each(picture), strict=True):
        properties: Record = head | {"score": round(score, 4)}
        properties |= {"x": round(x, 2), "y": round(y, 2)} | ({"by": by} if by else {})
        yield _feature("Point", [round(v, digits) for v in place], properties)


def _rings(outlines: Outlines) -> Iterator[tuple[int, NDArray[np.int64], float]]:
    """Each outline's number, its closed ring counter-clockwise where y points up, as RFC 7946 has it, and its score."""
    for number, score in zip(outlines.numbers.tolist(), outlines.scores.tolist(), strict=True):
        corners = outlines.polygon(number)
        yield number, np.concatenate([corners, corners[:1]])[::-1], score


def _each(picture: PointAnnotations) -> Iterator[tuple[list[float], float, str | None]]:
    makers = picture.by or (None,) * len(picture.points)
    return zip(picture.points.tolist(), picture.scores.tolist(), makers, strict=True)


def _feature(kind: str, coordinates: list[Any], properties: Record) -> Record:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}
