"""The forms in which other programs read results: one table, for Python, the command line and the workbench.

To add one, write a function that takes what was found in pictures (`likewise.results.annotations`) and gives a file's
text, and enter it in `FORMATS`: `CountResult.save`, ``likewise count --format`` and the workbench's exports then offer
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likewise.errors import LikewiseError, nearest
from likewise.json_text import json_text
from likewise.results.annotations import MaskAnnotation, PointAnnotations
from likewise.results.coco import masks_dataset, points_dataset
from likewise.types import Task


@dataclass(frozen=True)
class Format:
    """A form of results.

    Attributes:
        title: what it is called, and after a colon what it holds, for people.
        file: name of a file with what was found in many pictures.
        media_type: as HTTP calls it.
        write: gives a file's text, of what was found in pictures, and of what is said of the whole, such as its
            description and date (nothing of a single picture).
    """

    title: str
    file: str
    media_type: str
    write: Callable[[Iterable[Any], Mapping[str, str]], str]


def _coco_points(pictures: Iterable[PointAnnotations], info: Mapping[str, str]) -> str:
    return _coco(points_dataset(pictures), info)


def _coco_masks(pictures: Iterable[MaskAnnotation], info: Mapping[str, str]) -> str:
    return _coco(masks_dataset(pictures, compressed=True), info)


def _coco(dataset: dict[str, Any], info: Mapping[str, str]) -> str:
    head = {"info": dict(info), "licenses": []} if info else {}
    return json_text(head | dataset, ascii_only=False, indent=1)


#: What results of each task are written as, by name.
FORMATS: Mapping[Task, Mapping[str, Format]] = {
    "count": {"coco": Format("COCO: the points, as JSON", "annotations.json", "application/json", _coco_points)},
    "segment": {"coco": Format("COCO: the masks, as JSON", "annotations.json", "application/json", _coco_masks)},
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
    return f"_{name}{Path(format_of(task, name).file).suffix}"
