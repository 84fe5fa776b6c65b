"""Regions of pictures as other programs write them: GeoJSON, ImageJ's ROIs, and label images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from likewise.data.decoders import IMAGE_SUFFIXES
from likewise.data.regions.geojson import read_geojson
from likewise.data.regions.imagej import read_rois
from likewise.data.regions.labels import read_labels
from likewise.errors import LikewiseError
from likewise.placement import UNPLACED, Placement, Unit
from likewise.regions import Region

__all__ = ["check_region_file", "read_regions"]

_GEOJSON, _IMAGEJ = (".geojson", ".json"), (".roi", ".zip")


def read_regions(
    path: str | Path,
    placement: Placement | None = None,
    *,
    size: tuple[int, int] | None = None,
    unit: Unit | None = None,
) -> list[Region]:
    """The regions of a picture that a file holds, in pixels of the picture.

    GeoJSON (``.geojson``, ``.json``): polygons with holes and multipolygons, named by their ``name``, QuPath's class or
    their number; points and lines are left out. Where the file names its reference system, the picture has to have
    coordinates. ImageJ (``.roi``, ``.zip``): rectangles, ovals, polygons, freehand and composite ROIs. Label images
    (TIFF or PNG of 8, 16 or 32 bits): each number but 0 is a region. Names that come twice are numbered.

    Args:
        path: of the file.
        placement: where the picture lies.
        size: (width, height) of the picture, which a label image has to have; None: it is not checked.
        unit: of places in a GeoJSON file that names no reference system: pixels, micrometres, or "crs", which is
            longitude and latitude of WGS 84, as RFC 7946 has it. None: pixels, unless the picture has coordinates and
            the file is not QuPath's, for then nothing says which.

    Raises:
        LikewiseError: no such file, one of another kind, a damaged one, or one without regions; a reference system or
            a unit that the picture does not have; a label image of another size; an extra is missing.

    Example:
        >>> import json, tempfile
        >>> square = {"type": "Polygon", "coordinates": [[[2, 2], [8, 2], [8, 8], [2, 8], [2, 2]]]}
        >>> feature = {"type": "Feature", "properties": {"name": "left"}, "geometry": square}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "parts.geojson"
        ...     written = file.write_text(json.dumps(feature))
        ...     [region] = read_regions(file)
        >>> region.name
        'left'
    """
    file = Path(path)
    check_region_file(file)
    suffix = file.suffix.lower()
    if suffix in _GEOJSON:
        found = read_geojson(file, placement or UNPLACED, unit)
    else:
        found = read_rois(file) if suffix in _IMAGEJ else read_labels(file, size)
    if not found:
        raise LikewiseError(f"{file} holds no regions; expected polygons, or labels other than 0")
    return _numbered(found)


def check_region_file(path: Path) -> None:
    """See that a file is there, and that its name is one of regions.

    Raises:
        LikewiseError: it is not.
    """
    if path.suffix.lower() not in (*_GEOJSON, *_IMAGEJ, *IMAGE_SUFFIXES):
        raise LikewiseError(
            f"{path} is no file of regions; expected GeoJSON (.geojson), ImageJ's ROIs (.roi, .zip) or a label image "
            "(.tif, .png)"
        )
    if not path.is_file():
        raise LikewiseError(f"there is no file {path}")


def _numbered(regions: list[Region]) -> list[Region]:
    """The same with names that come again numbered from 2."""
    seen: Counter[str] = Counter()
    numbered = []
    for region in regions:
        seen[region.name] += 1
        again = seen[region.name]
        numbered.append(region if again == 1 else replace(region, name=f"{region.name} ({again})"))
    return numbered
