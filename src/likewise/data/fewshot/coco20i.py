"""COCO-20i: COCO's 80 classes in four folds of twenty novel ones.

Source: Nguyen & Todorovic, ICCV 2019: with the classes numbered 1 to 80 in the order of their ids, fold i's novel ones
are 4 j + i + 1 for j from 0 to 19.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from likewise.data.fewshot.labelled import IGNORED, Part, as_tensors, choose_part, fold_of
from likewise.data.images import read_image
from likewise.data.masks import segmentation_mask
from likewise.errors import LikewiseError, nearest

FOLDS = 4
#: The years of the published archives; those that the paper used first.
YEARS = ("2014", "2017")


class Coco20i:
    """Labelled pictures of a fold of COCO-20i.

    The folder holds ``annotations/instances_train2014.json``, ``annotations/instances_val2014.json``, ``train2014`` and
    ``val2014`` (or the same of 2017). All objects of a class in a picture are one mask; where a crowd is annotated
    (``iscrowd``) nobody says which pixels are things: 255.

    Args:
        root: the folder.
        split: "train" or "val".
        fold: 0 to 3; None: the classes of all folds.
        part: of a fold's classes, the "base" ones, the "novel" ones, or both.

    Raises:
        LikewiseError: a file is missing or is not JSON; an unknown split or fold.

    Example:
        >>> import tempfile
        >>> note = {"image_id": 1, "category_id": 5, "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]], "iscrowd": 0}
        >>> content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [note]}
        >>> content["categories"] = [{"id": 5, "name": "airplane"}]
        >>> with tempfile.TemporaryDirectory() as name:
        ...     (Path(name) / "annotations").mkdir()
        ...     written = (Path(name) / "annotations" / "instances_val2014.json").write_text(json.dumps(content))
        ...     Coco20i(name, "val").pictures
        {5: (0,)}
    """

    folds = FOLDS

    def __init__(self, root: str | Path, split: str = "val", fold: int | None = None, part: Part = "all") -> None:
        if split not in ("train", "val"):
            raise LikewiseError(f"COCO-20i has no split {split!r}{nearest(split, ('train', 'val'))}")
        path, self.folder = _places(Path(root), split)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise LikewiseError(f"{path} is not JSON: {error}") from error
        names = {int(c["id"]): str(c["name"]) for c in content["categories"]}
        order = {kind: place for place, kind in enumerate(sorted(names))}
        novel = names if fold is None else {k: n for k, n in names.items() if order[k] % FOLDS == fold_of(fold, FOLDS)}
        self.classes = choose_part(novel, {k: n for k, n in names.items() if k not in novel}, part)
        self.images = sorted(content["images"], key=lambda image: int(image["id"]))
        self._notes = _notes(content["annotations"])
        place = {int(image["id"]): index for index, image in enumerate(self.images)}
        shown: dict[int, set[int]] = defaultdict(set)
        for (image, kind), notes in self._notes.items():
            if any(not n.get("iscrowd") for n in notes):
                shown[kind].add(place[image])
        self.pictures = {kind: tuple(sorted(shown[kind])) for kind in self.classes}

    def name(self, index: int) -> str:
        """The picture's file name."""
        return str(self.images[index]["file_name"])

    def read(self, index: int, kind: int) -> tuple[Tensor, Tensor]:
        """A picture and where it shows a class, 255 in crowds.

        Raises:
            LikewiseError: a picture that cannot be read, or a mask that does not fit it.
        """
        record = self.images[index]
        image = read_image(self.folder / record["file_name"])
        height, width = image.shape[:2]
        label = np.zeros((height, width), np.uint8)
        notes = self._notes.get((int(record["id"]), kind), [])
        for note in sorted(notes, key=lambda n: not n.get("iscrowd")):  # what is a thing for sure is written last
            name = f"{record['file_name']}: segmentation of annotation {note.get('id')}"
            mask = segmentation_mask(note["segmentation"], height, width, name)
            if mask.shape != label.shape:
                raise LikewiseError(f"{record['file_name']}: a mask is {mask.shape}, the picture {label.shape}")
            label[mask] = IGNORED if note.get("iscrowd") else 1
        return as_tensors(image, label, 1)


def _places(root: Path, split: str) -> tuple[Path, Path]:
    for year in YEARS:
        path = root / "annotations" / f"instances_{split}{year}.json"
        if path.is_file():
            return path, root / f"{split}{year}"
    raise LikewiseError(f"{root} has no annotations/instances_{split}{YEARS[0]}.json (or {YEARS[1]})")


def _notes(annotations: list[dict[str, Any]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    notes: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for note in annotations:
        notes[int(note["image_id"]), int(note["category_id"])].append(note)
    return notes
