"""A workbench that is killed (-9) at work: the pictures and the project stay, its files go at the next start."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from likewise.app.kept import NAME
from likewise.app.own_folder import PREFIX

from .conftest import BOXES, coins, encoded

pytest.importorskip("fcntl", reason="without it nobody can tell which folders are in use")

#: No test waits longer for anything.
PATIENCE = 240.0
PICTURES = 6


class Bench:
    """A workbench in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """The answer to a request, as JSON where it is."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        url = f"{self.address}{path}"
        request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310  # our own address
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            held = answer.read()
        return json.loads(held) if answer.headers["content-type"].startswith("application/json") else held

    def ids(self) -> dict[str, str]:
        return {p["name"]: p["id"] for p in self.ask("api/v1/pictures")["pictures"]}

    def job(self, path: str, body: Any) -> str:
        return str(self.ask(path, body)["id"])

    def until(self, job: str, done: int) -> dict[str, Any]:
        """A job, once so many pictures are done."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found: dict[str, Any] = self.ask(f"api/v1/jobs/{job}")
            if found["done"] >= done and (done < found["total"] or found["state"] != "running"):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


@dataclass(frozen=True)
class Place:
    """A folder of pictures, and where temporary files go."""

    pictures: Path
    temporary: Path

    def own_folders(self) -> list[Path]:
        return sorted(self.temporary.glob(f"{PREFIX}*"))


@contextmanager
def started(place: Place) -> Iterator[Bench]:
    words = [sys.executable, "-m", "likewise", "app", str(place.pictures), "--port", "0", "--no-browser"]
    data = str(place.temporary / "data")
    environment = {**os.environ, "TMPDIR": str(place.temporary), "XDG_DATA_HOME": data}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("likewise is at http"), line
            bench = Bench(process, line.split()[-1])
            bench.ids()  # it is at work once it answers
            yield bench
        finally:
            process.kill()


def stamps(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def counting(bench: Bench) -> dict[str, Any]:
    return {"task": "count", "pictures": list(bench.ids().values()), "exemplars": BOXES}


def project_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page keeps, and writes to a file of the user's."""
    kept = ("model", "count", "low", "high", "points", "scores", "seconds")
    pictures = [
        {
            "name": record["image"],
            "width": 180,
            "height": 130,
            "exemplars": BOXES,
            "prediction": {key: record[key] for key in kept},
            "added": [[5, 5]],
        }
        for record in records
    ]
    return {"format": 1, "pictures": pictures}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "pictures", tmp_path / "temporary")
    place.pictures.mkdir()
    place.temporary.mkdir()
    for number in range(PICTURES):
        (place.pictures / f"{number}.png").write_bytes(encoded(coins()[number:]))
    return place


def test_nothing_is_lost_and_nothing_is_left_wherever_it_is_killed(place: Place, tmp_path: Path) -> None:
    before = stamps(place.pictures)
    part = killed_in_a_job(place)
    assert stamps(place.pictures) == before
    project, table = killed_in_an_export_of_overlays(place, part)
    assert stamps(place.pictures) == before
    saved = tmp_path / "work.likewise.json"
    saved.write_text(json.dumps(project))
    killed_while_a_project_is_read(place, saved)
    assert stamps(place.pictures) == before
    assert json.loads(saved.read_text()) == project
    everything_is_there_again(place, saved, table)
    assert place.own_folders() == []
    assert stamps(place.pictures) == before


def test_a_kill_in_the_middle_of_clicks_loses_the_last_one_at_most(place: Place) -> None:
    before = stamps(place.pictures)
    clicks = 0
    for _ in range(3):
        with started(place) as bench:
            picture = bench.ids()["0.png"]
            there = len(added(bench, picture))
            assert clicks <= there <= clicks + 1
            clicks = there
            stop = threading.Timer(0.2, bench.kill)
            stop.start()
            while click(bench, picture, clicks + 1):
                clicks += 1
            stop.join()
    assert clicks > 0
    kept = {name: stamp for name, stamp in stamps(place.pictures).items() if not name.startswith(NAME)}
    assert kept == before


def click(bench: Bench, picture: str, number: int) -> bool:
    """Say that there are so many things in a picture; whether that was answered."""
    change = {"picture": picture, "entry": {"added": [[i, 1] for i in range(number)]}, "question": None}
    try:
        return bool(bench.ask("api/v1/project", {"pictures": [change]}, "PATCH") == {"unknown": []})
    except (OSError, http.client.HTTPException):
        return False


def added(bench: Bench, picture: str) -> list[Any]:
    found = {each["picture"]: each["entry"] for each in bench.ask("api/v1/project")["pictures"]}
    points: list[Any] = found.get(picture, {}).get("added", [])
    return points


def test_a_job_that_was_killed_goes_on_with_what_is_left(place: Place) -> None:
    with started(place) as bench:
        body = counting(bench)
        body["keep"] = dict.fromkeys(body["pictures"], "q")
        job = bench.job("api/v1/jobs", body)
        bench.until(job, 2)
        bench.kill()
    with started(place) as bench:
        [stopped] = bench.ask("api/v1/jobs")["stopped"]
        assert (stopped["id"], stopped["total"]) == (job, PICTURES)
        assert 2 <= stopped["done"] < PICTURES
        assert bench.ids().keys() == {f"{number}.png" for number in range(PICTURES)}
        assert bench.ask(f"api/v1/jobs/{job}/resume", {})["done"] == stopped["done"]
        assert bench.until(job, PICTURES)["state"] == "done"
        assert bench.ask("api/v1/jobs") == {"jobs": [], "stopped": []}
        changes = [{"picture": each, "entry": {"exemplars": BOXES}, "question": "q"} for each in body["pictures"]]
        bench.ask("api/v1/project", {"pictures": changes}, "PATCH")
        assert len(bench.ask("api/v1/project/export/csv", {}).splitlines()) == PICTURES + 1


def killed_in_a_job(place: Place) -> list[dict[str, Any]]:
    """What was answered before."""
    with started(place) as bench:
        part = bench.until(bench.job("api/v1/jobs", counting(bench)), 2)
        bench.kill()
    assert len(place.own_folders()) == 1  # which is what the next start takes away
    records: list[dict[str, Any]] = part["records"]
    return records


def killed_in_an_export_of_overlays(place: Place, part: list[dict[str, Any]]) -> tuple[dict[str, Any], bytes]:
    """A project of what a whole job gave, which gives again what was given, and its table."""
    left = place.own_folders()
    with started(place) as bench:
        assert place.own_folders() != left
        assert len(place.own_folders()) == 1
        whole = bench.until(bench.job("api/v1/jobs", counting(bench)), PICTURES)
        assert (whole["state"], whole["failed"]) == ("done", 0)
        counts = {record["image"]: record["count"] for record in whole["records"]}
        assert all(counts[record["image"]] == record["count"] for record in part)
        project = project_of(whole["records"])
        table = bench.ask("api/v1/export/csv", project)
        bench.until(bench.job("api/v1/export/overlays", project), 2)
        bench.kill()
    return project, table


def killed_while_a_project_is_read(place: Place, saved: Path) -> None:
    """By its check, and by an export."""
    with started(place) as bench:
        [own] = place.own_folders()
        assert list(own.rglob("*.zip*")) == []
        asking = [
            subprocess.Popen([sys.executable, "-c", POST, f"{bench.address}{path}", str(saved)])
            for path in ("api/v1/project/check", "api/v1/export/coco")
        ]
        time.sleep(0.3)
        bench.kill()
        for each in asking:
            each.wait(PATIENCE)


def everything_is_there_again(place: Place, saved: Path, table: bytes) -> None:
    """As if nothing had been."""
    with started(place) as bench:
        assert len(place.own_folders()) == 1
        opened = json.loads(saved.read_text())
        assert bench.ask("api/v1/project/check", opened) == {"pictures": PICTURES, "missing": []}
        assert bench.ask("api/v1/export/csv", opened) == table
        job = bench.job("api/v1/export/overlays", opened)
        assert bench.until(job, PICTURES)["state"] == "done"
        with zipfile.ZipFile(io.BytesIO(bench.ask(f"api/v1/jobs/{job}/file"))) as archive:
            assert sorted(archive.namelist()) == [f"{number}_count.png" for number in range(PICTURES)]
            assert archive.testzip() is None
        bench.process.terminate()
        bench.process.wait(PATIENCE)


#: A client that does not mind what becomes of the server.
POST = """
import sys, urllib.request
asked = urllib.request.Request(sys.argv[1], open(sys.argv[2], "rb").read(), {"Content-Type": "application/json"})
try:
    urllib.request.urlopen(asked, timeout=60).read()
except OSError:
    pass
"""
