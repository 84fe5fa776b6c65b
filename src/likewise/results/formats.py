"""The forms in which other programs read results: one table, for Python, the command line and the workbench.

To add one, write a function that takes what was found in pictures (`likewise.results.annotations`) and writes a file,
and enter it in `FORMATS`: `CountResult.save`, ``likewise count --format`` and the workbench's exports then offer it.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from likewise.errors import LikewiseError, nearest
from likewise.json_text import json_text
from likewise.results.annotations import MaskAnnotation, PointAnnotations
from likewise.results.coco import masks_dataset, points_dataset
from likewise.results.detector_boxes import write_voc, write_yolo
from likewise.results.geojson import write_geojson
from likewise.results.geopackage import write_geopackage
from likewise.results.imagej import write_rois
from likewise.results.label_image import write_labels
from likewise.results.measure_tables import write_measures_csv, write_measures_parquet
from likewise.results.point_tables import write_csv, write_parquet
from likewise.results.rasters import write_geotiff, write_ome_zarr
from likewise.types import Task


@dataclass(frozen=True)
class Format:
    """A form of results.

    Attributes:
        title: what it is called, and after a colon what it holds, for people.
        file: name of a file with what was found in many pictures.
        media_type: of that, as HTTP calls it.
        suffix: what stands behind a picture's name in the file, or folder, that holds its result.
        write: writes a file, or folder, from what was found in pictures and what is said of the whole, such as its
            description and date (nothing of a single picture). What is there already is replaced.
        apart: whether each picture has a file of its own; ``file`` is an archive of those.
        needs: what not everything that was found has: the picture's coordinates, a density, or outlines.
    """

    title: str
    file: str
    media_type: str
    suffix: str
    write: Callable[[Iterable[Any], Mapping[str, str], Path], None]
    apart: bool = False
    needs: Literal["", "coordinates", "density", "outlines"] = ""


def _coco_points(pictures: Iterable[PointAnnotations], info: Mapping[str, str], path: Path) -> None:
    _coco(points_dataset(pictures), info, path)


def _coco_masks(pictures: Iterable[MaskAnnotation], info: Mapping[str, str], path: Path) -> None:
    _coco(masks_dataset(pictures, compressed=True), info, path)


def _coco(dataset: dict[str, Any], info: Mapping[str, str], path: Path) -> None:
    head = {"info": dict(info), "licenses": []} if info else {}
    path.write_text(json_text(head | dataset, ascii_only=False, indent=1), encoding="utf-8")


_JSON, _ZIP, _ANY = "application/json", "application/zip", "application/octet-stream"

#: What results of each task are written as, by name.
FORMATS: Mapping[Task, Mapping[str, Format]] = {
    "count": {
        "coco": Format("COCO: the points, as JSON", "annotations.json", _JSON, "_coco.json", _coco_points),
        "points": Format("Points: a table with a row a point", "points.csv", "text/csv", "_points.csv", write_csv),
        "parquet": Format(
            "Parquet: a table with a row a point", "points.parquet", _ANY, "_points.parquet", write_parquet
        ),
        "geojson": Format(
            "GeoJSON: the points, for QuPath, or for maps where pictures have coordinates",
            "likewise-geojson.zip",
            _ZIP,
            "_points.geojson",
            write_geojson,
            apart=True,
        ),
        "gpkg": Format(
            "GeoPackage: the points, for maps",
            "points.gpkg",
            "application/geopackage+sqlite3",
            "_points.gpkg",
            write_geopackage,
            needs="coordinates",
        ),
        "imagej": Format(
            "ImageJ: the points and examples, as ROIs", "likewise-rois.zip", _ZIP, "_rois.zip", write_rois, apart=True
        ),
        "ome-zarr": Format(
            "OME-Zarr: the density, for microscopy",
            "likewise-densities.zip",
            _ZIP,
            "_density.ome.zarr",
            write_ome_zarr,
            apart=True,
            needs="density",
        ),
        "geotiff": Format(
            "GeoTIFF: the density, for maps",
            "likewise-densities.zip",
            _ZIP,
            "_density.tif",
            write_geotiff,
            apart=True,
            needs="density",
        ),
        "measures": Format(
            "Measures: a table with a row a thing",
            "measures.csv",
            "text/csv",
            "_measures.csv",
            write_measures_csv,
            needs="outlines",
        ),
        "measures-parquet": Format(
            "Measures as Parquet: a table with a row a thing",
            "measures.parquet",
            _ANY,
            "_measures.parquet",
            write_measures_parquet,
            needs="outlines",
        ),
        "labels": Format(
            "Labels: the outlines, as a TIFF of their numbers",
            "likewise-labels.zip",
            _ZIP,
            "_labels.tif",
            write_labels,
            apart=True,
            needs="outlines",
        ),
        "yolo": Format(
            "YOLO: the boxes, for training a detector",
            "likewise-yolo.zip",
            _ZIP,
            "_yolo.txt",
            write_yolo,
            apart=True,
            needs="outlines",
        ),
        "voc": Format(
            "VOC: the boxes, as XML, for training a detector",
            "likewise-voc.zip",
            _ZIP,
            "_voc.xml",
            write_voc,
            apart=True,
            needs="outlines",
        ),
    },
    "segment": {
        "coco": Format("COCO: the masks, as JSON", "annotations.json", _JSON, "_coco.json", _coco_masks),
    },
    "recognize": {},
}


def format_of(task: Task, name: str) -> Format:
    """A form of a task's results, by its name.

    Raises:
        LikewiseError: there is none of that name.

    Example:
        >>> format_of("count", "coco").file
        'annotations.json'
    """
    if name not in FORMATS[task]:
        instead = nearest(name, FORMATS[task]) or "; export a table (CSV)"
        raise LikewiseError(f"there is no form {name!r} of what it takes to {task}{instead}")
    return FORMATS[task][name]


def format_suffix(task: Task, name: str) -> str:
    """What stands behind a picture's name in the file that holds its result in a form, such as ``_coco.json``.

    Raises:
        LikewiseError: there is no such form.
    """
    return format_of(task, name).suffix


def written(task: Task, names: Sequence[str], annotations: Any) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """What was found in one picture, in forms: for each what stands behind the picture's name, and what writes it.

    Raises:
        LikewiseError: there is no such form; before anything is written.
    """
    forms = [format_of(task, name) for name in names]
    return ((form.suffix, partial(form.write, [annotations], {})) for form in forms)


def write_many(form: Format, pictures: Iterable[Any], info: Mapping[str, str], path: Path) -> None:
    """Write what was found in many pictures as one file: where each has its own, as an archive of those.

    Args:
        form: of the file.
        pictures: what was found, each with the ``name`` of its picture.
        info: what is said of the whole.
        path: of the file.

    Raises:
        LikewiseError: as ``form.write`` does.
    """
    if not form.apart:
        form.write(pictures, info, path)
        return
    taken: set[str] = set()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            name = _free(Path(picture.name).stem + form.suffix, taken)
            part = Path(folder) / str(number) / f"part{form.suffix}"
            part.parent.mkdir()
            form.write([picture], info, part)
            for file in sorted(part.rglob("*") if part.is_dir() else [part]):
                if file.is_file():
                    archive.write(file, Path(name, file.relative_to(part)) if part.is_dir() else name)
                    file.unlink()


def _free(name: str, taken: set[str]) -> str:
    """A name for a file in an archive that none has yet, whatever the picture is called; it is taken then."""
    safe = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name)
    free = next(
        each for each in (safe, *(f"{number}-{safe}" for number in range(2, len(taken) + 3))) if each not in taken
    )
    taken.add(free)
    return free
