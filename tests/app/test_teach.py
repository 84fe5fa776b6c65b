"""Names that a person gives a few pictures: a recogniser that learns them, and is there again after a restart."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from skimage import data

from likewise import load
from likewise.app.jobs import Jobs
from likewise.app.server import build_app

from .conftest import SMALL, encoded, finished

MATERIALS = {"brick": data.brick, "grass": data.grass}
HERE = "http://127.0.0.1:7878"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Five cuttings each of bricks and of grass."""
    folder = tmp_path / "materials"
    folder.mkdir()
    for name, whole in MATERIALS.items():
        for number in range(5):
            y, x = 128 * (number // 4), 128 * (number % 4)
            part = np.repeat(whole()[y : y + 128, x : x + 128, None], 3, axis=2)
            (folder / f"{name}{number}.png").write_bytes(encoded(part))
    return folder


def ids_of(client: TestClient) -> dict[str, str]:
    return {p["name"]: p["id"] for p in client.get("/api/v1/pictures").json()["pictures"]}


def name_all(client: TestClient, but: tuple[str, ...] = ()) -> None:
    """Every picture is called as its file is, without the number."""
    changes = [
        {"picture": each, "entry": {"label": name[:5]}} for name, each in ids_of(client).items() if name not in but
    ]
    assert client.patch("/api/v1/project", json={"pictures": changes}).json() == {"unknown": []}


def test_named_pictures_teach_a_recogniser_that_survives_a_restart(place: Path) -> None:
    new = ("brick4.png", "grass4.png")
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        name_all(client, but=new)
        ended = finished(client, client.post("/api/v1/teach", json={"name": "mine"}).json())
        [record] = ended["records"]
        assert "error" not in record, record
        assert (ended["state"], record["model"], record["refuses"]) == ("done", "mine.safetensors", False)
        told = {each["name"]: (each["truth"], each["found"]) for each in record["pictures"]}
        assert {name: truth for name, (truth, _) in told.items()} == {
            f"{name}{i}.png": name for name in MATERIALS for i in range(4)
        }
        assert record["right"] == sum(truth == found for truth, found in told.values())
        assert f"{record['right']} are named right" in record["taught"]
        assert "already" in client.post("/api/v1/teach", json={"name": "mine"}).json()["error"]
        client.patch("/api/v1/project", json={"recognizer": "mine.safetensors"})
    mine = load(place / "mine.safetensors")
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        kept = client.get("/api/v1/project").json()
        assert kept["recognizer"] == "mine.safetensors"
        assert sorted(each["entry"]["label"] for each in kept["pictures"]) == ["brick"] * 4 + ["grass"] * 4
        [listed] = [m for m in client.get("/api/v1/models").json()["models"] if m["name"] == "mine.safetensors"]
        assert (listed["task"], listed["ready"], listed["notes"]) == ("recognize", True, [record["taught"]])
        for name in new:
            question = {"picture": ids_of(client)[name], "model": "mine.safetensors"}
            answer = client.post("/api/v1/recognize", json=question).json()
            expected = mine.recognize(place / name)
            assert (answer["label"], answer["label"]) == (name[:5], expected.label)
            assert answer["probability"] == pytest.approx(expected.probability, abs=1e-4)


def test_the_table_has_what_a_person_says_and_beside_it_what_the_model_says(place: Path) -> None:
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        ids = ids_of(client)
        entries = {"brick0.png": "a wall", "brick1.png": "a wall"}
        changes = [{"picture": ids[name], "entry": {"label": label}} for name, label in entries.items()]
        client.patch("/api/v1/project", json={"pictures": changes})
        asked = {"model": "s3n-lite", "keep": "q"}
        said = client.post("/api/v1/recognize", json={"picture": ids["brick0.png"], **asked}).json()
        other = client.post("/api/v1/recognize", json={"picture": ids["grass0.png"], **asked}).json()
        table = client.post("/api/v1/project/export/csv?task=recognize").content.decode("utf-8-sig")
    rows = {row["image"]: row for row in csv.DictReader(io.StringIO(table, newline=""))}
    assert set(rows) == {"brick0.png", "brick1.png", "grass0.png"}
    told = {name: (row["label"], row["nearest"], row["by"], row["model"]) for name, row in rows.items()}
    assert told["brick0.png"] == ("a wall", said["nearest"], "hand", "s3n-lite")
    assert told["brick1.png"] == ("a wall", "", "hand", "")
    assert told["grass0.png"] == (other["label"], other["nearest"], "model", "s3n-lite")


def test_overlays_are_drawn_by_the_model_that_answered(place: Path) -> None:
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        name_all(client)
        assert finished(client, client.post("/api/v1/teach", json={"name": "mine"}).json())["failed"] == 0
        picture = ids_of(client)["grass0.png"]
        client.post("/api/v1/recognize", json={"picture": picture, "model": "mine.safetensors", "keep": "q"})
        drawn = finished(client, client.post("/api/v1/project/overlays?task=recognize").json())
        assert (drawn["state"], drawn["failed"], drawn["total"]) == ("done", 0, 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, "0 names; expected at least two"),
        ({"brick0.png": "wall", "brick1.png": "wall"}, "1 name, 'wall'; expected at least two"),
        ({"brick0.png": "wall", "brick1.png": "wall", "grass0.png": "lawn"}, "one picture of 'lawn'"),
        ({"brick0.png": "wall", "brick1.png": "Wall", "grass0.png": "lawn"}, "differ in case only"),
    ],
)
def test_names_that_teach_nothing_are_refused(place: Path, labels: dict[str, str], message: str) -> None:
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        ids = ids_of(client)
        changes = [{"picture": ids[name], "entry": {"label": label}} for name, label in labels.items()]
        client.patch("/api/v1/project", json={"pictures": changes})
        answer = client.post("/api/v1/teach", json={"name": "mine"})
        assert answer.status_code == 422
        assert message in answer.json()["error"]
        assert not (place / "mine.safetensors").exists()


def test_what_cannot_be_asked_is_refused(place: Path) -> None:
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        picture = ids_of(client)["grass0.png"]
        for label in ("", " lawn", "x" * 81):
            change = {"pictures": [{"picture": picture, "entry": {"label": label}}]}
            assert client.patch("/api/v1/project", json=change).status_code == 422
        assert client.post("/api/v1/teach", json={"name": "../mine"}).status_code == 422
        name_all(client)
        for model, message in (("nothing", "there is no model"), ("spdcn-lite", "cannot recognize")):
            ended = finished(client, client.post("/api/v1/teach", json={"name": "mine", "model": model}).json())
            assert message in ended["records"][0]["error"]


def test_it_can_be_cancelled_and_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from likewise.adaptation import recognizer

    started: list[Any] = []
    start = Jobs.start
    monkeypatch.setattr(Jobs, "start", lambda jobs, job: started.append((jobs, job)) or start(jobs, job))
    look = recognizer.pixels_of

    def looked(picture: Any) -> Any:  # while the second picture is looked at, the job is cancelled
        found = look(picture)
        seen.append(picture)
        if len(seen) == 2:
            jobs, job = started[0]
            jobs.cancel(job.id)
        return found

    seen: list[Any] = []
    monkeypatch.setattr(recognizer, "pixels_of", looked)
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        name_all(client)
        ended = finished(client, client.post("/api/v1/teach", json={"name": "mine"}).json())
        assert (ended["state"], ended["records"]) == ("cancelled", [])
        assert not (place / "mine.safetensors").exists()
        assert len(seen) < 10
        assert "mine.safetensors" not in {m["name"] for m in client.get("/api/v1/models").json()["models"]}


def test_weights_of_other_tasks_and_damaged_files_are_no_recognisers(place: Path) -> None:
    from likewise.registry import preset

    weights = preset("spdcn-lite").card.path
    assert weights is not None
    (place / "counter.safetensors").write_bytes(weights.read_bytes())
    (place / "broken.safetensors").write_bytes(b"nothing of the kind")
    recognizer = preset("s3n-lite").card.path
    assert recognizer is not None
    (place / "trained.safetensors").write_bytes(recognizer.read_bytes())
    with TestClient(build_app(place, limits=SMALL), base_url=HERE) as client:
        listed = {m["name"]: m for m in client.get("/api/v1/models").json()["models"]}
    assert not {"counter.safetensors", "broken.safetensors"} & set(listed)
    assert (listed["trained.safetensors"]["task"], listed["trained.safetensors"]["notes"]) == (
        "recognize",
        ["81 names"],
    )
