"""The forms of several kinds at once: each kind can be told from the others in all of them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from likewise.data.counting.folder import CountingFolder
from likewise.errors import LikewiseError
from likewise.regions import grid_regions
from likewise.results import CountResult, KindsResult
from likewise.results.kinds import Confusion
from likewise.results.legend import COLOURS, kind_colours
from likewise.types import Prompt


def result(points: list[tuple[float, float]], box: tuple[float, float, float, float]) -> CountResult:
    grid = np.zeros((20, 30), np.float32)
    for x, y in points:
        grid[int(y), int(x)] += 1
    return CountResult(
        grid,
        (30, 20),
        np.float32(points),
        np.ones(len(points), np.float32),
        Prompt([box]),
        "by hand",
        0.1,
        np.zeros((20, 30, 3), np.uint8),
        source="dish.png",
        object_size=(4.0, 4.0),
        warnings=("Look.",),
    )


@pytest.fixture
def kinds() -> KindsResult:
    red, white = result([(5, 5), (15, 5)], (3, 3, 7, 7)), result([(25, 15)], (23, 13, 27, 17))
    return KindsResult({"red": red, "white": white}, (Confusion(("red", "white"), 0.4),), 0.3)


def test_a_mapping_of_results(kinds):
    assert list(kinds) == ["red", "white"]
    assert (kinds.total, kinds["white"].count, len(kinds)) == (3.0, 1.0, 2)
    assert repr(kinds) == "<KindsResult of dish.png: red 2.00, white 1.00 by by hand, 3 warnings>"
    assert kinds.warnings[1:] == ("red: Look.", "white: Look.")
    with pytest.raises(KeyError, match="did you mean 'white'"):
        kinds["whites"]
    with pytest.raises(LikewiseError, match="expected one at least"):
        KindsResult({})


def test_json_and_files(kinds, tmp_path):
    told = kinds.to_dict()
    assert told["total"] == 3.0
    assert told["kinds"]["red"]["points"] == [[5.0, 5.0], [15.0, 5.0]]
    assert told["confusions"] == [{"kinds": ["red", "white"], "share": 0.4}]
    path = kinds.save(tmp_path, formats=["coco", "geojson", "points"])
    assert path.name == "dish_count.png"
    assert json.loads((tmp_path / "dish_count.json").read_text())["prompt"]["kinds"]["white"]["exemplars"]
    with np.load(tmp_path / "dish_densities.npz") as held:
        assert {name: round(float(held[name].sum())) for name in held} == {"red": 2, "white": 1}
    rows = list(csv.DictReader((tmp_path / "dish_points.csv").read_text().splitlines()))
    assert [row["category"] for row in rows] == ["red", "red", "white"]
    features = json.loads((tmp_path / "dish_points.geojson").read_text())["features"]
    classes = [each["properties"]["classification"] for each in features if each["geometry"]["type"] == "Point"]
    assert [each["name"] for each in classes] == ["red", "red", "white"]
    assert classes[0]["color"] != classes[2]["color"]


def test_coco_is_a_data_set_of_several_kinds(kinds, tmp_path):
    coco = kinds.to_coco()
    assert [each["name"] for each in coco["categories"]] == ["red", "white"]
    assert len(coco["images"]) == 1
    (tmp_path / "annotations.json").write_text(json.dumps(coco))
    read = CountingFolder(tmp_path)
    assert [(each.prompt, len(each.points), len(each.exemplars)) for each in read.targets] == [
        ("red", 2, 1),
        ("white", 1, 1),
    ]


def test_imagej_has_points_of_each_kind(kinds, tmp_path):
    roifile = pytest.importorskip("roifile", reason="roifile is not installed")
    kinds.save(tmp_path, formats=["imagej"])
    names = [roi.name for roi in roifile.roiread(tmp_path / "dish_rois.zip")]
    assert names == ["red", "white", "red-example-1", "white-example-1"]


def test_a_density_is_of_one_kind(kinds, tmp_path):
    with pytest.raises(LikewiseError, match=r"of one kind; save that of each by itself, as of result\['red'\]"):
        kinds.save(tmp_path, formats=["ome-zarr"])


def test_regions_by_kind(kinds):
    found = kinds.by_region(grid_regions((0, 0, 30, 20), 1, 2))
    assert {name: [each.count for each in held] for name, held in found.items()} == {
        "red": [1.0, 1.0],
        "white": [0.0, 1.0],
    }


def test_each_kind_has_its_colour_and_a_line(kinds):
    plot = kinds.plot()
    seen = {colour for _, colour in plot.getcolors(1 << 24)}
    assert set(COLOURS[:2]) <= seen
    assert plot.height > 600
    assert len(set(kind_colours(40))) == 40
