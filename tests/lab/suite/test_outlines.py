"""The suite of outlines: what it asks, and rows worked out by hand."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from skimage.draw import disk

from likewise.errors import LikewiseError
from likewise.lab.suite import outlines
from likewise.lab.suite.outlines import Asked, otsu_watershed

TRUTH = np.zeros((40, 60), np.int32)
TRUTH[5:15, 5:15], TRUTH[5:15, 30:40], TRUTH[25:35, 30:40] = 1, 2, 3
BOXES = np.array([[5, 5, 15, 15], [30, 5, 40, 15], [30, 25, 40, 35]], float)


class Outlining:
    """Finds the first thing as it is, the second with half of its pixels, and the third not at all."""

    def count(self, image, exemplars, *, outlines):
        assert outlines
        labels = np.where(TRUTH == 1, 1, 0)
        labels[5:15, 30:35] = 2
        boxes = np.array([[5, 5, 15, 15], [30, 5, 35, 15]], float)
        return SimpleNamespace(outlines=SimpleNamespace(labels=labels, boxes=boxes, scores=np.array([0.9, 0.8])))


def only(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> outlines.Row:
    monkeypatch.setattr(outlines, "sets", lambda data: {"made": lambda: iter([asked])})
    return next(outlines.measure(Outlining(), Path()))


def test_a_row_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    row = only(monkeypatch, Asked(np.zeros((40, 60, 3), np.uint8), ((5, 5, 15, 15),), BOXES, TRUTH))
    assert (row.name, row.pictures) == ("made", 1)
    assert row.masks is not None
    assert row.masks.overlaps == [1, 0.5]
    assert row.masks.f1 == pytest.approx(2 * 2 / (2 + 3))
    assert row.boxes.f1 == row.masks.f1
    assert row.area == pytest.approx(abs((100 + 50) / 2 / 100 - 1))
    assert row.peer is not None
    assert row.peer.f1 == 0  # in an even picture there is no threshold


def test_what_else_is_found_is_not_wrong_where_only_some_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    row = only(monkeypatch, Asked(np.zeros((40, 60, 3), np.uint8), ((5, 5, 15, 15),), BOXES[:1], partly=True))
    assert (row.masks, row.area, row.peer) == (None, None, None)
    assert row.boxes.f1 == 1


def test_the_peer_tells_touching_discs_apart_on_either_ground() -> None:
    grey = np.full((60, 90), 230, np.uint8)
    for column in (25, 47, 75):
        grey[disk((30, column), 12)] = 40
    for shown in (grey, 255 - grey):
        found = otsu_watershed(np.repeat(shown[..., None], 3, 2))
        assert len(np.unique(found[found > 0])) == 3


def test_every_set_has_true_boxes(data_dir: Path) -> None:
    for name, questions in outlines.sets(data_dir).items():
        for asked in islice(questions(), 2):
            assert len(asked.boxes), name
            assert 1 <= len(asked.exemplars) <= 3
            if asked.masks is not None:
                assert asked.masks.shape == asked.pixels.shape[:2]
                assert len(np.unique(asked.masks[asked.masks > 0])) == len(asked.boxes)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LikewiseError, match="lacks nuclei, blood"):
        outlines.sets(tmp_path)
