from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.adaptation.corrections import Correction, edited_points, read_corrections
from likewise.errors import LikewiseError


def folder(tmp_path: Path, images: list[dict], annotations: list[dict], categories: list[dict] | None = None) -> Path:
    for index, image in enumerate(images):
        image |= {"id": index, "file_name": f"{index}.png", "width": 40, "height": 30}
        Image.new("RGB", (40, 30), "white").save(tmp_path / image["file_name"])
    content = {"images": images, "annotations": annotations, "categories": categories or [{"id": 1, "name": "dot"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def note(image: int, point: tuple[float, float], by: str | None = None, category: int = 1) -> dict:
    attributes = {} if by is None else {"attributes": {"by": by}}
    return {"image_id": image, "category_id": category, "point": list(point), **attributes}


def test_a_folder_gives_every_form(tmp_path: Path):
    images = [
        {"exemplars": [[1, 2, 5, 6]], "negatives": [{"bbox": [10, 10, 4, 6]}]},
        {"count": 7},
        {"count": 3, "region": [[0, 0], [20, 0], [20, 30]]},
        {},
    ]
    found, said = read_corrections(folder(tmp_path, images, [note(0, (3, 4)), note(0, (8.5, 9))]))
    assert [each.kind for each in found] == ["points", "count", "count in a region"]
    assert found[0].points == ((3, 4), (8.5, 9))
    assert found[0].exemplars == ((1, 2, 5, 6),)
    assert found[0].negatives == ((10, 10, 14, 16),)
    assert (found[1].count, found[1].region) == (7, None)
    assert found[2].prompt.region == ((0, 0), (20, 0), (20, 30))
    assert found[0].image == tmp_path / "0.png"
    assert said == ("left out 3.png: neither annotations nor a count",)


def test_what_nobody_touched_in_an_export_is_left_out(tmp_path: Path):
    images = [
        {"count": 2.0, "predicted": 2.0},  # as the model left it
        {"count": 2.0, "predicted": 1.0},  # a point was added
        {"count": 1.0, "predicted": 2.0},  # a point was removed
        {"count": 1.0, "predicted": 1.0},  # one removed, one added
        {"count": 1.0, "predicted": 1.0, "reviewed": True},
    ]
    notes = [
        *(note(0, (x, 3), "model") for x in (3, 9)),
        note(1, (3, 3), "model"),
        note(1, (5, 5), "hand"),
        note(2, (3, 3), "model"),
        note(3, (4, 4), "hand"),
        note(4, (4, 4), "model"),
    ]
    found, said = read_corrections(folder(tmp_path, images, notes))
    assert [each.name for each in found] == ["1.png", "2.png", "3.png", "4.png"]
    assert len(said) == 1
    assert "left out 0.png: as the model left it" in said[0]


def test_limit_and_kind(tmp_path: Path):
    kinds = [{"id": 1, "name": "apple"}, {"id": 2, "name": "pear"}]
    boxes = [{"bbox": [1, 1, 4, 4], "category_id": 1}, {"bbox": [9, 1, 4, 4], "category_id": 2}]
    images = [{"exemplars": boxes}, {"exemplars": boxes}]
    notes = [{**note(i, (3, 3), category=c), "bbox": [1, 1, 4, 4]} for i in (0, 1) for c in (1, 2, 2)]
    path = folder(tmp_path, images, notes, kinds)
    with pytest.raises(LikewiseError, match="several kinds of things in a picture; teach one: category = one of"):
        read_corrections(path)
    found, _ = read_corrections(path, category="pear", limit=1)
    assert len(found) == 1
    assert len(found[0].points) == 2
    assert found[0].text == "pear"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected one truth, points, added and removed, or count; got none"),
        ({"points": [], "count": 3}, "got several"),
        ({"count": 3, "added": [(1, 1)]}, "got several"),
        ({"count": "many"}, "count is 'many'; expected a number from 0 on"),
        ({"count": -1}, "count is -1; expected a number from 0 on"),
        ({"count": float("nan")}, "count is nan"),
        ({"count": True}, "count is True"),
        ({"points": [(1, 2, 3)]}, "expected a list of points"),
        ({"points": [(1, float("inf"))]}, "holds a point that is not finite"),
        ({"count": 1, "region": [(0, 0), (1, 1)]}, "at least three"),
        ({"count": 1, "exemplars": [(5, 5, 1, 1)]}, "swapped corners"),
    ],
)
def test_what_no_truth_can_be_is_refused(given: dict, message: str):
    with pytest.raises(LikewiseError, match=r"^dish\.jpg: .*" + message):
        Correction("folder/dish.jpg", **given)


def test_nothing_there_is_a_truth():
    assert Correction("x.jpg", points=[]).kind == "points"
    assert Correction("x.jpg", count=0).kind == "count"


def test_edits_are_of_the_counters_own_points():
    own = np.array([[10.0, 10.0], [20.0, 20.0], [21.0, 20.0]], np.float32)
    kept = edited_points(own, [(5, 5)], [(20.2, 20.0), (20.4, 20.0)], side=10.0)
    assert kept.tolist() == [[10, 10], [5, 5]]
    with pytest.raises(LikewiseError, match=r"\(30, 30\) is none of the counter's: the nearest is 13 pixels away"):
        edited_points(own, [], [(30, 30)], side=10.0)
    with pytest.raises(LikewiseError, match="is none of the counter's"):
        edited_points(own[:1], [], [(10, 10), (10, 10)], side=10.0)
