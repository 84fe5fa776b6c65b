"""A counting data set as a folder: pictures and one COCO-style ``annotations.json``.

``images``: id, file_name (relative to the folder) and, where known, width, height, split, count, prompt and
``exemplars``; an exemplar is a record with ``bbox`` [x, y, width, height] or a plain [x0, y0, x1, y1].
``annotations``: image_id and, where known, category_id, ``bbox`` [x, y, width, height], ``point`` [x, y] and
``visible`` (the share of the object that can be seen). ``categories``: id, name, plural.
"""

from __future__ import annotations

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
from likewise.data.counting.annotations import Record, is_number, read_annotations
from likewise.data.counting.negatives import negative_weight
from likewise.data.counting.sample import CountSample, Others
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest
from likewise.types import BOX_SLACK, Prompt

ANNOTATIONS = "annotations.json"
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

    Example:
        >>> import tempfile
        >>> from likewise.scenes import SceneConfig, write_scenes
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_scenes(SceneConfig(side=(64, 96), objects=(3, 9), emoji=False), 2, folder)
        ...     scenes = CountingFolder(folder)
        ...     len(scenes), scenes[0].count == len(scenes[0].points)
        (2, True)
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
        content = read_annotations(path)
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

    def path(self, index: int) -> Path:
        """Where the picture of a sample is, or should be."""
        return self._find(self.targets[index].file_name)

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
        names = (file_name, file_name.replace("\\", "/"))  # as it is written, then as Windows would have meant it
        places = [folder / name for name in names for folder in (self.root, self.root / "images")]
        return next((place for place in places if place.is_file()), places[0])


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
        by_id: dict[Any, list[Record]] = defaultdict(list)
        for each in notes:
            by_id[each.get("id")].append(each)
        only = _only([n.get("category_id") for n in notes] or list(self.categories))
        found: list[tuple[int | None, Array]] = []
        for exemplar in image.get("exemplars") or []:
            box = _exemplar_box(exemplar, image)
            record = exemplar if isinstance(exemplar, dict) else {}
            note = _referred(record.get("annotation_id"), by_id, image)
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


def _of_split(images: list[Record], split: str | None, path: Path) -> list[Record]:
    if split is None:
        return images
    there = {str(i["split"]) for i in images if i.get("split") is not None}
    if split not in there:
        raise LikewiseError(f"{path} has no split {split!r}{nearest(split, there) or '; its images name no split'}")
    return [i for i in images if i.get("split") is not None and str(i["split"]) == split]


def _category_id(name: str, categories: dict[int, Record], path: Path) -> int:
    called: dict[str, set[int]] = defaultdict(set)
    for number, category in categories.items():
        for field in ("id", "name", "plural", "source_name"):
            called[str(category.get(field, "")).lower()].add(number)
    found = sorted(called[name.lower()], key=str) if name else []
    if not found:
        valid = [str(c.get("plural") or c["name"]) for c in categories.values()]
        raise LikewiseError(f"{path} has no category {name!r}{nearest(name, valid)}")
    if len(found) > 1:
        raise LikewiseError(f"{path} has several categories {name!r}, with the ids {', '.join(map(repr, found))}")
    return found[0]


def _by_image(annotations: list[Record]) -> dict[Any, list[Record]]:
    notes: dict[Any, list[Record]] = defaultdict(list)
    for note in annotations:
        notes[note["image_id"]].append(note)
    return notes


def _referred(number: Any, by_id: dict[Any, list[Record]], image: Record) -> Record:
    """The annotation that an exemplar says it is; nothing where it says nothing."""
    if number is None:
        return {}
    found = [] if isinstance(number, (list, dict)) else by_id.get(number, [])
    if len(found) != 1:
        raise LikewiseError(
            f"{image['file_name']}: an exemplar is annotation {number!r}, of which the picture has {len(found)}; "
            "expected one"
        )
    return found[0]


def _only(values: list[Any]) -> Any:
    return values[0] if values and all(v == values[0] for v in values) else None


def _numbers(values: Any, length: int, what: str) -> Array:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    good = isinstance(listed, (list, tuple)) and len(listed) == length and all(map(is_number, listed))
    if not good:
        raise LikewiseError(f"{what} is {listed!r}; expected {length} numbers")
    return np.asarray(listed, dtype=np.float32)


def _exemplar_box(exemplar: Any, image: Record) -> Array:
    what = f"{image['file_name']}: exemplar"
    if isinstance(exemplar, dict):
        return _xyxy(exemplar.get("bbox"), f"{what} bbox")
    return _numbers(exemplar, 4, what)


def _annotated_box(note: Record) -> Array:
    if note.get("bbox") is None:
        return np.full(4, np.nan, np.float32)
    return _xyxy(note["bbox"], f"annotation of image {note['image_id']}: bbox")


def _point(note: Record, box: Array) -> Array:
    if note.get("point") is not None:
        return _numbers(note["point"], 2, f"annotation of image {note['image_id']}: point")
    return _numbers(box_centres(box), 2, f"annotation of image {note['image_id']}: point or bbox")


def _xyxy(bbox: Any, what: str) -> Array:
    xywh = _numbers(bbox, 4, what)
    if (xywh[2:] < 0).any():
        raise LikewiseError(f"{what} is {bbox!r}; expected x, y, width and height, neither of them negative")
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
    low, high = (-BOX_SLACK, np.array((width, height)) + BOX_SLACK)
    outside = np.flatnonzero(((target.points < low) | (target.points > high)).any(axis=1))
    if len(outside):
        x, y = target.points[outside[0]].tolist()
        raise LikewiseError(
            f"{target.file_name}: {len(outside)} of {len(target.points)} annotated points lie outside the picture, "
            f"which is {width} x {height} pixels; the first is ({x:g}, {y:g})"
        )
    return torch.tensor(prompt.exemplars, dtype=torch.float32).reshape(-1, 4)
