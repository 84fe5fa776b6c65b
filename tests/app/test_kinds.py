"""Several kinds in one picture: asked for, kept, corrected and exported apart."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from likewise.app.answers import CountAnswer
from likewise.app.export import to_csv, to_format, to_region_csv
from likewise.app.forecast import network_pixels
from likewise.app.project import Project
from likewise.app.requests import CountRequest, Kind
from likewise.app.server import build_app
from likewise.predict import Counter

from .conftest import BOXES, SMALL, finished

KINDS = [{"name": "small", "exemplars": BOXES[:1]}, {"name": "large", "exemplars": BOXES[1:]}]
#: A picture with two kinds and one that was only added by hand, as a project file holds it.
MADE_UP: dict[str, Any] = {
    "name": "a2.png",
    "width": 180,
    "height": 130,
    "kinds": [
        {"name": "red", "exemplars": BOXES[:1]},
        {"name": "white", "exemplars": BOXES[1:], "added": [[150, 100]], "removed": [[60, 20]]},
        {"name": "odd", "added": [[5, 5]]},
    ],
    "regions": [{"name": "A1", "corners": [[0, 0], [90, 0], [90, 130], [0, 130]]}],
    "prediction": {
        "model": "spdcn-lite",
        "count": 4.2,
        "points": [[20, 20], [60, 30], [60, 20], [100, 50]],
        "scores": [0.9, 0.8, 0.7, 0.6],
        "kinds": [
            {"name": "red", "count": 2.2, "low": 2, "high": 3, "dots": 2, "object_size": [39, 35]},
            {"name": "white", "count": 2.0, "untrusted": True, "dots": 2, "object_size": [42, 42]},
        ],
        "confusions": [{"kinds": ["red", "white"], "share": 0.3}],
    },
}


@pytest.fixture
def project() -> Project:
    plain = {**MADE_UP, "name": "plain.png", "kinds": [], "exemplars": BOXES}
    plain["prediction"] = {"model": "spdcn-lite", "count": 1.4, "points": [[20, 20]], "scores": [0.9]}
    return Project.model_validate({"format": 1, "pictures": [MADE_UP, plain]})


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_each_kind_is_told_and_no_place_is_counted_twice(client: TestClient, ids: dict[str, str]) -> None:
    response = client.post("/api/v1/count", json={"picture": ids["a2.png"], "kinds": KINDS, "heat": True})
    answer = CountAnswer.model_validate_json(response.content)
    assert [each.name for each in answer.kinds] == ["small", "large"]
    assert answer.count == pytest.approx(sum(each.count for each in answer.kinds), abs=1e-3)
    assert [each.object_size for each in answer.kinds] == [(39, 35), (42, 42)]
    assert len(answer.points) == len(answer.scores) == len(set(answer.points))
    assert sum(each.dots or 0 for each in answer.kinds) == answer.dots == len(answer.points)
    assert (answer.heat or "").startswith("data:image/png")
    assert bool(answer.confusions) == bool(answer.warnings)
    apart = CountAnswer.model_validate_json(
        client.post("/api/v1/count", json={"picture": ids["a2.png"], "kinds": KINDS[::-1]}).content
    )
    assert {each.name: each.count for each in apart.kinds} == {each.name: each.count for each in answer.kinds}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"kinds": KINDS, "exemplars": BOXES}, "exemplars beside kinds: of which kind?"),
        ({"kinds": [KINDS[0], {"name": "Small", "exemplars": BOXES[1:]}]}, "'small' and 'Small' are one name"),
        ({"kinds": [KINDS[0], {"name": "large"}]}, "nothing shows the kind 'large'; expected exemplars or like in it"),
        ({"kinds": [{"name": "a=b", "exemplars": BOXES}]}, "is no name of a kind"),
        ({"kinds": [{"name": "a", "exemplars": [[0, 0, 0.001, 5]]}]}, "a: exemplars[0] is 0.001 x 5 pixels"),
        ({"kinds": [KINDS[0]] * 21}, "at most 20"),
    ],
)
def test_what_cannot_be_asked(client: TestClient, ids: dict[str, str], asked: dict[str, Any], told: str) -> None:
    response = client.post("/api/v1/count", json={"picture": ids["a2.png"], **asked})
    assert response.status_code == 422
    assert told in response.json()["error"]


def test_kinds_are_kept_carried_to_other_pictures_and_exported(folder: Path) -> None:
    with TestClient(build_app(folder, limits=SMALL), base_url="http://127.0.0.1:7878") as client:
        ids = {p["name"]: p["id"] for p in client.get("/api/v1/pictures").json()["pictures"]}
        like = {"picture": ids["a2.png"], "exemplars": BOXES[:1]}
        shown = [{"name": "small", "like": like}, {"name": "by hand", "added": [[9.0, 9.0]]}]
        change = {"picture": ids["a10.jpg"], "entry": {"kinds": shown}, "question": "q1"}
        assert client.patch("/api/v1/project", json={"pictures": [change]}).json() == {"unknown": []}
        job = {"task": "count", "pictures": [ids["a10.jpg"]], "kinds": [{"name": "small", "like": [like]}]}
        done = finished(client, client.post("/api/v1/jobs", json={**job, "keep": {ids["a10.jpg"]: "q1"}}).json())
        assert done["failed"] == 0
        [kind] = done["records"][0]["kinds"]
    with TestClient(build_app(folder, limits=SMALL), base_url="http://127.0.0.1:7878") as client:
        [brief] = client.get("/api/v1/project").json()["pictures"]
        assert brief["entry"]["kinds"] == shown
        assert brief["count"]["kinds"] == [kind]
        whole = client.get(f"/api/v1/project/pictures/{brief['picture']}").json()
        assert whole["count"]["kinds"] == [kind]
        assert len(whole["count"]["points"]) == kind["dots"] > 0
        [row] = table(client.post("/api/v1/project/export/csv").text)
        assert (row["count_small"], row["by_small"]) == (f"{kind['count']:.4f}", "model")
        assert (row["count_by hand"], row["by_by hand"]) == ("1", "hand")
        file = client.get("/api/v1/project/file").json()
        [told] = [each for each in file["pictures"] if each["name"] == "a10.jpg"]
        assert told["kinds"][0]["like"] == {"picture": "a2.png", "exemplars": BOXES[:1]}
        assert client.post("/api/v1/project/check", json=file).json() == {"pictures": 2, "missing": []}
        drawn = finished(client, client.post("/api/v1/project/overlays").json())
        archive = zipfile.ZipFile(io.BytesIO(client.get(f"/api/v1/jobs/{drawn['id']}/file").content))
        [name] = archive.namelist()
        with Image.open(archive.open(name)) as picture:
            assert picture.height > picture.width * 130 / 180 + 50  # the picture, and the legend below it


def test_a_table_has_columns_for_each_kind(project: Project) -> None:
    first, plain = table(to_csv(project, "count"))
    assert [first[f"{column}_red"] for column in ("count", "low", "high", "untrusted", "points", "by")] == [
        "2.2000", "2.0000", "3.0000", "", "2", "model",
    ]  # fmt: skip
    assert [first[f"{column}_white"] for column in ("count", "low", "untrusted", "points", "by")] == [
        "2", "", "", "2", "hand",
    ]  # fmt: skip
    assert (first["count_odd"], first["by_odd"]) == ("1", "hand")
    assert [first[column] for column in ("count", "predicted", "by", "added", "removed", "points")] == [
        "5.2000", "4.2000", "hand", "2", "1", "5",
    ]  # fmt: skip
    assert (plain["count"], plain["count_red"], plain["by_white"]) == ("1.4000", "", "")


def test_a_table_without_kinds_is_as_it_was(project: Project) -> None:
    plain = project.model_copy(update={"pictures": project.pictures[1:]})
    assert to_csv(plain, "count").splitlines()[0].endswith("model,seconds")
    assert to_region_csv(plain).splitlines() == ["image,region,count,by", "plain.png,A1,1,model"]


def test_coco_has_a_category_for_each_kind(project: Project) -> None:
    coco = json.loads(to_format(project, "count", "coco"))
    names = {each["id"]: each["name"] for each in coco["categories"]}
    assert list(names.values()) == ["red", "white", "odd", "object"]
    own = [(names[each["category_id"]], *each["point"]) for each in coco["annotations"] if each["image_id"] == 1]
    assert own == [
        ("red", 20, 20), ("red", 60, 30), ("white", 100, 50), ("white", 150, 100), ("odd", 5, 5),
    ]  # fmt: skip
    image = coco["images"][0]
    assert (image["count"], image["predicted"]) == (5.2, 4.2)
    assert [names[each["category_id"]] for each in image["exemplars"]] == ["red", "white"]


def test_regions_tell_kinds_apart(project: Project) -> None:
    rows = [tuple(row.values()) for row in table(to_region_csv(project))]
    assert rows == [
        ("a2.png", "A1", "2", "model", "red"),
        ("a2.png", "A1", "0", "hand", "white"),
        ("a2.png", "A1", "1", "hand", "odd"),
        ("plain.png", "A1", "1", "model", "object"),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"kinds": [{"name": "red"}, {"name": "Red"}]}, "'red' and 'Red' are one name"),
        ({"prediction": {**MADE_UP["prediction"], "points": [[1, 1]], "scores": []}}, "4 dots, of 1 points"),
    ],
)
def test_project_files_that_are_none(client: TestClient, changed: dict[str, Any], told: str) -> None:
    response = client.post("/api/v1/project/check", json={"format": 1, "pictures": [{**MADE_UP, **changed}]})
    assert response.status_code == 422
    assert told in response.json()["error"]


def test_several_kinds_are_forecast_to_take_as_long_as_each_by_itself() -> None:
    counter = Counter.load("spdcn-lite")
    boxes = [((0.0, 0.0, 10.0, 10.0),), ((0.0, 0.0, 40.0, 40.0),)]
    alone = [network_pixels(counter, (400, 300), CountRequest(exemplars=each)) for each in boxes]
    both = CountRequest(kinds=tuple(Kind(name=str(number), exemplars=each) for number, each in enumerate(boxes)))
    assert network_pixels(counter, (400, 300), both) == pytest.approx(sum(alone))
