"""FSC-147 as published (Ranjan et al., "Learning To Count Everything", CVPR 2021), and its texts, FSC-147-D.

The folder holds ``images_384_VarV2/``, ``annotation_FSC147_384.json``, ``Train_Test_Val_FSC_147.json`` and, for names
and texts, ``ImageClasses_FSC147.txt`` and ``FSC-147-D.json`` (Amini-Naieni et al., BMVC 2023). Its boxes and points
are in pixels of the 384 pixel high pictures of ``images_384_VarV2``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from likewise.boxes import box_centres, box_sides, clip_boxes
from likewise.data.counting.sample import CountSample
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest

ANNOTATIONS = "annotation_FSC147_384.json"
SPLITS = "Train_Test_Val_FSC_147.json"
CLASSES = "ImageClasses_FSC147.txt"
TEXTS = "FSC-147-D.json"
IMAGES = "images_384_VarV2"


class FSC147(Dataset[CountSample]):
    r"""The pictures of FSC-147 with their points and three exemplars each.

    Boxes are published for the exemplars alone: each is given to the point nearest to its centre, all other objects
    have unknown boxes.

    Args:
        root: the folder of the set.
        split: "train", "val", "test", "val_coco" or "test_coco"; None: train, val and test.
        category: only pictures of this class.
        prompts: what `CountSample.prompt` is: the class's name ("strawberries") or FSC-147-D's text ("the
            strawberries"); None where the file for it is missing.

    Raises:
        LikewiseError: a file is missing or not JSON; an unknown split or class; nothing left. Reading one sample: a
            missing or broken picture.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> box = [[0, 0], [0, 4], [4, 4], [4, 0]]
        >>> with tempfile.TemporaryDirectory() as name:
        ...     root, record = Path(name), {"points": [[2, 2], [6, 6]], "box_examples_coordinates": [box]}
        ...     (root / IMAGES).mkdir()
        ...     Image.new("RGB", (9, 9)).save(root / IMAGES / "1.jpg")
        ...     files = {ANNOTATIONS: {"1.jpg": record}, SPLITS: {"train": [], "val": ["1.jpg"], "test": []}}
        ...     written = [(root / file).write_text(json.dumps(content)) for file, content in files.items()]
        ...     written = (root / CLASSES).write_text("1.jpg\tcoins")
        ...     FSC147(root, "val")[0].count
        2.0
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        category: str | None = None,
        *,
        prompts: Literal["classes", "texts"] = "classes",
    ) -> None:
        self.root = Path(root)
        self.annotations = _json(self.root / ANNOTATIONS)
        classes = read_classes(self.root)
        self.prompts = classes if prompts == "classes" else read_texts(self.root)
        splits = read_splits(self.root)
        if split is not None and split not in splits:
            raise LikewiseError(f"FSC-147 has no split {split!r}{nearest(split, splits)}")
        named = splits[split] if split is not None else [n for s in ("train", "val", "test") for n in splits[s]]
        if category is not None and category not in classes.values():
            raise LikewiseError(f"FSC-147 has no class {category!r}{nearest(category, set(classes.values()))}")
        self.names = tuple(n for n in named if category is None or classes.get(n) == category)
        missing = [n for n in self.names if n not in self.annotations]
        if missing:
            raise LikewiseError(f"{self.root / ANNOTATIONS} lacks {len(missing)} of the pictures, such as {missing[0]}")
        if not self.names:
            raise LikewiseError(f"no picture of split {split!r} is of class {category!r}")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> CountSample:
        name = self.names[index]
        image = torch.from_numpy(read_image(self.root / IMAGES / name)).permute(2, 0, 1)
        record = self.annotations[name]
        limit = torch.tensor([image.shape[2], image.shape[1]], dtype=torch.float32)
        # a few published points lie on the border or beyond by rounding; the count is theirs, so they stay
        points = torch.tensor(record["points"], dtype=torch.float32).reshape(-1, 2)
        points = torch.minimum(points.clamp(min=0.0), limit - 1e-3)
        exemplars = _exemplars(record["box_examples_coordinates"], (image.shape[2], image.shape[1]))
        return CountSample(
            image=image,
            points=points,
            boxes=_boxes_of_points(points, exemplars),
            exemplars=exemplars,
            name=name,
            prompt=self.prompts.get(name),
        )


def read_splits(root: str | Path) -> dict[str, list[str]]:
    """Picture names of every split.

    Args:
        root: the folder of the set.

    Raises:
        LikewiseError: the file is missing or not JSON.
    """
    splits: dict[str, list[str]] = _json(Path(root) / SPLITS)
    return splits


def read_classes(root: str | Path) -> dict[str, str]:
    """Class of every picture, by picture name; empty where the file is missing."""
    path = Path(root) / CLASSES
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def read_texts(root: str | Path) -> dict[str, str]:
    """FSC-147-D's description of what is counted, by picture name; empty where the file is missing."""
    path = Path(root) / TEXTS
    records = _json(path) if path.is_file() else {}
    return {name: record["text_description"] for name, record in records.items()}


def _json(path: Path) -> Any:
    if not path.is_file():
        there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise LikewiseError(f"{path.parent} has no {path.name}, which FSC-147 comes with{nearest(path.name, there)}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LikewiseError(f"{path} is not JSON: {error}") from error


def _exemplars(corners: list[list[list[float]]], size: tuple[int, int]) -> Tensor:
    """Boxes (K, 4) xyxy from four corners each, cut to a picture of this (width, height); without any outside it."""
    quads = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4, 2)
    boxes = clip_boxes(torch.cat((quads.amin(dim=1), quads.amax(dim=1)), dim=1), size)
    return boxes[(box_sides(boxes) > 0).all(dim=1)]


def _boxes_of_points(points: Tensor, exemplars: Tensor) -> Tensor:
    """(N, 4): each exemplar for the point nearest to its centre, NaN for all other points."""
    boxes = torch.from_numpy(np.full((len(points), 4), np.nan, np.float32))
    if len(points) and len(exemplars):
        boxes[torch.cdist(box_centres(exemplars), points).argmin(dim=1)] = exemplars
    return boxes
