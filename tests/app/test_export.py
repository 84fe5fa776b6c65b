"""A project as a table and as COCO, read back by what others use."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from likewise.app.export import to_csv, to_format
from likewise.app.project import Project
from likewise.data.counting.folder import CountingFolder
from likewise.errors import LikewiseError
from likewise.results.formats import format_of
from likewise.types import Task

from .conftest import BOXES, coins, encoded

#: Pictures of a project: counted by example and by name, not yet, and with masks.
MADE_UP = json.loads((Path(__file__).parents[1] / "made_up_project.json").read_text(encoding="utf-8"))
COUNTED, BY_NAME, UNCOUNTED = (MADE_UP[name] for name in ("counted", "by_name", "uncounted"))
FOUND, NOTHING = MADE_UP["found"], MADE_UP["nothing"]


def to_coco(project: Project, task: Task) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_format(project, task, "coco"))
    return found


@pytest.fixture
def project() -> Project:
    return Project.model_validate({"format": 1, "saved": "2026", "pictures": [COUNTED, BY_NAME, UNCOUNTED]})


def test_prediction_and_corrections_are_kept_apart_in_the_table(project: Project) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(project, "count"), newline="")))
    assert [row["image"] for row in rows] == ["a2.png", "b, with a comma.png"]
    first = rows[0]
    # a removal that hits no point of the prediction is none
    assert [float(first[key]) for key in ("count", "predicted", "added", "removed", "points")] == [4, 3.4, 2, 1, 4]
    assert (first["low"], first["high"], first["untrusted"], first["by"]) == ("", "", "", "hand")
    assert (first["model"], first["seconds"]) == ("spdcn-lite", "0.250")
    assert float(rows[1]["count"]) == float(rows[1]["predicted"]) == 3.4
    assert (rows[1]["low"], rows[1]["high"], rows[1]["by"]) == ("2.5000", "5.0000", "model")


def test_the_table_says_where_a_prediction_cannot_be_trusted() -> None:
    wild = {**BY_NAME, "prediction": {**COUNTED["prediction"], "low": None, "high": None, "untrusted": True}}
    project = Project.model_validate({"format": 1, "pictures": [wild]})
    (row,) = csv.DictReader(io.StringIO(to_csv(project, "count"), newline=""))
    assert (row["low"], row["high"], row["untrusted"]) == ("", "", "untrusted")


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ({}, None),
        ({"confirmed": True}, 3),
        ({"added": [[7, 7]]}, 4),
        ({"removed": [[20, 20]]}, 2),
        ({"removed": [[21, 20]]}, None),  # no point of the prediction
    ],
)
def test_what_a_person_corrected_or_confirmed_counts_its_points(said: dict[str, Any], seen: int | None) -> None:
    points = {"points": [[20, 20], [60, 50], [90, 90]], "scores": [0.9, 0.8, 0.7]}
    picture = {**BY_NAME, "prediction": {**BY_NAME["prediction"], **points, "count": 3.6, "low": 3, "high": 4}, **said}
    project = Project.model_validate({"format": 1, "pictures": [picture]})
    (row,) = csv.DictReader(io.StringIO(to_csv(project, "count"), newline=""))
    coco = to_coco(project, "count")
    assert (row["count"], row["low"], row["by"]) == (
        ("3.6000", "3.0000", "model") if seen is None else (str(seen), "", "hand")
    )
    assert coco["images"][0]["count"] == (3.6 if seen is None else seen)
    assert seen in (None, len(coco["annotations"]))
    assert int(row["points"]) == len(coco["annotations"])
    assert row["predicted"] == "3.6000"


def test_a_spreadsheet_computes_nothing_and_shows_every_letter(project: Project) -> None:
    first, *_ = project.pictures
    named = project.model_copy(update={"pictures": [first.model_copy(update={"name": "=1+1 Zählung\n.png"})]})
    held = to_csv(named, "count").encode()
    assert held.startswith(b"\xef\xbb\xbfimage,")
    [row] = csv.DictReader(io.StringIO(held.decode("utf-8-sig"), newline=""))
    assert row["image"] == "'=1+1 Zählung\\n.png"


def test_only_by_hand() -> None:
    picture = {**UNCOUNTED, "exemplars": [], "added": [[1, 1], [2, 2]]}
    project = Project.model_validate({"format": 1, "pictures": [picture]})
    (row,) = csv.DictReader(io.StringIO(to_csv(project, "count"), newline=""))
    assert (float(row["count"]), row["predicted"], row["low"], row["added"]) == (2.0, "", "", "2")


def test_areas_and_labels_have_tables_of_their_own() -> None:
    picture = {
        **UNCOUNTED,
        "segmented": {"model": "fwb-lite", "area": 0.125, "boxes": [[0, 0, 5, 5]], "seconds": 1},
        "recognized": {"model": "s3n-lite", "label": "a lemon", "probability": 0.5, "top": [["a lemon", 0.5]]},
    }
    project = Project.model_validate({"format": 1, "pictures": [picture]})
    (area,) = csv.DictReader(io.StringIO(to_csv(project, "segment"), newline=""))
    assert (area["area"], area["parts"], area["by"], area["model"]) == ("0.125000", "1", "model", "fwb-lite")
    (label,) = csv.DictReader(io.StringIO(to_csv(project, "recognize"), newline=""))
    assert (label["label"], label["probability"]) == ("a lemon", "0.5000")


MASK = np.zeros((10, 12), dtype=bool)
MASK[2:5, 1:4] = MASK[6:9, 8:11] = True
BRUSHED = {
    "name": "brushed.png",
    "width": 60,
    "height": 40,
    "strokes": [{"points": [[10, 10], [40, 10]], "width": 8}, {"points": [[40, 10]], "width": 8, "erase": True}],
}


def masks_project(*pictures: dict[str, Any]) -> Project:
    return Project.model_validate({"format": 1, "pictures": [*pictures, UNCOUNTED]})


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_masks_are_cocos_and_say_who_drew_them(tmp_path: Path) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(to_coco(masks_project(FOUND, BRUSHED, NOTHING), "segment")))
    with contextlib.redirect_stdout(io.StringIO()):
        read = pycocotools.COCO(str(path))
    assert [image["file_name"] for image in read.loadImgs([1, 2, 3])] == ["found.png", "brushed.png", "nothing.png"]
    found, brushed = read.loadAnns([1, 2])
    assert np.array_equal(read.annToMask(found).astype(bool), MASK)
    assert (found["area"], found["bbox"], found["attributes"]) == (18, [1, 2, 10, 7], {"by": "model"})
    assert (brushed["image_id"], brushed["attributes"]) == (2, {"by": "hand"})
    assert brushed["area"] == pytest.approx(
        30 * 8, rel=0.1
    )  # a disc at one end is gone, half a disc at the other there
    assert read.getAnnIds(imgIds=[3]) == []


def test_brushed_pictures_are_in_the_table_of_areas() -> None:
    found, brushed, nothing = csv.DictReader(
        io.StringIO(to_csv(masks_project(FOUND, BRUSHED, NOTHING), "segment"), newline="")
    )
    assert (found["area"], found["parts"], found["by"], found["model"]) == ("0.150000", "2", "model", "fwb-lite")
    assert (brushed["parts"], brushed["by"], brushed["model"]) == ("1", "hand", "")
    assert float(brushed["area"]) == pytest.approx(30 * 8 / 2400, rel=0.1)
    assert (nothing["area"], nothing["parts"]) == ("0.000000", "0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 13}, "of another size"),
        ({"segmented": {**FOUND["segmented"], "segmentation": {"size": [10, 12], "counts": "h30"}}}, None),
        ({"segmented": {**FOUND["segmented"], "segmentation": {"size": [10, 12], "counts": "99"}}}, "do not fit"),
        ({"width": 1 << 20, "height": 1 << 20}, "too many for a mask"),
    ],
)
def test_a_mask_that_does_not_fit_its_picture_is_refused(change: dict[str, Any], message: str | None) -> None:
    project = masks_project({**FOUND, **change})
    if message is None:  # a run of no pixels at the end is one that fits
        assert to_coco(project, "segment")["annotations"] == []
        return
    with pytest.raises(LikewiseError, match=message):
        to_coco(project, "segment")


def test_labels_are_no_coco_annotations() -> None:
    with pytest.raises(LikewiseError, match="export a table"):
        to_coco(masks_project(), "recognize")


def check_coco(found: dict[str, Any]) -> None:
    """The rules of cocodataset.org's format for detections and key points, which its readers rely on."""
    assert {"info", "licenses", "images", "annotations", "categories"} <= set(found)
    images = {image["id"]: image for image in found["images"]}
    assert len(images) == len(found["images"])
    for image in images.values():
        assert isinstance(image["id"], int)
        assert image["width"] > 0
        assert image["height"] > 0
        assert image["file_name"]
    categories = {category["id"]: category for category in found["categories"]}
    assert min(categories) >= 1
    for category in categories.values():
        assert isinstance(category["name"], str)
        assert isinstance(category["supercategory"], str)
        assert len(category["keypoints"]) == 1
        assert isinstance(category["skeleton"], list)
    assert len({note["id"] for note in found["annotations"]}) == len(found["annotations"])
    for note in found["annotations"]:
        image = images[note["image_id"]]
        assert note["id"] >= 1
        assert note["category_id"] in categories
        assert note["iscrowd"] in (0, 1)
        x, y, width, height = note["bbox"]
        assert min(x, y) >= 0
        assert x + width <= image["width"] + 0.01
        assert y + height <= image["height"] + 0.01
        assert note["area"] == pytest.approx(width * height, abs=0.01)
        assert len(note["keypoints"]) == 3 * note["num_keypoints"] == 3
        assert note["keypoints"][2] in (0, 1, 2)


def test_coco_keeps_the_rules_and_says_who_put_a_point(project: Project) -> None:
    found = json.loads(json.dumps(to_coco(project, "count")))
    check_coco(found)
    assert [image["file_name"] for image in found["images"]] == ["a2.png", "b, with a comma.png"]
    assert [image["count"] for image in found["images"]] == [4, 3.4]
    assert found["images"][0]["predicted"] == 3.4
    own = [note for note in found["annotations"] if note["image_id"] == 1]
    assert [note["point"] for note in own] == [[20, 20], [100.12, 50], [150, 100], [10.5, 100]]
    assert [note["attributes"]["by"] for note in own] == ["model", "model", "hand", "hand"]
    assert [c["name"] for c in found["categories"]] == ["object", "shells"]


def test_what_a_name_found_says_how_large_things_are(project: Project) -> None:
    by_name = project.pictures[1]
    assert by_name.object_size is None
    assert by_name.prediction is not None
    found = by_name.prediction.model_copy(update={"found": ((10.0, 10.0, 30.0, 34.0), (50.0, 10.0, 60.0, 26.0))})
    named = by_name.model_copy(update={"prediction": found})
    assert named.object_size == (15, 20)
    boxes = [n["bbox"] for n in to_coco(project.model_copy(update={"pictures": (named,)}), "count")["annotations"]]
    assert [10, 10, 20, 20] not in boxes
    assert [52.5, 10, 15, 20] in boxes


def test_a_result_itself_keeps_the_rules_too(client: TestClient, ids: dict[str, str]) -> None:
    from likewise.predict import Counter

    found = Counter.load("spdcn-lite").count(coins(), [tuple(box) for box in BOXES]).to_coco()
    found["images"][0]["file_name"] = "a2.png"
    check_coco({"info": {}, "licenses": [], **found})


def test_coco_is_read_by_pycocotools(project: Project, tmp_path: Path) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(to_coco(project, "count")))
    with contextlib.redirect_stdout(io.StringIO()):
        read = pycocotools.COCO(str(path))
    assert len(read.getAnnIds(imgIds=[1])) == 4
    (kept,) = read.loadAnns(read.getAnnIds(imgIds=[2]))[:1]
    assert kept["keypoints"] == [20, 20, 2]


def test_a_corrected_project_is_a_counting_data_set(project: Project, tmp_path: Path) -> None:
    only = project.model_copy(update={"pictures": project.pictures[:1]})
    (tmp_path / "a2.png").write_bytes(encoded(coins()))
    (tmp_path / "annotations.json").write_text(json.dumps(to_coco(only, "count")))
    sample = CountingFolder(tmp_path)[0]
    assert sample.exemplars.tolist() == COUNTED["exemplars"]
    np.testing.assert_allclose(sample.points, [[20, 20], [100.12, 50], [150, 100], [10.5, 100]])


def test_the_api_exports_the_same(client: TestClient, project: Project) -> None:
    body = json.loads(project.model_dump_json())
    answer = client.post("/api/v1/export/csv", json=body)
    assert answer.text == to_csv(project, "count")
    assert 'filename="likewise-count.csv"' in answer.headers["content-disposition"]
    answer = client.post("/api/v1/export/coco", json=body)
    assert answer.json() == to_coco(project, "count")
    assert 'filename="annotations.json"' in answer.headers["content-disposition"]
    assert client.post("/api/v1/export/cocoa", json=body).json()["error"].endswith("did you mean 'coco'?")
    assert client.post("/api/v1/export/coco?task=recognize", json=body).status_code == 422
    assert client.post("/api/v1/export/csv?task=weigh", json=body).status_code == 422


@pytest.mark.parametrize(
    ("form", "module", "head"),
    [
        ("points", None, b"picture,"),
        ("geojson", None, b"PK"),
        ("imagej", "roifile", b"PK"),
        ("parquet", "pyarrow", b"PAR1"),
    ],
)
def test_the_api_exports_forms_of_bytes(
    form: str, module: str | None, head: bytes, client: TestClient, project: Project
) -> None:
    if module is not None:
        pytest.importorskip(module, reason="needs an extra")
    offered = client.get("/api/v1/models").json()["formats"]["count"]
    assert set(offered) == {"coco", "points", "parquet", "geojson", "imagej"}
    answer = client.post(f"/api/v1/export/{form}", json=json.loads(project.model_dump_json()))
    assert answer.status_code == 200
    assert answer.content.startswith(head)
    assert f'filename="{format_of("count", form).file}"' in answer.headers["content-disposition"]


def test_the_api_says_what_is_not_in_a_project(client: TestClient, project: Project) -> None:
    answer = client.post("/api/v1/export/gpkg", json=json.loads(project.model_dump_json()))
    assert answer.status_code == 422
    assert "a project holds no coordinates, which gpkg needs" in answer.json()["error"]
