"""What corrections are good for: a counter that learns from them, and the total of all pictures with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from likewise.app.server import build_app

from .conftest import BOXES, SMALL, coins, encoded, finished


@pytest.fixture
def counted(tmp_path: Path) -> Any:
    """Five cuttings of the coins, counted and kept, three of them corrected."""
    place = tmp_path / "cuttings"
    place.mkdir()
    for number in range(5):
        (place / f"{number}.png").write_bytes(encoded(coins()[number:, number:].copy()))
    with TestClient(build_app(place, limits=SMALL), base_url="http://127.0.0.1:7878") as client:
        ids = {p["name"]: p["id"] for p in client.get("/api/v1/pictures").json()["pictures"]}
        keep = dict.fromkeys(ids.values(), "q")
        body = {"task": "count", "pictures": list(ids.values()), "exemplars": BOXES, "keep": keep}
        assert finished(client, client.post("/api/v1/jobs", json=body).json())["failed"] == 0
        changes = [
            {"picture": each, "entry": {"exemplars": BOXES, "added": [[5, 5]] if name < "3" else []}, "question": "q"}
            for name, each in ids.items()
        ]
        assert client.patch("/api/v1/project", json={"pictures": changes}).json() == {"unknown": []}
        yield client, ids, place


def test_a_counter_learns_from_what_was_corrected_and_can_be_chosen(counted: Any) -> None:
    client, ids, place = counted
    job = client.post("/api/v1/learn", json={"name": "mine"}).json()
    ended = finished(client, job)
    [record] = ended["records"]
    assert "error" not in record, record
    assert (ended["state"], record["model"], len(record["pictures"])) == ("done", "mine.safetensors", 3)
    assert record["after"] <= record["before"]
    assert "taught by 3 corrected pictures" in record["learnt"]
    assert (place / "mine.safetensors").is_file()
    [mine] = [m for m in client.get("/api/v1/models").json()["models"] if m["name"] == "mine.safetensors"]
    assert (mine["task"], mine["ready"], mine["notes"]) == ("count", True, [record["learnt"]])
    question = {"picture": ids["4.png"], "exemplars": BOXES, "model": "mine.safetensors"}
    assert client.post("/api/v1/count", json=question).json()["count"] > 0
    assert "already" in client.post("/api/v1/learn", json={"name": "mine"}).json()["error"]
    assert client.post("/api/v1/learn", json={"name": "../mine"}).status_code == 422


def test_too_few_corrections_teach_nothing(client: TestClient) -> None:
    assert "0 corrected pictures" in client.post("/api/v1/learn", json={"name": "mine"}).json()["error"]


def test_what_chance_drew_and_a_person_counted_gives_the_total(counted: Any) -> None:
    client, ids, _ = counted
    assert client.get("/api/v1/estimate/sample").json()["pictures"] == []
    assert "no sample was drawn" in client.post("/api/v1/estimate", json={}).json()["error"]
    drawn = client.post("/api/v1/estimate/sample", json={"number": 4, "seed": 1}).json()
    assert len(drawn["pictures"]) == 4
    assert set(drawn["pictures"]) <= set(ids.values())
    assert client.get("/api/v1/estimate/sample").json() == drawn
    found = client.post("/api/v1/estimate", json={"right": drawn["pictures"]}).json()
    counts = {p["picture"]: p["count"]["count"] for p in client.get("/api/v1/project").json()["pictures"]}
    total = found["total"]
    assert total["low"] <= total["value"] <= total["high"]
    assert abs(total["value"] - sum(counts.values()) - 3) < 3  # three things were added by hand
    assert (found["by_hand"], found["pictures"]) == (4, 5)
    assert found["lines"]
    assert found["methods"]


def test_a_sample_needs_counts(client: TestClient) -> None:
    assert "nothing was counted" in client.post("/api/v1/estimate/sample", json={"number": 3}).json()["error"]
