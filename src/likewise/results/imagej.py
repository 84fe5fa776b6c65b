"""Points and examples as regions of interest for ImageJ: a zip archive of ROI files.

Convention
----------
ImageJ's rectangles are in pixels whose corner is (0, 0), as here; its points say 0 for the middle of the first pixel.
Coordinates are kept as 32-bit floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from likewise.errors import LikewiseError, needs_extra
from likewise.results.annotations import PointAnnotations
from likewise.results.outlines import Outlines
from likewise.types import Box

#: From ImageJ's points to ours.
MIDDLE = 0.5


def write_rois(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    """Write the points of one picture as a multi-point ROI a kind, named by category, and its examples as rectangles.

    Where there are outlines, each is a polygon named by its number, and there is no multi-point.

    Args:
        pictures: one.
        info: is not written.
        path: of the archive.

    Raises:
        LikewiseError: several pictures; roifile is not installed.
    """
    with needs_extra("an archive of ImageJ's ROIs", "bio"):
        import roifile
    picture, *others = pictures
    if others:
        raise LikewiseError("an archive of ImageJ's ROIs holds those of one picture; write one for each")
    rois = [roi for kind in picture.kinds for roi in _things(kind)]
    for kind in picture.kinds:
        name = f"{_in_archive(kind.category)}-example" if picture.beside else "example"
        rois += [_rectangle(box, f"{name}-{number}") for number, box in enumerate(kind.exemplars, start=1)]
    roifile.roiwrite(path, rois, mode="w")


def _things(kind: PointAnnotations) -> list[Any]:
    """What was found of a kind: outlines where there are any, or points."""
    if kind.outlines is not None:
        return list(_polygons(kind.outlines))
    return [_points(kind)] if len(kind.points) else []


def _points(kind: PointAnnotations) -> Any:
    import roifile

    places = kind.points.astype(np.float32) - np.float32(MIDDLE)
    points = roifile.ImagejRoi.frompoints(places, name=_in_archive(kind.category))
    points.roitype = roifile.ROI_TYPE.POINT
    return points


def _rectangle(box: Box, name: str) -> Any:
    import roifile

    x0, y0, x1, y1 = box
    roi = roifile.ImagejRoi()
    roi.roitype, roi.name = roifile.ROI_TYPE.RECT, name
    roi.options = roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    roi.left, roi.top, roi.right, roi.bottom = math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)
    roi.xd, roi.yd, roi.widthd, roi.heightd = x0, y0, x1 - x0, y1 - y0
    return roi


def _polygons(outlines: Outlines) -> Iterator[Any]:
    """Along the edges of pixels, as ImageJ traces them."""
    import roifile

    for number in outlines.numbers.tolist():
        roi = roifile.ImagejRoi.frompoints(outlines.polygon(number).astype(np.int32), name=f"{number:05d}")
        roi.roitype = roifile.ROI_TYPE.POLYGON
        yield roi


def _in_archive(name: str) -> str:
    """A name of a file in an archive."""
    return name.replace("/", "-").replace("\\", "-")
