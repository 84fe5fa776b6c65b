"""A project in the forms other programs read: a table and a COCO data set.

Convention
----------
Points and boxes are in pixels of the upright picture; COCO's boxes are x, y, width, height.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from likewise.app.project import Project, ProjectPicture
from likewise.app.strokes import Marked, marked
from likewise.errors import LikewiseError
from likewise.ops.run_lengths import encode_rle
from likewise.results import CountResult, SegmentResult
from likewise.types import Prompt

COUNT_COLUMNS = ("image", "count", "predicted", "low", "high", "added", "removed", "points", "model", "seconds")
SEGMENT_COLUMNS = ("image", "area", "parts", "by", "model", "seconds")
RECOGNIZE_COLUMNS = ("image", "label", "probability", "model", "seconds")


def to_csv(project: Project, task: str) -> str:
    """One row a picture that has an answer: of counts, areas or labels.

    ``count`` is what the workbench shows, prediction and corrections together; ``predicted``, ``added`` and
    ``removed`` are its parts; ``low`` and ``high`` belong to the prediction, and are empty where they are not known.
    """
    columns, row = {
        "count": (COUNT_COLUMNS, _count_row),
        "segment": (SEGMENT_COLUMNS, _segment_row),
        "recognize": (RECOGNIZE_COLUMNS, _recognize_row),
    }[task]
    lines = io.StringIO()
    rows = [found for picture in project.pictures if (found := row(picture)) is not None]
    csv.writer(lines).writerows([columns, *rows])
    return lines.getvalue()


def to_coco(project: Project, task: str) -> dict[str, Any]:
    """A COCO data set of every picture that has an answer.

    Of counted pictures: a keypoint and a box for each thing, what a person removed left out; ``images[].predicted`` is
    the model's own count. Of segmented ones: the mask in compressed run lengths, also that of pictures brushed by hand.
    Each annotation says in ``attributes.by`` whether the "model" or a person ("hand") put it there.

    Raises:
        LikewiseError: a mask that does not fit its picture; labels, which COCO has no annotations for.
    """
    merge = {"count": _merge_count, "segment": _merge_mask}.get(task)
    if merge is None:
        raise LikewiseError(f"COCO files hold points or masks, not what it takes to {task}; export a table (CSV)")
    done = {"count": "counted", "segment": "segmented"}[task]
    merged: dict[str, Any] = {
        "info": {"description": f"{done} with likewise", "version": project.likewise, "date_created": project.saved},
        "licenses": [],
        "images": [],
        "annotations": [],
        "categories": [],
    }
    names: dict[str, int] = {}
    for picture in project.pictures:
        name = picture.text or project.text or "object" if task == "count" else "object"
        if merge(merged, picture, names.get(name, len(names) + 1)):
            names.setdefault(name, len(names) + 1)
    more = {"supercategory": ""} | ({"keypoints": ["centre"], "skeleton": []} if task == "count" else {})
    merged["categories"] = [{"id": number, "name": name, **more} for name, number in names.items()]
    return merged


def _count_row(picture: ProjectPicture) -> tuple[Any, ...] | None:
    if picture.count is None:
        return None
    found = picture.prediction
    points = len(picture.kept) + len(picture.added)
    predicted = [None, None, None] if found is None else [found.count, found.low, found.high]
    told = ["" if value is None else f"{value:.4f}" for value in predicted]
    source = (found.model, f"{found.seconds:.3f}") if found else ("", "")
    return (picture.name, f"{picture.count:.4f}", *told, len(picture.added), picture.removals, points, *source)


def _segment_row(picture: ProjectPicture) -> tuple[Any, ...] | None:
    found = picture.segmented
    if picture.brushed:
        hand = marked(picture)
        return None if hand is None else (picture.name, *_measured(picture, hand), "hand", "", "")
    if found is None:
        return None
    return picture.name, f"{found.area:.6f}", len(found.boxes), "model", found.model, f"{found.seconds:.3f}"


def _measured(picture: ProjectPicture, found: Marked) -> tuple[str, int]:
    """Area and number of parts, as a result measures them."""
    result = SegmentResult(
        grid=found.mask.astype(np.float32),
        size=(picture.width, picture.height),
        model=found.model,
        seconds=found.seconds,
        image=np.zeros((1, 1, 3), dtype=np.uint8),
    )
    return f"{result.area:.6f}", len(result.boxes)


def _recognize_row(picture: ProjectPicture) -> tuple[Any, ...] | None:
    found = picture.recognized
    if found is None:
        return None
    return picture.name, found.label, f"{found.probability:.4f}", found.model, f"{found.seconds:.3f}"


def _merge_count(merged: dict[str, Any], picture: ProjectPicture, category: int) -> bool:
    """Add a picture to a data set, its ids following on; False where it was not counted."""
    if picture.count is None:
        return False
    single = _as_result(picture).to_coco()
    image_id, first = len(merged["images"]) + 1, len(merged["annotations"]) + 1
    image = single["images"][0]
    predicted = None if picture.prediction is None else round(picture.prediction.count, 4)
    merged["images"].append({**image, "id": image_id, "count": round(picture.count or 0.0, 4), "predicted": predicted})
    for number, annotation in enumerate(single["annotations"]):
        by = "model" if number < len(picture.kept) else "hand"
        ids = {"id": first + number, "image_id": image_id, "category_id": category}
        merged["annotations"].append({**annotation, **ids, "attributes": {"by": by}})
    return True


def _merge_mask(merged: dict[str, Any], picture: ProjectPicture, category: int) -> bool:
    """The same for a mask; a picture in which nothing was found has no annotation, but is in the data set."""
    found = marked(picture)
    if found is None:
        return False
    image_id = len(merged["images"]) + 1
    size = {"width": picture.width, "height": picture.height}
    merged["images"].append({"id": image_id, "file_name": picture.name, **size})
    if found.mask.any():
        (x0, x1), (y0, y1) = (np.flatnonzero(found.mask.any(axis))[[0, -1]].tolist() for axis in (0, 1))
        merged["annotations"].append(
            {
                "id": len(merged["annotations"]) + 1,
                "image_id": image_id,
                "category_id": category,
                "segmentation": encode_rle(found.mask, compressed=True),
                "area": int(found.mask.sum()),
                "bbox": [x0, y0, x1 + 1 - x0, y1 + 1 - y0],
                "iscrowd": 0,
                "attributes": {"by": found.by},
            }
        )
    return True


def _as_result(picture: ProjectPicture) -> CountResult:
    """The corrected points as a result, whose own export is then used."""
    points = [*(point for point, _ in picture.kept), *picture.added]
    scores = [*(score for _, score in picture.kept), *([1.0] * len(picture.added))]
    return CountResult(
        grid=np.full((1, 1), picture.count or 0.0, dtype=np.float32),
        size=(picture.width, picture.height),
        points=np.array(points, dtype=np.float32).reshape(-1, 2),
        scores=np.array(scores, dtype=np.float32),
        prompt=Prompt(picture.exemplars, text=picture.text or None),
        model=picture.prediction.model if picture.prediction else "",
        seconds=0.0,
        image=np.zeros((1, 1, 3), dtype=np.uint8),
        source=picture.name,
        object_size=picture.object_size,
    )
