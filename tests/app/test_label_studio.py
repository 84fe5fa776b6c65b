"""The workbench as a machine-learning backend: requests as Label Studio sends them, answers as it takes them."""

from __future__ import annotations

import base64
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from likewise.app.label_studio import _examples

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


def turned(x0: float, y0: float, x1: float, y1: float, degrees: float, label: str = "coin") -> dict[str, Any]:
    """A rectangle turned about its centre by so many degrees, as Label Studio writes it."""
    turn = math.radians(degrees)
    middle, half = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
    corner = (
        middle[0] - half[0] * math.cos(turn) + half[1] * math.sin(turn),
        middle[1] - half[0] * math.sin(turn) - half[1] * math.cos(turn),
    )
    drawn = rectangle(corner[0], corner[1], corner[0] + x1 - x0, corner[1] + y1 - y0)
    return {**drawn, "value": {**drawn["value"], "rotation": degrees, "rectanglelabels": [label]}}


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90, 360, 30, 211.5])
def test_a_turned_rectangle_is_the_upright_box_round_it(degrees: float) -> None:
    box = (60.0, 40.0, 100.0, 60.0)
    [[found], labels] = _examples([turned(*box, degrees)], SimpleNamespace(width=180, height=130))
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = np.array([(x, y) for x in (-20, 20) for y in (-10, 10)]) @ matrix.T + (80, 50)
    assert found == pytest.approx((*corners.min(axis=0), *corners.max(axis=0)), abs=1e-6)
    assert labels == [("coin",)]


def test_a_rectangle_is_cut_at_the_edge_of_the_picture() -> None:
    [[found], _] = _examples([rectangle(-5, 10, 30, 135)], SimpleNamespace(width=180, height=130))
    assert found == pytest.approx((0, 10, 30, 130))


TWO_KINDS = CONFIG.replace("</KeyPointLabels>", '<Label value="pill"/></KeyPointLabels>')


def test_each_label_is_counted_by_its_own_examples(client: TestClient) -> None:
    picture = client.get("/api/v1/pictures").json()["pictures"][0]["id"]
    questions = [{"picture": picture, "exemplars": [box]} for box in BOXES[:2]]
    apart = [client.post("/api/v1/count", json=question).json()["points"] for question in questions]
    drawn = [turned(*BOXES[0], 0, "pill"), turned(*BOXES[1], 0, "coin")]
    answer = ask(client, {"data": {"photo": "a2.png"}}, params={"context": {"result": drawn}}, label_config=TWO_KINDS)
    assert answer.status_code == 200, answer.text
    found = answer.json()["results"][0]["result"]
    labels = [each["value"]["keypointlabels"] for each in found]
    assert labels == [["pill"]] * len(apart[0]) + [["coin"]] * len(apart[1])
    places = [(each["value"]["x"] * 1.8, each["value"]["y"] * 1.3) for each in found]
    assert np.allclose(places, apart[0] + apart[1], atol=0.02)


def test_a_label_that_key_points_do_not_have(client: TestClient) -> None:
    alone = {"context": {"result": [turned(*BOXES[0], 0, "penny")]}}
    (prediction,) = ask(client, {"data": {"photo": "a2.png"}}, params=alone).json()["results"]
    assert {each["value"]["keypointlabels"][0] for each in prediction["result"]} == {"coin"}
    both = {"context": {"result": [turned(*BOXES[0], 0, "penny"), turned(*BOXES[1], 0, "coin")]}}
    answer = ask(client, {"data": {"photo": "a2.png"}}, params=both)
    assert answer.status_code == 422
    assert "no such label; it has 'coin'" in answer.json()["error"]


@pytest.mark.parametrize(
    "result",
    [
        "all",
        [{"type": "rectanglelabels", "value": {"x": "1", "y": 2, "width": 3, "height": 4}}],
        [{"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": [90]}}],
        [{"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 0, "height": 4}}],
        [{"type": "rectanglelabels", "value": {"x": 101, "y": 2, "width": 3, "height": 4}}],
        [{"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": "coin"}}],
        [{"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": [{}]}}],
        [turned(*BOXES[0], 0, str(number)) for number in range(21)],
    ],
)
def test_a_rectangle_that_is_none_is_refused(client: TestClient, result: Any) -> None:
    answer = ask(client, {"data": {"photo": "a2.png"}}, params={"context": {"result": result}})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "result", [None, [], [5], [{"type": "rectanglelabels", "value": 5}], [{"type": "brushlabels"}]]
)
def test_what_is_no_rectangle_is_no_example(client: TestClient, result: Any) -> None:
    task = {"data": {"photo": "a2.png"}, "annotations": [{"result": result}]}
    (prediction,) = ask(client, task, params={"context": None}).json()["results"]
    assert prediction["result"] == []
