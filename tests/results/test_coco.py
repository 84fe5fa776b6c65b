"""COCO data sets: what older versions wrote, value by value and in their order, and what others read."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise.app.export import to_format
from likewise.app.project import Project
from likewise.errors import LikewiseError
from likewise.results import CountResult, SegmentResult
from likewise.results.coco import CocoDataset
from likewise.results.formats import FORMATS, format_of, format_suffix
from likewise.scenes import SceneConfig, write_scenes
from likewise.types import Prompt

EXPECTED = json.loads((Path(__file__).parent / "expected" / "coco.json").read_text(encoding="utf-8"))
#: Pictures of a project: counted by example and by name, not yet, and with masks.
MADE_UP = json.loads((Path(__file__).parents[1] / "made_up_project.json").read_text(encoding="utf-8"))
COUNTED, BY_NAME, UNCOUNTED = (MADE_UP[name] for name in ("counted", "by_name", "uncounted"))
FOUND, NOTHING = MADE_UP["found"], MADE_UP["nothing"]
BY_HAND = {"name": "hand.png", "width": 40, "height": 30, "added": [[1, 1]]}
MASK = np.zeros((10, 12), dtype=bool)
MASK[2:5, 1:4] = MASK[6:9, 8:11] = True
BRUSHED = {
    "name": "brushed.png",
    "width": 60,
    "height": 40,
    "strokes": [{"points": [[10, 10], [40, 10]], "width": 8}],
}


def counted(**changes: Any) -> CountResult:
    fields: dict[str, Any] = {
        "grid": np.full((3, 4), 0.25, np.float32),
        "size": (200, 150),
        "points": np.array([[10.25, 20.5], [199.0, 149.0], [33.335, 70.127]], np.float32),
        "scores": np.array([0.9, 0.5, 0.12346], np.float32),
        "prompt": Prompt(((5, 10, 25, 40), (50.25, 50, 70.123, 80))),
        "model": "spdcn-lite",
        "seconds": 0.25,
        "image": np.zeros((150, 200, 3), np.uint8),
        "source": "dishes/first dish.jpg",
        "object_size": (20.0, 30.0),
    }
    return CountResult(**{**fields, **changes})


def segmented(*, anything: bool = True) -> SegmentResult:
    grid = np.zeros((6, 8), np.float32)
    if anything:
        grid[1:3, 1:4] = grid[4, 6] = 1
    image = np.zeros((6, 8, 3), np.uint8)
    return SegmentResult(grid=grid, size=(8, 6), model="fwb-lite", seconds=1.0, image=image, source="a/query.jpg")


def same(found: Any, key: str) -> bool:
    """Whether something is what was written before, also in the order of its keys."""
    return json.dumps(found) == json.dumps(EXPECTED[key])


def test_results_are_written_as_ever() -> None:
    assert same(counted().to_coco(), "count")
    nameless = counted(prompt=Prompt(text="shells"), object_size=None, source=None)
    assert same(nameless.to_coco(), "count_text")
    assert same(segmented().to_coco(), "segment")
    assert same(segmented(anything=False).to_coco(), "segment_none")


def test_projects_are_written_as_ever() -> None:
    pictures = [COUNTED, BY_NAME, UNCOUNTED, BY_HAND]
    project = Project.model_validate({"format": 1, "saved": "2026", "likewise": "1", "pictures": pictures})
    assert same(json.loads(to_format(project, "count", "coco")), "project_count")
    pictures = [FOUND, BRUSHED, NOTHING, UNCOUNTED]
    project = Project.model_validate({"format": 1, "saved": "2026", "pictures": pictures})
    assert same(json.loads(to_format(project, "segment", "coco")), "project_segment")


def test_scenes_are_put_together_as_ever(tmp_path: Path) -> None:
    config = SceneConfig(seed=3)
    write_scenes(config, 1, tmp_path)  # makes the folder, and says whose it is
    for index, record in enumerate(EXPECTED["scenes_records"]):
        (tmp_path / "scenes" / f"{index:06d}.json").write_text(json.dumps(record))
    text = write_scenes(config, 3, tmp_path).read_text()
    found = json.loads(text)
    assert found["info"].pop("config")["seed"] == 3
    assert same(found, "scenes")
    assert ", " not in text.replace("centroid of the visible part", "")  # without a space that need not be


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@pytest.mark.parametrize("task", ["count", "segment"])
def test_the_file_of_one_result_is_read_by_pycocotools(task: str, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    result = counted() if task == "count" else segmented()
    result.save(tmp_path, formats=["coco"])
    (path,) = tmp_path.glob("*_coco.json")
    assert path.name == ("first dish_coco.json" if task == "count" else "query_coco.json")
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO(path)
    notes = data.loadAnns(data.getAnnIds(imgIds=[1]))
    if isinstance(result, CountResult):
        assert [note["point"] for note in notes] == [[10.25, 20.5], [199.0, 149.0], [33.33, 70.13]]
        assert json.loads(path.read_text()) == result.to_coco()
    else:
        assert np.array_equal(data.annToMask(notes[0]).astype(bool), result.mask)


def test_a_form_that_there_is_not_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(LikewiseError, match="no form 'cocoa' of what it takes to count; did you mean 'coco'"):
        counted().save(tmp_path / "new", formats=["coco", "cocoa"])
    assert not (tmp_path / "new").exists()
    with pytest.raises(LikewiseError, match=r"to recognize; export a table \(CSV\)"):
        format_of("recognize", "coco")


def test_every_form_says_what_it_is() -> None:
    for task, named in FORMATS.items():
        for name, form in named.items():
            assert ":" in form.title
            assert format_suffix(task, name).startswith("_")
            assert Path(form.file).suffix
        assert len({format_suffix(task, name) for name in named}) == len(named)
    assert format_suffix("count", "coco") == format_suffix("segment", "coco") == "_coco.json"


def test_ids_count_from_one_in_the_order_of_adding() -> None:
    dataset = CocoDataset()
    assert dataset.category("pear") == dataset.category("pear") == 1
    dataset.add({"file_name": "a"}, [("pear", {}), ("nut", {})])
    image, notes = dataset.add({"file_name": "b"}, [("nut", {"area": 4})])
    assert image == {"id": 2, "file_name": "b"}
    assert notes == [{"id": 3, "image_id": 2, "category_id": 2, "area": 4}]
    assert [c["name"] for c in dataset.to_dict({})["categories"]] == ["pear", "nut"]
