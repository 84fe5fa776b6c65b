"""Scores of outlines against COCO's own evaluation, and by hand."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest

from likewise.lab.suite.outline_scores import OutlineErrors, box_overlaps, mask_overlaps

RNG = np.random.default_rng(3)


def drawn(number: int) -> np.ndarray:
    corners = RNG.uniform(0, 80, (number, 2))
    return np.concatenate([corners, corners + RNG.uniform(8, 30, (number, 2))], 1)


def test_average_precision_is_that_of_coco() -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools, of the [dev] extra")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    errors, notes, results = OutlineErrors(), [], []
    for image in range(12):
        truth = drawn(9)
        found = np.concatenate([truth[:7] + RNG.normal(0, 1.5, (7, 4)), truth[:2] + 1, drawn(4)])
        scores = RNG.permutation(len(found)) / len(found) + image / 1000
        errors.add(box_overlaps(found, truth), scores)
        sides = [(*box[:2], *(box[2:] - box[:2])) for box in truth]
        notes += [
            {"id": len(notes) + i + 1, "image_id": image, "category_id": 1, "bbox": list(map(float, box)), "iscrowd": 0}
            | {"area": float(box[2] * box[3])}
            for i, box in enumerate(sides)
        ]
        results += [
            {"image_id": image, "category_id": 1, "bbox": [*map(float, (x0, y0, x1 - x0, y1 - y0))], "score": float(s)}
            for (x0, y0, x1, y1), s in zip(found, scores, strict=True)
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        truths = coco.COCO()
        truths.dataset = {"images": [{"id": i} for i in range(12)], "annotations": notes, "categories": [{"id": 1}]}
        truths.createIndex()
        judged = evaluation.COCOeval(truths, truths.loadRes(results), "bbox")
        judged.params.maxDets = [1, 10, 1000]
        judged.evaluate()
        judged.accumulate()
    theirs = judged.eval["precision"][0, :, 0, 0, 2].mean()
    assert 0.5 < theirs < 0.95
    assert errors.average_precision == pytest.approx(theirs, abs=1e-9)


def test_each_thing_is_found_once() -> None:
    errors = OutlineErrors()
    errors.add(np.array([[0.9], [0.8], [0.7]]), [0.1, 0.9, 0.5])
    assert (errors.found, errors.true, errors.overlaps) == (3, 1, [0.9])
    assert (errors.recall, errors.f1) == (1, 0.5)


def test_where_nothing_is_found_or_nothing_is_there() -> None:
    nothing, empty = OutlineErrors(), OutlineErrors()
    nothing.add(np.zeros((0, 5)), [])
    assert (nothing.recall, nothing.f1, nothing.average_precision) == (0, 0, 0)
    assert math.isnan(nothing.mean_overlap)
    empty.add(np.zeros((2, 0)), [0.5, 0.6])
    assert math.isnan(empty.average_precision)
    assert empty.f1 == 0


def test_overlaps_of_masks_are_counted_pixels() -> None:
    found, truth = (RNG.integers(0, 5, (30, 40)) for _ in range(2))
    table = mask_overlaps(found, truth)
    for f in range(1, 5):
        for t in range(1, 5):
            both, either = (found == f) & (truth == t), (found == f) | (truth == t)
            assert table[f - 1, t - 1] == pytest.approx(both.sum() / either.sum())
