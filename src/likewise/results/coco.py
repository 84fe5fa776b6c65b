"""COCO data sets: the only place where they are written, whatever they hold.

Convention
----------
Ids count from 1 in the order in which things are added. Boxes are x, y, width, height, and masks are run lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from likewise.boxes import centred_boxes, clip_boxes, xyxy_to_xywh
from likewise.ops.run_lengths import encode_crop, encode_rle
from likewise.results.annotations import NAMELESS, MaskAnnotation, PointAnnotations
from likewise.results.outlines import Outlines
from likewise.types import Box

Record = dict[str, Any]
#: What a category of points says beside its name: the one key point that each has, and no line between several.
KEYPOINTS: Mapping[str, Any] = {"keypoints": ["centre"], "skeleton": []}


class CocoDataset:
    """A COCO data set that grows picture by picture.

    Attributes:
        images: records of pictures, in the order in which they were added.
        annotations: what lies in them.
        category_ids: names to ids.
    """

    def __init__(self) -> None:
        self.images: list[Record] = []
        self.annotations: list[Record] = []
        self.category_ids: dict[str, int] = {}

    def category(self, name: str) -> int:
        """The id of a category, which is added where there is none of that name."""
        return self.category_ids.setdefault(name, len(self.category_ids) + 1)

    def add(self, image: Record, notes: Iterable[tuple[str, Record]] = ()) -> tuple[Record, list[Record]]:
        """Add a picture with what lies in it, each with the name of its category.

        Returns:
            The records of both as they stand in the data set, ids included.
        """
        number = len(self.images) + 1
        self.images.append({"id": number, **image})
        added = [
            {"id": index, "image_id": number, "category_id": self.category(name), **note}
            for index, (name, note) in enumerate(notes, start=len(self.annotations) + 1)
        ]
        self.annotations += added
        return self.images[-1], added

    def to_dict(self, category: Mapping[str, Any]) -> Record:
        """The data set as plain JSON values; ``category`` is what each category says beside its id and name."""
        categories = [
            {"id": number, "name": name, "supercategory": "", **category} for name, number in self.category_ids.items()
        ]
        return {"images": self.images, "annotations": self.annotations, "categories": categories}


def points_dataset(pictures: Iterable[PointAnnotations]) -> Record:
    """Counted pictures as a COCO data set of key points.

    Each point is an annotation with a single key point ``centre`` (and, plainly, ``point``), its score, and as its
    ``bbox`` a box of the examples' mean size centred on the point, cut at the picture's edge; without examples the box
    is one pixel. Of a picture with several kinds each is a category, which its examples name too. ``attributes.by``
    says who put it there, and ``images[].predicted`` is the model's own count, where somebody asks; ``negatives`` and
    ``region`` are there where there are any. A folder of pictures with such a file as
    ``annotations.json`` is a counting data set. Where
    there are outlines, each is an annotation with its mask, its own ``bbox`` and its own score, and
    ``attributes.cut`` says whether the picture's border cuts it; points without an outline are left out.
    """
    dataset = CocoDataset()
    for picture in pictures:
        image = _image(picture.name, picture.size) | {
            "count": round(sum(kind.count for kind in picture.kinds), 4),
            "exemplars": [each for kind in picture.kinds for each in _exemplars(dataset, kind, picture)],
        }
        if picture.negatives:
            image["negatives"] = [{"bbox": _bbox(box)} for box in picture.negatives]
        if picture.region is not None:
            image["region"] = [[round(v, 2) for v in corner] for corner in picture.region]
        if picture.by is not None:
            own = [kind.predicted for kind in picture.kinds if kind.predicted is not None]
            image["predicted"] = round(sum(own), 4) if own else None
        for kind in picture.kinds:
            dataset.category(kind.category)
        dataset.add(image, [(kind.category, note) for kind in picture.kinds for note in _notes(kind)])
    return dataset.to_dict(KEYPOINTS)


def masks_dataset(pictures: Iterable[MaskAnnotation], *, compressed: bool = False) -> Record:
    """Segmented pictures as a COCO data set with one annotation each, none where the mask is empty.

    ``attributes.by`` says who drew it, where somebody asks. Run lengths are lists, or ``compressed`` into strings.
    """
    dataset = CocoDataset()
    for picture in pictures:
        height, width = picture.mask.shape
        note = {
            "segmentation": encode_rle(picture.mask, compressed=compressed),
            "area": int(picture.mask.sum()),
            "bbox": _bbox(picture.box),
            "iscrowd": 0,
        } | _by(picture.by)
        dataset.category(NAMELESS)
        dataset.add(_image(picture.name, (width, height)), [(NAMELESS, note)] if picture.mask.any() else ())
    return dataset.to_dict({})


def _image(name: str, size: tuple[int, int]) -> Record:
    return {"file_name": name, "width": size[0], "height": size[1]}


def _exemplars(dataset: CocoDataset, kind: PointAnnotations, picture: PointAnnotations) -> list[Record]:
    """The boxes of a kind's examples, with its category where the picture has several."""
    told = {"category_id": dataset.category(kind.category)} if picture.beside else {}
    return [{"bbox": _bbox(box)} | told for box in kind.exemplars]


def _notes(picture: PointAnnotations) -> list[Record]:
    return _point_notes(picture) if picture.outlines is None else _outline_notes(picture, picture.outlines)


def _point_notes(picture: PointAnnotations) -> list[Record]:
    points = picture.points.astype(np.float64)
    boxes = clip_boxes(centred_boxes(points, np.array(picture.object_size or (1.0, 1.0))), picture.size)
    makers: Sequence[str | None] = picture.by or [None] * len(points)
    return [
        _point_note(*each)
        for each in zip(points.tolist(), boxes.tolist(), picture.scores.tolist(), makers, strict=True)
    ]


def _point_note(point: Sequence[float], box: Box, score: float, by: str | None) -> Record:
    x, y = (round(v, 2) for v in point)
    bbox = _bbox(box)
    return {
        "bbox": bbox,
        "area": round(bbox[2] * bbox[3], 2),
        "iscrowd": 0,
        "keypoints": [x, y, 2],
        "num_keypoints": 1,
        "point": [x, y],
        "score": round(score, 4),
    } | _by(by)


def _outline_notes(picture: PointAnnotations, outlines: Outlines) -> list[Record]:
    notes = []
    for number, box, score, cut in zip(
        outlines.numbers.tolist(), outlines.boxes.tolist(), outlines.scores.tolist(), outlines.cut.tolist(), strict=True
    ):
        mask, corner = outlines.crop(number)
        by = None if picture.by is None else picture.by[number - 1]
        note = _point_note(picture.points[number - 1].tolist(), box, score, by)
        note |= {"segmentation": encode_crop(mask, corner, outlines.labels.shape), "area": int(mask.sum())}
        note["attributes"] = {**note.get("attributes", {}), "cut": cut}
        notes.append(note)
    return notes


def _by(who: str | None) -> Record:
    return {} if who is None else {"attributes": {"by": who}}


def _bbox(box: Box) -> list[float]:
    return [round(v, 2) for v in xyxy_to_xywh(box)]
