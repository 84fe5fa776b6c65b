"""Reading ``annotations.json``: every record in it is used, or the first that cannot be is named.

What belongs together is joined by ids, compared as what they are: the text "1" is not the number 1. A record that
belongs to nothing, two records with one id, a number written as text: each would give a wrong truth without a word, so
each is an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from likewise.errors import LikewiseError, nearest

Record = dict[str, Any]


def read_annotations(path: Path) -> Record:
    """The lists ``images``, ``annotations`` (without crowds) and ``categories`` of a file, checked.

    Raises:
        LikewiseError: the file is missing or not JSON; a list or a record is not as it should be; ids that are there
            twice, or belong to nothing.
    """
    content = _loaded(path)
    images = _records(content, "images", ("id", "file_name"), path, required=True)
    annotations = _records(content, "annotations", ("image_id",), path)
    categories = _records(content, "categories", ("id", "name"), path)
    _check_unique(images, "id", "images", path)
    _check_unique(images, "file_name", "images", path)
    _check_unique(categories, "id", "categories", path)
    _check_images(images, {c["id"] for c in categories}, path)
    _check_joined(annotations, "image_id", [i["id"] for i in images], "image", path)
    if categories:
        _check_joined(annotations, "category_id", [c["id"] for c in categories], "category", path)
    else:
        _check_one_kind(annotations, "category_id", path)
    for index, note in enumerate(annotations):
        where = f"{path}: annotations[{index}]"
        _check_in(note, "iscrowd", (0, 1, None), where)
        _check_number(note, "visible", where)
        if note.get("id") is not None:
            _check_id(note["id"], "id", where)
    single = [{k: v for k, v in note.items() if v is not None} for note in annotations if not note.get("iscrowd")]
    return {"images": images, "annotations": single, "categories": categories}


def is_number(value: object) -> bool:
    """Whether a value of JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _loaded(path: Path) -> Any:
    if not path.is_file():
        there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else None
        if there is None:
            raise LikewiseError(f"no such folder: {path.parent}{_neighbour(path.parent)}")
        raise LikewiseError(f"{path.parent} has no {path.name}{nearest(path.name, there)}")
    try:
        return json.loads(path.read_bytes())  # of UTF-8, 16 or 32, with a byte order mark or without
    except (ValueError, RecursionError) as error:
        raise LikewiseError(f"{path} is not JSON: {error}") from error


def _neighbour(folder: Path) -> str:
    return nearest(folder.name, [p.name for p in folder.parent.iterdir()]) if folder.parent.is_dir() else ""


def _records(content: Any, key: str, fields: tuple[str, ...], path: Path, *, required: bool = False) -> list[Record]:
    records = content.get(key) if isinstance(content, dict) else None
    if records is None and not required:
        return []
    if not isinstance(records, list):
        raise LikewiseError(f"{path} has no list {key!r}; expected a COCO-style file with images and annotations")
    for index, record in enumerate(records):
        missing = [f for f in fields if not isinstance(record, dict) or f not in record]
        if missing:
            raise LikewiseError(f"{path}: {key}[{index}] has no {' and no '.join(map(repr, missing))}")
        for field in fields:
            _check_id(record[field], field, f"{path}: {key}[{index}]")
    return records


def _check_id(value: object, field: str, where: str) -> None:
    good = isinstance(value, str) or (field not in ("file_name", "name") and is_number(value))
    if not good:
        raise LikewiseError(f"{where}: {field} is {value!r}; expected {_of_kind(field)}")


def _of_kind(field: str) -> str:
    return "a text" if field in ("file_name", "name") else "a number or a text"


def _check_unique(records: Sequence[Record], field: str, key: str, path: Path) -> None:
    first: dict[Any, int] = {}
    for index, record in enumerate(records):
        before = first.setdefault(record[field], index)
        if before != index:
            raise LikewiseError(
                f"{path}: {key}[{before}] and {key}[{index}] both have {field} {record[field]!r}; expected one record "
                "for each"
            )


def _check_one_kind(records: Sequence[Record], field: str, path: Path) -> None:
    """See that ids which no list explains are all numbers or all texts: "1" and 1 may be one category or two."""
    texts: dict[bool, int] = {}
    for index, value in ((i, r[field]) for i, r in enumerate(records) if r.get(field) is not None):
        _check_id(value, field, f"{path}: annotations[{index}]")
        texts.setdefault(isinstance(value, str), index)
    if len(texts) > 1:
        here, there = (f"annotations[{texts[kind]}] has {records[texts[kind]][field]!r}" for kind in (True, False))
        raise LikewiseError(f"{path}: {here} for {field}, {there}; expected numbers or texts, not both")


def _check_joined(records: Sequence[Record], field: str, known: Collection[Any], what: str, path: Path) -> None:
    """See that what records belong to is there."""
    ids = set(known)
    lost = []
    for index, record in enumerate(records):
        value = record.get(field)
        if value is not None:
            _check_id(value, field, f"{path}: annotations[{index}]")
            if value not in ids:
                lost.append((index, value))
    if not lost:
        return
    index, value = lost[0]
    shown = ", ".join(repr(v) for v in list(dict.fromkeys(v for _, v in lost))[:5])
    number = f"{len(lost)} annotations belong" if len(lost) > 1 else "one annotation belongs"
    raise LikewiseError(
        f"{path}: {number} to no {what}: {field} {shown} (the first is annotations[{index}]){_alike(value, ids, what)}"
    )


def _alike(value: object, ids: Collection[Any], what: str) -> str:
    """The id that looks the same but is of another kind, or the nearest one."""
    twin = next((i for i in ids if str(i) == str(value)), None)
    if twin is not None:
        kinds = ("the text", "the number") if isinstance(twin, str) else ("the number", "the text")
        return f"; the {what}'s id is {kinds[0]} {twin!r}, not {kinds[1]} {value!r}: write both alike"
    return nearest(str(value), map(str, ids))


def _check_images(images: Sequence[Record], categories: Collection[Any], path: Path) -> None:
    for index, image in enumerate(images):
        where = f"{path}: images[{index}]"
        for field in ("width", "height", "count"):
            _check_number(image, field, where)
        if bool(image.get("width")) != bool(image.get("height")):
            raise LikewiseError(f"{where} has a width or a height alone; expected both or none")
        if not isinstance(image.get("prompt"), (str, type(None))):
            raise LikewiseError(f"{where}: prompt is {image['prompt']!r}; expected a text")
        exemplars = image.get("exemplars")
        if not isinstance(exemplars, (list, type(None))):
            raise LikewiseError(f"{where}: exemplars is {exemplars!r}; expected a list of boxes")
        for exemplar in exemplars or []:
            known = exemplar.get("category_id") if isinstance(exemplar, dict) else None
            if known is not None:
                _check_id(known, "category_id", where)
            if known is not None and categories and known not in categories:
                raise LikewiseError(
                    f"{where}: an exemplar is of category {known!r}{_alike(known, categories, 'category')}"
                )


def _check_number(record: Record, field: str, where: str) -> None:
    value = record.get(field)
    if value is not None and not (is_number(value) and value >= 0):
        raise LikewiseError(f"{where}: {field} is {value!r}; expected a number that is not negative")


def _check_in(record: Record, field: str, valid: tuple[object, ...], where: str) -> None:
    value = record.get(field)
    if isinstance(value, (list, dict)) or value not in valid:
        raise LikewiseError(f"{where}: {field} is {value!r}; expected one of {', '.join(map(repr, valid[:-1]))}")
