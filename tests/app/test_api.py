"""The API: its answers are the library's, its refusals say why."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from likewise.app.models import SCALE_STEPS, Models
from likewise.ops.run_lengths import decode_rle, encode_rle
from likewise.predict import load_counter
from likewise.results import RecognizeResult, SegmentResult

from .conftest import BOXES, coins, encoded, finished, upload


def picture_of(url: str) -> Image.Image:
    head, _, body = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_the_folder_is_listed_by_id_in_natural_order_and_upright(client: TestClient, folder: Path) -> None:
    listed = client.get("/api/v1/pictures").json()["pictures"]
    assert [p["name"] for p in listed] == ["a2.png", "a10.jpg", "broken.png"]
    assert [(p["width"], p["height"]) for p in listed] == [(180, 130), (180, 130), (0, 0)]
    assert "cannot be read" in listed[2]["error"]
    assert [p["id"] for p in client.get("/api/v1/pictures").json()["pictures"]] == [p["id"] for p in listed]
    (folder / "a3.png").write_bytes(encoded(coins()))
    assert "a3.png" in {p["name"] for p in client.get("/api/v1/pictures").json()["pictures"]}


def test_pictures_are_shown_upright_and_small(client: TestClient, ids: dict[str, str]) -> None:
    shown = client.get(f"/api/v1/pictures/{ids['a2.png']}/image")
    assert shown.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.content))), coins())
    turned = Image.open(io.BytesIO(client.get(f"/api/v1/pictures/{ids['a10.jpg']}/image").content))
    assert np.abs(np.asarray(turned).astype(int) - coins()).mean() < 4
    small = Image.open(io.BytesIO(client.get(f"/api/v1/pictures/{ids['a2.png']}/thumbnail").content))
    assert max(small.size) == 160
    assert client.get(f"/api/v1/pictures/{ids['a2.png']}/original").status_code == 422


def test_a_count_is_the_librarys(client: TestClient, ids: dict[str, str]) -> None:
    expected = load_counter("spdcn-lite", scale_steps=SCALE_STEPS).count(coins(), [tuple(b) for b in BOXES])
    answer = client.post("/api/v1/count", json={"picture": ids["a2.png"], "exemplars": BOXES, "heat": True}).json()
    assert answer["count"] == pytest.approx(expected.count, abs=1e-4)
    assert answer["points"] == [[round(float(x), 2), round(float(y), 2)] for x, y in expected.points]
    assert (answer["image"], answer["model"]) == ("a2.png", "spdcn-lite")
    assert answer["prompt"] == {"exemplars": BOXES}
    heat = np.asarray(picture_of(answer["heat"]))
    assert heat.shape == (130, 180, 4)
    assert heat[..., 3].any()
    plain = client.post("/api/v1/count", json={"picture": ids["a2.png"], "exemplars": BOXES}).json()
    assert "heat" not in plain
    assert plain["count"] == answer["count"]


def test_examples_may_lie_in_another_picture_and_a_region_bounds(client: TestClient, ids: dict[str, str]) -> None:
    like = [{"picture": ids["a2.png"], "exemplars": BOXES}]
    whole = client.post("/api/v1/count", json={"picture": ids["a10.jpg"], "like": like}).json()["count"]
    region = [[0, 0], [90, 0], [90, 130], [0, 130]]
    part = client.post("/api/v1/count", json={"picture": ids["a10.jpg"], "like": like, "region": region}).json()[
        "count"
    ]
    assert 3 < whole < 7  # three whole coins, three cut ones
    assert 0.25 * whole < part < 0.75 * whole


@pytest.mark.parametrize(
    ("question", "status", "message"),
    [
        ({}, 422, "does not know what to count"),
        ({"exemplars": [[5, 5, 500, 40]]}, 422, "reaches outside the picture"),
        ({"exemplars": [[40, 5, 5, 40]]}, 422, "swapped corners"),
        ({"exemplars": [[5, 5, 40]]}, 422, "exemplars.0"),
        ({"exemplars": [[5, 5, 40, "NaN"]]}, 422, "finite"),
        ({"exemplars": BOXES, "text": "coins", "model": "spdcn-lite"}, 422, "takes no text"),
        ({"exemplar": BOXES}, 422, "exemplar: Extra inputs"),
        ({"exemplars": BOXES, "model": "spdcn"}, 409, "ships without weights"),
        ({"exemplars": BOXES, "model": "../weights.safetensors"}, 404, "there is no model"),
        ({"exemplars": BOXES, "model": "fwb"}, 422, "cannot count"),
        ({"exemplars": BOXES, "picture": "0123456789abcdef"}, 404, "no such picture"),
        ({"exemplars": BOXES, "picture": "../../etc/passwd"}, 422, "picture"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_a_reason(
    client: TestClient, ids: dict[str, str], question: dict[str, Any], status: int, message: str
) -> None:
    body = json.dumps({"picture": ids["a2.png"], **question}).replace('"NaN"', "NaN")
    answer = client.post("/api/v1/count", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_negatives_are_taken_or_refused_by_name(client: TestClient, ids: dict[str, str]) -> None:
    question = {"picture": ids["a2.png"], "exemplars": BOXES[:1], "negatives": BOXES[1:]}
    answer = client.post("/api/v1/count", json=question)
    (known,) = (m for m in client.get("/api/v1/models").json()["models"] if m["name"] == "spdcn-lite")
    if "negatives" in known["prompts"]:
        assert answer.json()["prompt"]["negatives"] == BOXES[1:]
    else:
        assert answer.status_code == 422
        assert "takes no negatives" in answer.json()["error"]


def test_a_broken_picture_says_so(client: TestClient, ids: dict[str, str]) -> None:
    answer = client.post("/api/v1/count", json={"picture": ids["broken.png"], "exemplars": BOXES})
    assert answer.status_code == 415
    assert answer.json() == {"error": "broken.png cannot be read as a picture"}


def test_a_task_without_weights_is_refused_by_name(
    client: TestClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Models.listed
    monkeypatch.setattr(Models, "listed", lambda self: [m | {"ready": m["name"] == "spdcn-lite"} for m in known(self)])
    support = [{"picture": ids["a2.png"], "box": BOXES[0]}]
    for path, question in (
        ("count", {"text": "coins"}),
        ("segment", {"support": support}),
        ("recognize", {}),
    ):
        answer = client.post(f"/api/v1/{path}", json={"picture": ids["a10.jpg"], **question})
        assert answer.status_code == 409
        assert "has its weights here" in answer.json()["error"]


class Stub:
    """Stands for a segmenter that finds the support's own mask, and a recogniser of two labels."""

    name = "stub"

    def encode(self, image: np.ndarray) -> np.ndarray:
        return image

    def set_support(self, support: list[tuple[np.ndarray, Any]]) -> Any:
        return support

    def segment(self, query: np.ndarray, support: Any) -> SegmentResult:
        mask = np.asarray(support[0][1], dtype=np.float32)
        return SegmentResult(mask, (query.shape[1], query.shape[0]), self.name, 0.1, query)

    def recognize(self, image: np.ndarray) -> RecognizeResult:
        return RecognizeResult(
            labels=("tin", "coin"),
            probabilities=np.array([0.25, 0.75], dtype=np.float32),
            peaks=np.array([[10, 20]], dtype=np.float32),
            scores=np.ones(1, dtype=np.float32),
            response=np.zeros((4, 4), dtype=np.float32),
            seen=(0, 0, 180, 130),
            magnified=(image[:32, :32], image[32:64, :32]),
            size=(180, 130),
            model=self.name,
            seconds=0.1,
            image=image,
        )


def test_segmenting_and_recognising(client: TestClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Models, "named", lambda *_: Stub())
    strokes = [{"points": [[20, 20], [60, 20]], "width": 20}, {"points": [[60, 20]], "width": 10, "erase": True}]
    question = {"picture": ids["a10.jpg"], "support": [{"picture": ids["a2.png"], "strokes": strokes}]}
    answer = client.post("/api/v1/segment", json=question).json()
    assert answer["area"] == pytest.approx((40 * 20 + np.pi * 100 - np.pi * 25) / (180 * 130), rel=0.05)
    drawn = np.asarray(picture_of(answer["mask"]))[..., 3] > 0
    assert drawn[20, 30]
    assert not drawn[20, 60]
    assert not drawn[60, 30]
    mask = decode_rle(answer["segmentation"])
    assert np.array_equal(mask, drawn)
    empty = {**question, "support": [{"picture": ids["a2.png"]}]}
    assert "nothing is marked" in client.post("/api/v1/segment", json=empty).json()["error"]
    known = client.post("/api/v1/recognize", json={"picture": ids["a2.png"]}).json()
    assert (known["label"], known["probability"], known["peaks"]) == ("coin", 0.75, [[10.0, 20.0]])
    assert [picture_of(each["image"]).size for each in known["magnified"]] == [(32, 32)] * 2
    for task, extra in (("segment", {"support": question["support"]}), ("recognize", {})):
        body = {"task": task, "pictures": [ids["a2.png"], ids["a10.jpg"]], **extra}
        job = finished(client, client.post("/api/v1/jobs", json=body).json())
        assert [record["picture"] for record in job["records"]] == body["pictures"]
        assert all(record["model"] == "stub" for record in job["records"])
        assert all("mask" not in record and "magnified" not in record for record in job["records"])


def test_a_job_counts_every_picture_and_goes_on_past_a_broken_one(
    client: TestClient, ids: dict[str, str], folder: Path
) -> None:
    vanished = upload(client, "gone.png", encoded(coins())).json()
    body = {
        "task": "count",
        "pictures": [ids["a10.jpg"], vanished["id"], ids["a2.png"]],
        "like": [{"picture": ids["a2.png"], "exemplars": BOXES}],
    }
    (folder / "a10.jpg").write_bytes(b"overwritten since")
    started = client.post("/api/v1/jobs", json=body)
    assert started.status_code == 202
    job = finished(client, started.json())
    assert (job["state"], job["done"], job["total"], job["failed"]) == ("done", 3, 3, 1)
    assert [record.get("image") for record in job["records"]][1:] == ["gone.png", "a2.png"]
    assert "a10.jpg" in job["records"][0]["error"]
    assert str(folder) not in json.dumps(job)
    assert 3 < job["records"][2]["count"] < 7
    assert client.get(f"/api/v1/jobs/{job['id']}?after=2").json()["records"] == job["records"][2:]


def test_a_job_counts_each_picture_in_its_own_region(client: TestClient, ids: dict[str, str]) -> None:
    like = [{"picture": ids["a2.png"], "exemplars": BOXES}]
    left, right = ([[x, 0], [x + 90, 0], [x + 90, 130], [x, 130]] for x in (0, 90))
    upright, turned = ids["a2.png"], ids["a10.jpg"]

    def job(**more: Any) -> list[float]:
        body = {"task": "count", "pictures": [upright, turned], "like": like, **more}
        records = finished(client, client.post("/api/v1/jobs", json=body).json())["records"]
        return [record["count"] for record in records]

    def one(picture: str, region: Any) -> float:
        question = {"picture": picture, "like": like, "region": region}
        return float(client.post("/api/v1/count", json=question).json()["count"])

    assert job(regions={turned: left}) == [one(upright, None), one(turned, left)]
    assert job(region=right, regions={turned: left}) == [one(upright, right), one(turned, left)]
    assert one(turned, left) != one(turned, right)


def test_a_job_by_name_counts_each_picture_in_its_own_region_too(client: TestClient, ids: dict[str, str]) -> None:
    turned, left = ids["a10.jpg"], [[0, 0], [90, 0], [90, 130], [0, 130]]
    body = {"task": "count", "text": "coins", "pictures": [turned], "regions": {turned: left}}
    [found] = finished(client, client.post("/api/v1/jobs", json=body).json())["records"]
    one = client.post("/api/v1/count", json={"picture": turned, "text": "coins", "region": left}).json()
    assert found["count"] == one["count"]
    assert all(x <= 90 for x, _ in found["points"])


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ({"0123456789abcdef": [[0, 0], [9, 0], [9, 9]]}, "not among the pictures"),
        ({"a2.png": [[0, 0], [9, 0]]}, "at least three"),
        ({"a2.png": [[0, 0]] * 3000}, "at most 2000"),
        ({"a2.png": [[0, 0], [9, 0], [9, 1e300]]}, "less than or equal"),
        ({f"{i:016x}": [] for i in range(10_001)}, "10001 entries"),
    ],
)
def test_regions_that_cannot_be_are_refused_at_once(
    client: TestClient, ids: dict[str, str], regions: dict[str, Any], message: str
) -> None:
    body = {"task": "count", "pictures": [ids["a2.png"]], "text": "coins"}
    answer = client.post("/api/v1/jobs", json={**body, "regions": {ids.get(k, k): v for k, v in regions.items()}})
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def test_a_job_can_be_stopped(client: TestClient, ids: dict[str, str]) -> None:
    body = {"task": "count", "pictures": [ids["a2.png"]] * 400, "exemplars": BOXES}
    job = client.post("/api/v1/jobs", json=body).json()
    stopped = client.delete(f"/api/v1/jobs/{job['id']}").json()
    assert stopped["state"] == "cancelled"
    assert finished(client, job)["done"] < 400
    assert client.get(f"/api/v1/jobs/{job['id']}/file").status_code == 409
    assert client.get("/api/v1/jobs/none").status_code == 404
    assert client.post("/api/v1/jobs", json={**body, "pictures": []}).status_code == 422


def test_questions_are_answered_while_a_job_runs(client: TestClient, ids: dict[str, str]) -> None:
    body = {"task": "count", "pictures": [ids["a2.png"]] * 400, "exemplars": BOXES}
    job = client.post("/api/v1/jobs", json=body).json()
    assert client.post("/api/v1/count", json={"picture": ids["a2.png"], "exemplars": BOXES}).status_code == 200
    assert client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "running"
    client.delete(f"/api/v1/jobs/{job['id']}")


def project(**changes: Any) -> dict[str, Any]:
    picture = {
        "name": "a2.png",
        "width": 180,
        "height": 130,
        "exemplars": BOXES,
        "prediction": {
            "model": "spdcn-lite",
            "count": 3.4,
            "points": [[20, 20], [60, 20], [100, 50]],
            "scores": [0.9, 0.8, 0.7],
            "seconds": 0.25,
        },
        "added": [[150, 100], [10.5, 100]],
        "removed": [[60, 20]],
    }
    return {"format": 1, "likewise": "0", "saved": "today", "pictures": [{**picture, **changes}]}


def test_overlays_come_as_an_archive(client: TestClient, ids: dict[str, str]) -> None:
    started = client.post("/api/v1/export/overlays", json=project())
    job = finished(client, started.json())
    assert (job["state"], job["file"]) == ("done", True)
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/api/v1/jobs/{job['id']}/file").content))
    assert archive.namelist() == ["a2_count.png"]
    drawn = Image.open(archive.open("a2_count.png"))
    assert drawn.width == 900
    assert drawn.height > 650  # what the number is stands beside the picture


def archived(client: TestClient, task: str, body: dict[str, Any]) -> zipfile.ZipFile:
    job = finished(client, client.post(f"/api/v1/export/overlays?task={task}", json=body).json())
    assert (job["state"], job["failed"]) == ("done", 0)
    return zipfile.ZipFile(io.BytesIO(client.get(f"/api/v1/jobs/{job['id']}/file").content))


def test_masks_and_labels_come_as_archives_too(
    client: TestClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Models, "named", lambda *_: Stub())
    mask = np.zeros((130, 180), dtype=bool)
    mask[20:60, 30:90] = True
    segmented = {"model": "stub", "area": 0.1, "segmentation": encode_rle(mask, compressed=True)}
    recognized = {"model": "stub", "label": "coin", "probability": 0.75}
    stroke = {"points": [[20, 20], [60, 20]], "width": 20}
    pictures = [
        {"name": "a2.png", "width": 180, "height": 130, "segmented": segmented, "recognized": recognized},
        {"name": "a10.jpg", "width": 180, "height": 130, "strokes": [stroke]},
    ]
    body = {"format": 1, "pictures": pictures}
    archive = archived(client, "segment", body)
    assert archive.namelist() == ["a2_segment.png", "a2_mask.png", "a10_segment.png", "a10_mask.png"]
    assert np.array_equal(np.asarray(Image.open(archive.open("a2_mask.png"))), mask)
    drawn = np.asarray(Image.open(archive.open("a2_segment.png")).convert("RGB").resize((180, 130))).astype(int)
    green = drawn[..., 1] - drawn[..., 0]
    assert green[25:55, 35:85].mean() > 20
    assert np.abs(green[100:]).mean() < 2
    archive = archived(client, "recognize", body)
    assert archive.namelist() == ["a2_recognize.png"]
    nothing = client.post("/api/v1/export/overlays", json=body)
    assert (nothing.status_code, nothing.json()["error"]) == (
        422,
        "there is nothing to draw yet; count in a picture first",
    )


def test_a_project_is_checked_against_the_pictures_that_are_here(client: TestClient, ids: dict[str, str]) -> None:
    assert client.post("/api/v1/project/check", json=project()).json() == {"pictures": 1, "missing": []}
    other = project(name="elsewhere.png")
    assert client.post("/api/v1/project/check", json=other).json()["missing"] == ["elsewhere.png"]
    wrong = client.post("/api/v1/project/check", json={**project(), "format": 2})
    assert wrong.status_code == 422
    assert "format" in wrong.json()["error"]
    assert set(client.get("/api/v1/project/schema").json()["properties"]) == {
        "format",
        "likewise",
        "saved",
        "text",
        "pictures",
    }


def test_the_api_is_described(client: TestClient) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    for path in ("pictures", "count", "segment", "recognize", "jobs", "jobs/{job}", "export/csv"):
        assert f"/api/v1/{path}" in paths
    form = paths["/api/v1/pictures"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"] == {"type": "string", "format": "binary"}
    assert all(path.startswith(("/api/v1/", "/label-studio/")) for path in paths)


def test_every_answer_is_described_field_by_field(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()
    plain = {"/api/v1/project/schema", "/api/v1/estimate"}  # whatever JSON schema, and the estimate, hold
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            if not path.startswith("/api/v1/") or path in plain:
                continue
            good = next(each for status, each in told["responses"].items() if status < "300")
            schema = good.get("content", {}).get("application/json", {}).get("schema")
            assert schema is None or "$ref" in schema, (method, path, schema)
            assert told["responses"]["4XX"]["content"]["application/json"]["schema"]["$ref"].endswith("/Refusal")


def test_the_api_is_shown_without_a_network(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "docs.js" in page.text
    assert client.get("/docs.js").is_success
