"""What is kept of the work: every change, on disk when it is answered, found again after a restart or a crash."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from likewise.app.kept import NAME
from likewise.app.server import build_app
from likewise.app.workbench import Workbench

from .conftest import BOXES, SMALL, coins, encoded, finished, upload

POINTS = [[10.0, 10.0], [50.0, 40.0]]


def opened(folder: Path | None) -> TestClient:
    return TestClient(build_app(folder, limits=SMALL), base_url="http://127.0.0.1:7878")


def ids_of(client: TestClient) -> dict[str, str]:
    return {p["name"]: p["id"] for p in client.get("/api/v1/pictures").json()["pictures"]}


def say(client: TestClient, picture: str, question: str | None = "q1", **entry: Any) -> None:
    change = {"picture": picture, "entry": entry, "question": question}
    answer = client.patch("/api/v1/project", json={"pictures": [change]})
    assert answer.json() == {"unknown": []}


def kept(client: TestClient) -> dict[str, dict[str, Any]]:
    return {each["picture"]: each for each in client.get("/api/v1/project").json()["pictures"]}


def test_what_was_said_is_there_after_a_restart(folder: Path) -> None:
    with opened(folder) as client:
        ids = ids_of(client)
        assert not (folder / NAME).exists()  # looking changes nothing
        say(client, ids["a2.png"], exemplars=BOXES, added=POINTS)
        say(client, ids["a10.jpg"], like={"picture": ids["a2.png"], "exemplars": BOXES})
    with opened(folder) as client:
        assert ids_of(client) == ids
        found = kept(client)
        assert found[ids["a2.png"]]["entry"] == {"exemplars": BOXES, "added": POINTS}
        assert found[ids["a10.jpg"]]["entry"] == {"like": {"picture": ids["a2.png"], "exemplars": BOXES}}
    elsewhere = folder.rename(folder.with_name("moved"))
    with opened(elsewhere) as client:
        ids = ids_of(client)
        assert kept(client)[ids["a10.jpg"]]["entry"]["like"]["picture"] == ids["a2.png"]


def test_an_answer_is_kept_with_its_question_and_found_again_with_it(folder: Path) -> None:
    with opened(folder) as client:
        picture = ids_of(client)["a2.png"]
        question = {"picture": picture, "exemplars": BOXES, "heat": True, "keep": "q1"}
        answer = client.post("/api/v1/count", json=question).json()
        assert "count" not in kept(client).get(picture, {})  # as long as nobody says that this is asked
        say(client, picture, exemplars=BOXES)
        assert kept(client)[picture]["count"]["count"] == answer["count"]
        say(client, picture, "q2", exemplars=BOXES[:1])
        assert "count" not in kept(client)[picture]
        say(client, picture, exemplars=BOXES)  # undo
    with opened(folder) as client:
        assert "points" not in kept(client)[picture]["count"]
        one = client.get(f"/api/v1/project/pictures/{picture}").json()
        assert one["count"]["points"] == answer["points"]
        assert one["count"]["object_size"] == answer["object_size"]
        assert one["count"]["heat"].startswith("data:image/png;base64,")
        table = client.post("/api/v1/project/export/csv").text
        assert f"a2.png,{answer['count']:.4f}" in table
        saved = client.get("/api/v1/project/file")
        assert saved.headers["content-disposition"] == 'attachment; filename="likewise-project.json"'
        assert client.post("/api/v1/project/check", json=saved.json()).json() == {"pictures": 2, "missing": []}
        [mine] = [each for each in saved.json()["pictures"] if each["name"] == "a2.png"]
        assert mine["prediction"]["points"] == answer["points"]
        coco = client.post("/api/v1/project/export/coco").json()
        assert len(coco["annotations"]) == len(answer["points"])


def test_a_picture_that_is_dropped_in_again_finds_its_work(folder: Path) -> None:
    content = encoded(coins())
    with opened(folder) as client:
        picture = upload(client, "dropped.png", content).json()["id"]
        say(client, picture, exemplars=BOXES)
        say(client, upload(client, "other.png", encoded(coins()[5:])).json()["id"], text="coins")
        assert client.delete(f"/api/v1/pictures/{picture}").status_code == 204
        assert picture not in kept(client)
    with opened(None) as client:
        assert kept(client) == {}
        again = upload(client, "named otherwise.png", content).json()["id"]
        assert kept(client) == {again: {"picture": again, "entry": {"exemplars": BOXES}}}


def test_a_replaced_picture_keeps_its_boxes_and_loses_its_answer(folder: Path) -> None:
    with opened(folder) as client:
        picture = ids_of(client)["a2.png"]
        client.post("/api/v1/count", json={"picture": picture, "exemplars": BOXES, "keep": "q1"})
        say(client, picture, exemplars=BOXES)
    (folder / "a2.png").write_bytes(encoded(coins()[:, ::-1].copy()))
    (folder / "a10.jpg").unlink()
    with opened(folder) as client:
        picture = ids_of(client)["a2.png"]
        found = client.get("/api/v1/project").json()
        assert found["replaced"] == ["a2.png"]
        assert found["pictures"] == [{"picture": picture, "entry": {"exemplars": BOXES}}]


def test_two_likewises_never_write_into_one_folder(folder: Path) -> None:
    with opened(folder) as one, opened(folder) as other:
        picture = ids_of(one)["a2.png"]
        say(one, picture, exemplars=BOXES)
        change = {"picture": ids_of(other)["a2.png"], "entry": {}}
        refused = other.patch("/api/v1/project", json={"pictures": [change]})
        assert refused.status_code == 409
        assert "another likewise has these pictures open" in refused.json()["error"]
        assert kept(one)[picture]["entry"] == {"exemplars": BOXES}


def test_where_nobody_may_write_it_is_kept_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with opened(folder) as client:
        picture = ids_of(client)["a2.png"]
        say(client, picture, exemplars=BOXES)
    assert not (folder / NAME).exists()
    with opened(folder) as client:
        assert kept(client)[picture]["entry"] == {"exemplars": BOXES}


def test_a_file_that_is_no_project_is_left_as_it_is(folder: Path) -> None:
    (folder / NAME).write_text("my own notes, with this name by chance, and long enough for a header\n" * 20)
    before = (folder / NAME).read_bytes()
    with opened(folder) as client:
        refused = client.get("/api/v1/project")
        assert refused.status_code == 409
        assert "cannot be used" in refused.json()["error"]
        assert client.post("/api/v1/count", json={"picture": ids_of(client)["a2.png"], "exemplars": BOXES}).is_success
    assert (folder / NAME).read_bytes() == before


def test_one_of_a_newer_version_is_left_as_it_is(folder: Path) -> None:
    with sqlite3.connect(folder / NAME) as db:
        db.execute("PRAGMA user_version = 99")
    with opened(folder) as client:
        assert "newer likewise" in client.get("/api/v1/project").json()["error"]


def test_a_stopped_job_goes_on_after_a_restart_with_what_is_left(folder: Path) -> None:
    for number in range(3):
        (folder / f"b{number}.png").write_bytes(encoded(coins()[number + 1 :]))
    with opened(folder) as client:
        pictures = [each for name, each in ids_of(client).items() if name != "broken.png"]
        body = {"task": "count", "pictures": pictures, "exemplars": BOXES, "keep": dict.fromkeys(pictures, "q1")}
        job = client.post("/api/v1/jobs", json=body).json()
        while client.get(f"/api/v1/jobs/{job['id']}").json()["done"] < 2:
            pass
        client.delete(f"/api/v1/jobs/{job['id']}")
        assert finished(client, job)["state"] == "cancelled"
        [stopped] = client.get("/api/v1/jobs").json()["stopped"]
        assert (stopped["id"], stopped["task"], stopped["total"]) == (job["id"], "count", len(pictures))
    with opened(folder) as client:
        ids_of(client)
        again = client.post(f"/api/v1/jobs/{job['id']}/resume").json()
        done = again["done"]
        assert (again["id"], again["total"]) == (job["id"], len(pictures))
        assert 2 <= done < len(pictures)
        ended = finished(client, again)
        assert (ended["state"], ended["done"], len(ended["records"])) == ("done", len(pictures), len(pictures) - done)
        assert client.get("/api/v1/jobs").json() == {"jobs": [], "stopped": []}
        assert client.post(f"/api/v1/jobs/{job['id']}/resume").status_code == 404


def test_overlays_are_drawn_of_what_is_kept_and_nothing_is_counted_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(client: TestClient) -> np.ndarray:
        job = finished(client, client.post("/api/v1/project/overlays").json())
        assert (job["state"], job["failed"]) == ("done", 0)
        archive = zipfile.ZipFile(io.BytesIO(client.get(f"/api/v1/jobs/{job['id']}/file").content))
        return np.asarray(Image.open(archive.open("a2_count.png")).convert("RGB")).astype(int)

    with opened(folder) as client:
        picture = ids_of(client)["a2.png"]
        answer = client.post("/api/v1/count", json={"picture": picture, "exemplars": BOXES, "keep": "q1"}).json()
        say(client, picture, exemplars=BOXES)
        monkeypatch.setattr(Workbench, "_counted", lambda *_: pytest.fail("counted again"))
        hot = drawn(client)
        found = {"count": {name: answer[name] for name in ("model", "count", "points", "scores")}}
        change = {"picture": picture, "entry": {"exemplars": BOXES}, "question": "q2", "found": found}
        assert client.patch("/api/v1/project", json={"pictures": [change]}).is_success
        cold = drawn(client)
    assert hot.shape == cold.shape
    assert (np.abs(hot - cold).max(axis=2) > 20).mean() > 0.02  # the density lies over what is counted


def test_a_project_that_comes_as_a_file_brings_its_answers(folder: Path) -> None:
    prediction = {"model": "mine", "count": 2.0, "points": POINTS}
    with opened(folder) as client:
        picture = ids_of(client)["a2.png"]
        found = {"count": prediction, "recognize": {"model": "m", "label": "coin", "probability": 0.5}}
        change = {"picture": picture, "entry": {"removed": POINTS[:1]}, "question": "q", "found": found}
        body = {"pictures": [change], "asked": {"recognize": "r"}}
        assert client.patch("/api/v1/project", json=body).is_success
        [one] = json.loads(client.get("/api/v1/project/file").content)["pictures"][:1]
        assert one["prediction"]["points"] == POINTS
        assert one["recognized"]["label"] == "coin"
        assert "a2.png,1,2.0000" in client.post("/api/v1/project/export/csv").text
