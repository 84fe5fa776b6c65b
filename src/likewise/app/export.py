"""A project in the forms other programs read: a table, a COCO data set, and overlays.

Convention
----------
Points and boxes are in pixels of the upright picture; COCO's boxes are x, y, width, height.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from PIL import Image

from likewise.app.project import Project, ProjectPicture
from likewise.draw import canvas, draw_badge, draw_boxes, draw_outline, draw_points, heat_overlay
from likewise.results import CountResult
from likewise.types import Prompt

COUNT_COLUMNS = ("image", "count", "predicted", "low", "high", "added", "removed", "points", "model", "seconds")
SEGMENT_COLUMNS = ("image", "area", "parts", "model", "seconds")
RECOGNIZE_COLUMNS = ("image", "label", "probability", "model", "seconds")
#: Points that were added by hand, in overlays.
ADDED_COLOUR = (255, 196, 64)


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


def to_coco(project: Project) -> dict[str, Any]:
    """A COCO data set of every counted picture: a keypoint and a box for each thing.

    Each annotation says in ``attributes.by`` whether the model or a person put it there; what a person removed is
    left out. ``images[].predicted`` is the model's own count.
    """
    merged: dict[str, Any] = {
        "info": {"description": "counted with likewise", "version": project.likewise, "date_created": project.saved},
        "licenses": [],
        "images": [],
        "annotations": [],
        "categories": [],
    }
    names: dict[str, int] = {}
    for picture in project.pictures:
        if picture.count is not None:
            category = names.setdefault(picture.text or project.text or "object", len(names) + 1)
            _merge(merged, picture, category)
    point = {"supercategory": "", "keypoints": ["centre"], "skeleton": []}
    merged["categories"] = [{"id": number, "name": name, **point} for name, number in names.items()]
    return merged


def overlay(picture: ProjectPicture, result: CountResult) -> Image.Image:
    """The picture with its density, boxes, the points as corrected, and the corrected count."""
    inner, _ = canvas(result.image, least=1)
    drawn, _ = canvas(np.asarray(heat_overlay(inner, result.grid)))
    scale = np.array([inner.width / picture.width, inner.height / picture.height])
    kept = np.array([point for point, _ in picture.kept]).reshape(-1, 2) * scale
    added = np.array(picture.added).reshape(-1, 2) * scale
    if picture.region is not None:
        draw_outline(drawn, [tuple(corner) for corner in np.array(picture.region) * scale])
    draw_points(drawn, kept)
    draw_points(drawn, added, ADDED_COLOUR)
    draw_boxes(drawn, [tuple(box) for box in np.array(picture.exemplars).reshape(-1, 4) * np.tile(scale, 2)])
    by_hand = f", +{len(added)} -{picture.removals} by hand" if len(added) or picture.removals else ""
    model = picture.prediction.model if picture.prediction else result.model
    subtitle = f"{picture.prediction.count if picture.prediction else 0:.2f} by {model}{by_hand}"
    draw_badge(drawn, f"{picture.count or 0:.0f}", subtitle, avoid=np.concatenate([kept, added]))
    return drawn


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
    if found is None:
        return None
    return picture.name, f"{found.area:.6f}", len(found.boxes), found.model, f"{found.seconds:.3f}"


def _recognize_row(picture: ProjectPicture) -> tuple[Any, ...] | None:
    found = picture.recognized
    if found is None:
        return None
    return picture.name, found.label, f"{found.probability:.4f}", found.model, f"{found.seconds:.3f}"


def _merge(merged: dict[str, Any], picture: ProjectPicture, category: int) -> None:
    """Add a picture to a data set, its ids following on."""
    single = _as_result(picture).to_coco()
    image_id, first = len(merged["images"]) + 1, len(merged["annotations"]) + 1
    image = single["images"][0]
    predicted = None if picture.prediction is None else round(picture.prediction.count, 4)
    merged["images"].append({**image, "id": image_id, "count": round(picture.count or 0.0, 4), "predicted": predicted})
    for number, annotation in enumerate(single["annotations"]):
        by = "model" if number < len(picture.kept) else "hand"
        ids = {"id": first + number, "image_id": image_id, "category_id": category}
        merged["annotations"].append({**annotation, **ids, "attributes": {"by": by}})


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
