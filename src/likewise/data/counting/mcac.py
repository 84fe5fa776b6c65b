"""MCAC as published: rendered pictures with one to four kinds of things, each kind counted by itself.

Source: Hobley and Prisacariu, "ABC easy as 123: a blind counter for exemplar-free multi-class class-agnostic counting",
ECCV 2024. ``train``, ``val`` and ``test`` hold a folder a picture, with ``img.png`` and ``info_with_occ_bbox.json``; in
it ``countables`` are the kinds: of each its things' centres (x and the height above the lower edge, as shares of the
picture's sides), the share of each that is hidden, in percent, and boxes (rows, then columns), all of them also of the
picture's middle 672 x 672 (``..._crop672``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from likewise.boxes import box_sides, clip_boxes
from likewise.data.counting.sample import CountSample
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest

SPLITS = ("train", "val", "test")
IMAGE, ANNOTATION = "img.png", "info_with_occ_bbox.json"
#: Things of which this many percent or more are hidden do not count, as published.
HIDDEN = 70.0


class Kind(NamedTuple):
    """What counts of one kind: centres (N, 2) as shares from the top left, boxes (N, 4) and hidden percents (N,)."""

    centres: Tensor
    boxes: Tensor
    hidden: Tensor


class MCAC(Dataset[CountSample]):
    """A sample for every picture and kind of MCAC of which anything counts.

    Exemplars are the boxes of the least hidden things, the first of equals. The published validation and test use a
    choice of their own, which comes in another file that is not read here.

    Args:
        root: the folder with ``train``, ``val`` and ``test``.
        split: one of them; None: all that are there.
        exemplars: how many a sample has, at most.
        crop: side of the picture's middle that is seen, as published; None: the whole picture.

    Raises:
        LikewiseError: a folder or file is missing or broken; an unknown split; ``exemplars`` below 0. Reading one
            sample: a broken picture, or one smaller than the crop.
    """

    def __init__(
        self, root: str | Path, split: str | None = None, *, exemplars: int = 3, crop: int | None = 672
    ) -> None:
        if exemplars < 0:
            raise LikewiseError(f"exemplars = {exemplars}: expected at least 0")
        self.root, self.exemplars, self.crop = Path(root), exemplars, crop
        there = [name for name in SPLITS if (self.root / name).is_dir()]
        if split is not None and split not in there:
            raise LikewiseError(f"{self.root} has no split {split!r}{nearest(split, there)}")
        folders = [
            f for name in ([split] if split else there) for f in sorted((self.root / name).iterdir()) if f.is_dir()
        ]
        suffix = "" if crop is None else f"_crop{crop}"
        kinds = [(f, i, kind) for f in folders for i, kind in enumerate(read_kinds(f / ANNOTATION, suffix))]
        self.targets = tuple((folder, index, kind) for folder, index, kind in kinds if len(kind.centres))
        if not self.targets:
            raise LikewiseError(f"{self.root} has nothing to count; expected {SPLITS[0]}/1/{IMAGE} and {ANNOTATION}")

    @property
    def names(self) -> tuple[str, ...]:
        """The picture of every sample, and which of its kinds."""
        return tuple(f"{folder.parent.name}/{folder.name}:{index}" for folder, index, _ in self.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> CountSample:
        folder, _, kind = self.targets[index]
        image = torch.from_numpy(read_image(folder / IMAGE)).permute(2, 0, 1)
        image = image if self.crop is None else _middle(image, self.crop, folder / IMAGE)
        size = (image.shape[2], image.shape[1])
        boxes = clip_boxes(kind.boxes, size)
        known = (box_sides(boxes) > 0).all(dim=1)
        best = kind.hidden[known].argsort(stable=True)[: self.exemplars]
        limit = torch.tensor(size, dtype=torch.float32)
        return CountSample(
            image=image,
            points=torch.minimum((kind.centres * limit).clamp(min=0.0), limit - 1e-3),
            boxes=torch.where(known[:, None], boxes, torch.nan),
            exemplars=boxes[known][best],
            name=self.names[index],
            visible=1 - kind.hidden.clamp(0, 100) / 100,
        )


def read_kinds(path: Path, suffix: str) -> list[Kind]:
    """The kinds of a picture, without the things that are hidden; ``suffix`` of the fields, such as ``_crop672``.

    Raises:
        LikewiseError: no such file, or one of another form.
    """
    if not path.is_file():
        raise LikewiseError(f"{path.parent} has no {path.name}, which MCAC comes with")
    try:
        countables: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["countables"]
        return [_kind(each, suffix) for each in countables]
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise LikewiseError(f"{path} is not as MCAC publishes it: {type(error).__name__}: {error}") from error


def _kind(countable: dict[str, Any], suffix: str) -> Kind:
    hidden = torch.tensor(countable[f"occlusions{suffix}"], dtype=torch.float32).reshape(-1)
    centres = torch.tensor(countable[f"centers{suffix}"], dtype=torch.float32).reshape(len(hidden), -1)[:, :2]
    boxes = torch.tensor(countable[f"bboxes{suffix}"], dtype=torch.float32).reshape(len(hidden), 2, 2)
    counts = hidden < HIDDEN
    upright = torch.stack([centres[:, 0], 1 - centres[:, 1]], dim=1)
    xyxy = torch.stack([boxes[:, 1, 0], boxes[:, 0, 0], boxes[:, 1, 1], boxes[:, 0, 1]], dim=1)
    return Kind(upright[counts], xyxy[counts], hidden[counts])


def _middle(image: Tensor, side: int, path: Path) -> Tensor:
    height, width = image.shape[1:]
    if min(height, width) < side:
        raise LikewiseError(f"{path} is {width} x {height} pixels; expected at least {side} a side")
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side].contiguous()
