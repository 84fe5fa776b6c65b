"""Regions as ImageJ keeps them: a ROI file, or a zip archive of some; in pixels, whose corner is (0, 0)."""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from likewise.errors import LikewiseError, needs_extra
from likewise.regions import Polygon, Region, Ring

#: Corners of the polygon that stands for an oval, and how much wider it is, so that it has the oval's area.
CORNERS = 180
WIDER = math.sqrt(2 * math.pi / CORNERS / math.sin(2 * math.pi / CORNERS))


def read_rois(path: Path) -> list[Region]:
    """The ROIs that have an area; points and lines are left out.

    Raises:
        LikewiseError: a damaged file; roifile is not installed.
    """
    with needs_extra("reading ImageJ's ROIs", "bio"):
        import roifile
    try:
        read = roifile.roiread(path)
        rois = read if isinstance(read, list) else [read]
        found = [(roi.name or f"ROI {number}", _polygon(roi)) for number, roi in enumerate(rois, start=1)]
    except (ValueError, TypeError, OSError, struct.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise LikewiseError(f"{path} cannot be read as ImageJ's ROIs: {error}") from error
    return [Region(name, (polygon,)) for name, polygon in found if polygon]


def _polygon(roi: Any) -> Polygon:
    """The rings of a ROI; none where it has no area."""
    kind = roi.roitype.name
    if roi.composite:
        return tuple(ring for part in roi.coordinates(multi=True) if len(ring := _ring(part)) >= 3)
    if kind in ("RECT", "OVAL"):
        return (_rectangle(roi) if kind == "RECT" else _oval(roi),)
    if kind in ("POLYGON", "FREEHAND", "TRACED"):
        ring = _ring(roi.coordinates())
        return (ring,) if len(ring) >= 3 else ()
    return ()


def _ring(corners: Any) -> Ring:
    points = [(float(x), float(y)) for x, y in np.asarray(corners)]
    return tuple(points[:-1] if len(points) > 1 and points[0] == points[-1] else points)


def _sides(roi: Any) -> tuple[float, float, float, float]:
    if roi.subpixelrect:
        return roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    return roi.left, roi.top, roi.right, roi.bottom


def _rectangle(roi: Any) -> Ring:
    x0, y0, x1, y1 = _sides(roi)
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def _oval(roi: Any) -> Ring:
    x0, y0, x1, y1 = _sides(roi)
    angles = np.arange(CORNERS) * 2 * math.pi / CORNERS
    x = (x0 + x1) / 2 + WIDER * (x1 - x0) / 2 * np.cos(angles)
    y = (y0 + y1) / 2 + WIDER * (y1 - y0) / 2 * np.sin(angles)
    return tuple(zip(x.tolist(), y.tolist(), strict=True))
