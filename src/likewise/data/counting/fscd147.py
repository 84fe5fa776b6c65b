"""FSCD-147: FSC-147 with the box of every object of its val and test pictures (Nguyen et al., ECCV 2022).

Source: Nguyen, Pham, Nguyen, Hoai, "Few-shot Object Counting and Detection", ECCV 2022. Beside what FSC-147 comes with
lie ``instances_val.json`` and ``instances_test.json``, in the folder or in its ``annotations``, in COCO's format.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from likewise.boxes import box_centres, box_sides, clip_boxes
from likewise.data.counting.fsc147 import FSC147
from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError

#: Where the boxes may be, below the folder of FSC-147.
PLACES = ("instances_*.json", "annotations/instances_*.json")


class FSCD147(FSC147):
    """The pictures of FSC-147, and, where they are published, a box for each of its points.

    Points and count stay FSC-147's. A box belongs to one point, so that the distances between points and their boxes'
    centres are least together; where there are fewer boxes than points, some points have none (NaN), and boxes too many
    are left out. Training pictures have no boxes and are as `FSC147` gives them. Boxes of a file that names another
    size of a picture are rescaled.

    Args:
        root: the folder of FSC-147 with the boxes.
        split: as in `FSC147`, as the others.
        category: see `FSC147`.
        prompts: see `FSC147`.

    Raises:
        LikewiseError: as `FSC147`; no file of boxes, or one that is not in COCO's format.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        category: str | None = None,
        *,
        prompts: Literal["classes", "texts"] = "classes",
    ) -> None:
        super().__init__(root, split, category, prompts=prompts)
        files = sorted(path for place in PLACES for path in self.root.glob(place))
        if not files:
            raise LikewiseError(f"{self.root} has no instances_val.json or instances_test.json, the boxes of FSCD-147")
        self.published = {name: found for file in files for name, found in read_instances(file).items()}

    def __getitem__(self, index: int) -> CountSample:
        sample = super().__getitem__(index)
        if sample.name not in self.published:
            return sample
        (boxes, named), (height, width) = self.published[sample.name], sample.size
        if named is not None:
            boxes = boxes * torch.tensor([width / named[0], height / named[1]]).repeat(2)
        inside = clip_boxes(boxes, (width, height))
        inside = inside[(box_sides(inside) > 0).all(dim=1)]
        rows, columns = linear_sum_assignment(torch.cdist(sample.points, box_centres(inside)).numpy())
        matched = torch.full((len(sample.points), 4), torch.nan)
        matched[torch.from_numpy(rows)] = inside[torch.from_numpy(columns)]
        return replace(sample, boxes=matched)


def read_instances(path: Path) -> dict[str, tuple[Tensor, tuple[float, float] | None]]:
    """The boxes (N, 4) of each picture of a file in COCO's format, and the (width, height) they are for, by its name.

    Raises:
        LikewiseError: it is not JSON, or lacks what is asked of it.
    """
    try:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = defaultdict(list)
        for record in held["annotations"]:
            x, y, width, height = map(float, record["bbox"])
            rows[record["image_id"]].append([x, y, x + width, y + height])
        pictures = held["images"]
        return {each["file_name"]: (torch.tensor(rows[each["id"]]).view(-1, 4), _size_of(each)) for each in pictures}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LikewiseError(f"{path} is not in COCO's format: {type(error).__name__}: {error}") from error


def _size_of(record: dict[str, Any]) -> tuple[float, float] | None:
    width, height = record.get("width"), record.get("height")
    return (float(width), float(height)) if width and height else None
