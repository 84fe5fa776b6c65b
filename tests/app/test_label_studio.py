"""The workbench as a machine-learning backend: requests as Label Studio sends them, answers as it takes them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fastapi.testclient import TestClient

from .conftest import BOXES, coins, encoded

CONFIG = """<View>
  <!-- examples are rectangles -->
  <Image name="img" value="$photo"/>
  <RectangleLabels name="example" toName="img"><Label value="coin"/></RectangleLabels>
  <KeyPointLabels name="found" toName="img"><Label value="coin"/></KeyPointLabels>
</View>"""


def rectangle(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    value = {"x": x0 / 1.8, "y": y0 / 1.3, "width": (x1 - x0) / 1.8, "height": (y1 - y0) / 1.3, "rotation": 0}
    return {
        "id": "r1",
        "type": "rectanglelabels",
        "from_name": "example",
        "to_name": "img",
        "original_width": 180,
        "original_height": 130,
        "value": {**value, "rectanglelabels": ["coin"]},
    }


def ask(client: TestClient, task: dict[str, Any], **more: Any) -> Any:
    body = {"tasks": [task], "project": "1.1", "label_config": CONFIG, "model_version": None, **more}
    return client.post("/label-studio/predict", json=body)


def test_it_is_up_and_says_its_version(client: TestClient) -> None:
    assert client.get("/label-studio/health").json()["status"] == "UP"
    setup = {"project": "1.1", "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "x"}
    assert client.post("/label-studio/setup", json=setup).json()["model_version"].startswith("likewise-")


@pytest.mark.parametrize(
    "photo",
    [
        "/data/upload/3/0a1b2c3d-a2.png",
        "/data/local-files/?d=dishes%2Fa2.png",
        "http://127.0.0.1:8080/data/upload/3/a2.png",
        "data:image/png;base64," + base64.b64encode(encoded(coins())).decode(),
    ],
)
def test_drawn_rectangles_become_examples_and_what_is_found_key_points(client: TestClient, photo: str) -> None:
    expected = client.post(
        "/api/v1/count",
        json={"picture": client.get("/api/v1/pictures").json()["pictures"][0]["id"], "exemplars": BOXES},
    ).json()
    drawn = {"context": {"result": [rectangle(*box) for box in BOXES]}}
    answer = ask(client, {"id": 7, "data": {"photo": photo}}, params=drawn)
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["results"]
    assert set(prediction) == {"result", "score", "model_version"}
    places = [[each["value"]["x"] * 1.8, each["value"]["y"] * 1.3] for each in prediction["result"]]
    assert len(places) == len(expected["points"])
    for place, point in zip(places, expected["points"], strict=True):
        assert place == pytest.approx(point, abs=0.02)
    for each in prediction["result"]:
        assert (each["from_name"], each["to_name"], each["type"]) == ("found", "img", "keypointlabels")
        assert each["value"]["keypointlabels"] == ["coin"]
        assert (each["original_width"], each["original_height"]) == (180, 130)
        assert 0 <= each["score"] <= 1
    assert len(client.get("/api/v1/pictures").json()["pictures"]) == 3  # nothing is kept


def test_rectangles_of_a_saved_annotation_serve_as_well(client: TestClient) -> None:
    saved = [{"result": [rectangle(*BOXES[0])]}]
    (prediction,) = ask(client, {"data": {"photo": "a2.png"}, "annotations": saved}).json()["results"]
    assert len(prediction["result"]) >= 3


def test_without_an_example_nothing_is_found(client: TestClient) -> None:
    (prediction,) = ask(client, {"data": {"photo": "a2.png"}}).json()["results"]
    assert prediction["result"] == []


@pytest.mark.parametrize(
    ("photo", "more", "status"),
    [
        ("/data/upload/3/elsewhere.png", {}, 404),
        ("../secret.txt", {}, 404),
        ("file:///etc/passwd", {}, 404),
        ("http://169.254.169.254/latest/meta-data", {}, 404),
        ("data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", {}, 415),
        ("data:image/png,abc", {}, 422),
        ("data:image/png;base64,!!", {}, 422),
        (None, {}, 422),
        ("a2.png", {"label_config": "<View>"}, 422),
        ("a2.png", {"label_config": "<View/>"}, 422),
        ("a2.png", {"label_config": '<!DOCTYPE v [<!ENTITY a "b">]><View>&a;</View>'}, 422),
    ],
)
def test_what_cannot_be_answered_is_refused(
    client: TestClient, photo: str | None, more: dict[str, str], status: int
) -> None:
    answer = ask(client, {"data": {"photo": photo}}, **more)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
