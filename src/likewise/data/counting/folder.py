"""A counting data set as a folder: pictures and one COCO-style ``annotations.json``.

``images``: id, file_name (relative to the folder) and, where known, width, height, split, count, prompt and
``exemplars``; an exemplar is a record with ``bbox`` [x, y, width, height] or a plain [x0, y0, x1, y1].
``annotations``: image_id and, where known, category_id, ``bbox`` [x, y, width, height], ``point`` [x, y] and
``visible`` (the share of the object that can be seen). ``categories``: id, name, plural.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from likewise.boxes import box_areas, box_centres, shared_areas, xywh_to_xyxy
from likewise.data.counting.negatives import negative_weight
from likewise.data.counting.sample import CountSample, Others
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest
from likewise.types import Prompt

ANNOTATIONS = "annotations.json"
Record = dict[str, Any]
Array = NDArray[np.float32]

#: A plain exemplar box belongs to the category of the annotated box it overlaps at least this much (IoU).
SAME_BOX = 0.5


@dataclass(frozen=True, eq=False)
class Target:
    """One line of the data set: a picture and what is to be counted in it; xyxy float pixels."""

    file_name: str
    size: tuple[int, int] | None
    points: Array
    boxes: Array
    visible: Array | None
    exemplars: Array
    prompt: str | None
    truth: float | None
    others: Array
    likeness: Array


class CountingFolder(Dataset[CountSample]):
    """Pictures of a folder with their counts; one sample for every picture and kind of thing to be counted in it.

    What is counted in a picture is the category of its exemplars; where they are of several categories, the
    picture gives one sample for each. Annotations marked ``iscrowd`` are no single objects and are left out. A
    point that is not given is the centre of its box. Where a picture has no annotations at all, its ``count`` is the
    truth.

    Args:
        root: the folder, or its annotations.json.
        split: only pictures whose ``split`` this is.
        category: only this category, or these, by name, plural, source name or id; each gives its own samples.
        targets: "exemplars": as above. "all": one sample for every picture and category with at least one known
            box, whether or not exemplars are recorded for it (for training, which draws its own).

    Raises:
        LikewiseError: the file is missing, is not JSON or lacks what is needed; an unknown split or category; a
            selection without a single sample. Reading one sample: a missing or broken picture, a picture of
            another size than its record says, an exemplar outside the picture.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        category: str | Sequence[str] | None = None,
        *,
        targets: Literal["exemplars", "all"] = "exemplars",
    ) -> None:
        path = Path(root)
        path = path if path.suffix == ".json" else path / ANNOTATIONS
        self.root = path.parent
        content = _read(path)
        wanted = [category] if isinstance(category, str) else category
        self.categories = {c["id"]: c for c in content["categories"]}
        ids = None if wanted is None else [_category_id(name, self.categories, path) for name in wanted]
        images = _of_split(content["images"], split, path)
        reader = _Reader(self.categories, _by_image(content["annotations"]), ids, targets == "all")
        self.targets = tuple(target for image in images for target in reader.targets(image))
        if not self.targets:
            asked = ", ".join(f"{k} {v!r}" for k, v in (("split", split), ("category", category)) if v is not None)
            raise LikewiseError(f"{path} has no picture to count{' with ' + asked if asked else ''}")

    @property
    def names(self) -> tuple[str, ...]:
        """The picture of every sample."""
        return tuple(target.file_name for target in self.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> CountSample:
        target = self.targets[index]
        image = torch.from_numpy(read_image(self._find(target.file_name))).permute(2, 0, 1)
        return CountSample(
            image=image,
            points=torch.from_numpy(target.points),
            boxes=torch.from_numpy(target.boxes),
            exemplars=_checked_exemplars(target, image.shape[2], image.shape[1]),
            name=target.file_name,
            prompt=target.prompt,
            truth=target.truth,
            visible=None if target.visible is None else torch.from_numpy(target.visible),
            others=Others(torch.from_numpy(target.others), torch.from_numpy(target.likeness)),
        )

    def _find(self, file_name: str) -> Path:
        # COCO's own files leave out the folder of the pictures
        bare, inside = self.root / file_name, self.root / "images" / file_name
        return inside if not bare.is_file() and inside.is_file() else bare


@dataclass(frozen=True, eq=False)
class _Reader:
    """Turns image records into targets."""

    categories: dict[int, Record]
    annotations: dict[Any, list[Record]]
    ids: list[int] | None
    every: bool

    def targets(self, image: Record) -> list[Target]:
        notes = self.annotations.get(image["id"], [])
        exemplars = self._exemplars(image, notes)
        chosen = self._chosen(exemplars, notes)
        alone = len(chosen) == 1
        own = {c: [box for known, box in exemplars if known == c or (known is None and alone)] for c in chosen}
        return [self._target(image, notes, own[c], c, alone) for c in chosen]

    def _exemplars(self, image: Record, notes: list[Record]) -> list[tuple[int | None, Array]]:
        """(category, xyxy) of every exemplar; the category is None where nothing tells it."""
        by_id = {n["id"]: n for n in notes if "id" in n}
        only = _only([n.get("category_id") for n in notes] or list(self.categories))
        found: list[tuple[int | None, Array]] = []
        for exemplar in image.get("exemplars") or []:
            box = _exemplar_box(exemplar, image)
            record = exemplar if isinstance(exemplar, dict) else {}
            note = by_id.get(record.get("annotation_id"), {})
            known = record.get("category_id", note.get("category_id", only))
            found.append((known if known is not None else _overlapped(box, notes), box))
        return found

    def _chosen(self, exemplars: list[tuple[int | None, Array]], notes: list[Record]) -> list[int | None]:
        """The categories this picture gives a sample for; None stands for everything annotated in it."""
        present = sorted({c for c, _ in exemplars if c is not None})
        annotated = sorted({n["category_id"] for n in notes if n.get("category_id") is not None and "bbox" in n})
        if self.every:
            return [c for c in annotated if self.ids is None or c in self.ids]
        if self.ids is not None:
            return [c for c in self.ids if c in (present if exemplars else annotated)]
        return list(present) if present else [None]

    def _target(
        self, image: Record, notes: list[Record], own: list[Array], category: int | None, alone: bool
    ) -> Target:
        mine = [n for n in notes if category is None or n.get("category_id", category) == category]
        boxes = _stack([_annotated_box(n) for n in mine], 4)
        seen = [n["visible"] for n in mine if "visible" in n]
        counted = None if notes else image.get("count")
        kind = self.categories.get(category, {}) if category is not None else {}
        name = kind.get("plural") or kind.get("name")
        others = [n for n in notes if category not in (None, n.get("category_id", category)) and "bbox" in n]
        return Target(
            file_name=image["file_name"],
            size=(image["width"], image["height"]) if image.get("width") and image.get("height") else None,
            points=_stack([_point(n, box) for n, box in zip(mine, boxes, strict=True)], 2),
            boxes=boxes,
            visible=np.array(seen, np.float32) if len(seen) == len(mine) > 0 else None,
            exemplars=_stack(own, 4),
            prompt=(image.get("prompt") or name) if alone else name,
            truth=None if counted is None else float(counted),
            others=_stack([_annotated_box(n) for n in others], 4),
            likeness=np.array([self._likeness(n, category) for n in others], np.float32),
        )

    def _likeness(self, note: Record, category: int | None) -> float:
        """How good an example of a look-alike an object of another category is; see `Others`."""
        both = (category, note.get("category_id"))
        mine, other = ("" if c is None else str(self.categories.get(c, {}).get("name", "")) for c in both)
        return negative_weight(float(note.get("visible", 1.0)), mine, other)


def _read(path: Path) -> Record:
    if not path.is_file():
        there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else None
        if there is None:
            raise LikewiseError(f"no such folder: {path.parent}{_neighbour(path.parent)}")
        raise LikewiseError(f"{path.parent} has no {path.name}{nearest(path.name, there)}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LikewiseError(f"{path} is not JSON: {error}") from error
    return {"images": _records(content, "images", ("id", "file_name"), path, required=True)} | {
        "annotations": [n for n in _records(content, "annotations", ("image_id",), path) if not n.get("iscrowd")],
        "categories": _records(content, "categories", ("id", "name"), path),
    }


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
    return records


def _neighbour(folder: Path) -> str:
    return nearest(folder.name, [p.name for p in folder.parent.iterdir()]) if folder.parent.is_dir() else ""


def _of_split(images: list[Record], split: str | None, path: Path) -> list[Record]:
    if split is None:
        return images
    there = {str(i["split"]) for i in images if i.get("split") is not None}
    if split not in there:
        raise LikewiseError(f"{path} has no split {split!r}{nearest(split, there) or '; its images name no split'}")
    return [i for i in images if i.get("split") == split]


def _category_id(name: str, categories: dict[int, Record], path: Path) -> int:
    names = {
        str(c[k]).lower(): i for i, c in categories.items() for k in ("id", "name", "plural", "source_name") if k in c
    }
    if name.lower() not in names:
        valid = [str(c.get("plural") or c["name"]) for c in categories.values()]
        raise LikewiseError(f"{path} has no category {name!r}{nearest(name, valid)}")
    return names[name.lower()]


def _by_image(annotations: list[Record]) -> dict[Any, list[Record]]:
    notes: dict[Any, list[Record]] = defaultdict(list)
    for note in annotations:
        notes[note["image_id"]].append(note)
    return notes


def _only(values: list[Any]) -> Any:
    return values[0] if values and all(v == values[0] for v in values) else None


def _numbers(values: Any, length: int, what: str) -> Array:
    try:
        array = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        array = np.empty(0, np.float32)
    if array.shape != (length,) or not np.isfinite(array).all():
        raise LikewiseError(f"{what} is {values!r}; expected {length} numbers")
    return array


def _exemplar_box(exemplar: Any, image: Record) -> Array:
    what = f"{image['file_name']}: exemplar"
    if isinstance(exemplar, dict):
        return _xyxy(_numbers(exemplar.get("bbox"), 4, f"{what} bbox"))
    return _numbers(exemplar, 4, what)


def _annotated_box(note: Record) -> Array:
    if note.get("bbox") is None:
        return np.full(4, np.nan, np.float32)
    return _xyxy(_numbers(note["bbox"], 4, f"annotation of image {note['image_id']}: bbox"))


def _point(note: Record, box: Array) -> Array:
    if note.get("point") is not None:
        return _numbers(note["point"], 2, f"annotation of image {note['image_id']}: point")
    return _numbers(box_centres(box), 2, f"annotation of image {note['image_id']}: point or bbox")


def _xyxy(xywh: Array) -> Array:
    return np.array(xywh_to_xyxy(xywh.tolist()), np.float32)


def _stack(rows: Sequence[Array], width: int) -> Array:
    return np.stack(rows).astype(np.float32) if len(rows) else np.empty((0, width), np.float32)


def _overlapped(box: Array, notes: list[Record]) -> int | None:
    """The category of the annotated box that covers the same place."""
    noted = [(n["category_id"], _annotated_box(n)) for n in notes if n.get("category_id") is not None]
    best = max(noted, key=lambda pair: _iou(box, pair[1]), default=None)
    return best[0] if best is not None and _iou(box, best[1]) >= SAME_BOX else None


def _iou(a: Array, b: Array) -> float:
    shared = float(shared_areas(a, b))
    return shared / (float(box_areas(a)) + float(box_areas(b)) - shared) if shared > 0 else 0.0


def _checked_exemplars(target: Target, width: int, height: int) -> torch.Tensor:
    if target.size is not None and target.size != (width, height):
        recorded = f"{target.size[0]} x {target.size[1]}"
        raise LikewiseError(f"{target.file_name} is {width} x {height} pixels, but its record says {recorded}")
    try:
        prompt = Prompt(exemplars=tuple(tuple(b) for b in target.exemplars.tolist())).inside(width, height)
    except LikewiseError as error:
        raise LikewiseError(f"{target.file_name}: {error}") from error
    return torch.tensor(prompt.exemplars, dtype=torch.float32).reshape(-1, 4)
