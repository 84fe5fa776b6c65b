"""Stacks: what of a file is the picture is said with each question, and the answer belongs to it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tifffile import imwrite

from likewise.app.models import SCALE_STEPS
from likewise.app.server import build_app
from likewise.predict import load_counter
from likewise.sources import Choice, open_source

from .conftest import BOXES, SMALL, coins, encoded, finished, upload

API = "/api/v1"
GFP = {"channel": "GFP", "z": "max"}


def stack() -> np.ndarray:
    """(3, 2, 130, 180) uint16, planes and channels: the coins, each plane some of them, and their negative."""
    grey = coins()[..., 0].astype(np.uint16) * 16
    planes = np.stack([grey.copy() for _ in range(3)])
    planes[0, :, 60:] = planes[1, :, :60] = planes[2, 65:] = 0
    return np.stack([4080 - planes, planes], axis=1)


def write_stack(path: Path, names: tuple[str, ...] = ("DAPI", "GFP")) -> None:
    metadata = {"axes": "ZCYX", "Channel": {"Name": list(names)}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    values = stack()[:, ::-1] if names[0] == "GFP" else stack()  # where the coins are
    imwrite(path, values, ome=True, photometric="minisblack", metadata=metadata)


@pytest.fixture
def stacks(folder: Path) -> Path:
    """The folder with two stacks of the same channels, and one of others."""
    for name, names in {"s1": ("DAPI", "GFP"), "s2": ("GFP", "DAPI"), "s3": ("red", "green")}.items():
        write_stack(folder / f"{name}.ome.tif", names)
    return folder


def ids_of(client: TestClient) -> dict[str, str]:
    return {p["name"].split(".")[0]: p["id"] for p in client.get(f"{API}/pictures").json()["pictures"]}


def as_seen(path: Path, choice: Choice) -> np.ndarray:
    with open_source(path, choice) as source:
        return source.whole()[0]


def test_a_stack_is_told_of_and_shown_as_chosen(client: TestClient, stacks: Path) -> None:
    here = ids_of(client)["s1"]
    about = client.get(f"{API}/pictures/{here}/about").json()
    assert about == {"micrometres": [0.5, 0.5], "channels": ["DAPI", "GFP"], "planes": 3, "frames": 1, "deep": True}
    assert client.get(f"{API}/pictures/{here}/thumbnail").is_success
    unsaid = client.get(f"{API}/pictures/{here}/image")
    assert unsaid.status_code == 422
    assert "s1.ome.tif is a stack (channels DAPI, GFP): 2 of channel, 3 of z" in unsaid.json()["error"]
    for seen, choice in ((GFP, Choice("GFP", "max")), ({"channel": "0", "z": "2", "contrast": "0,4080"}, None)):
        image = client.get(f"{API}/pictures/{here}/image", params=seen)
        expected = as_seen(stacks / "s1.ome.tif", choice or Choice.parse("0", "2", "0,4080"))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(image.content))), expected)


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({"channel": "GPF", "z": "0"}, "has no channel GPF; did you mean 'GFP'?"),
        ({"channel": "GFP"}, "holds 3 planes"),
        ({"channel": "GFP", "z": "3"}, "has no plane 3: expected 0 to 2"),
        ({"channel": "GFP", "z": "min"}, "'max' or 'mean'"),
        ({**GFP, "contrast": "dark"}, "expected auto, min,max"),
        ({**GFP, "frame": 4}, "has no frame 4"),
        ({**GFP, "chanel": "GFP"}, "chanel"),
    ],
)
def test_a_choice_that_there_is_not_is_refused_and_the_picture_stays(
    client: TestClient, stacks: Path, seen: dict[str, Any], message: str
) -> None:
    here = ids_of(client)["s1"]
    for path in ("image", "about"):
        answer = client.get(f"{API}/pictures/{here}/{path}", params=seen)
        assert answer.status_code == 422
        assert message in answer.json()["error"]
        assert str(stacks) not in answer.json()["error"]
    asked = client.post(f"{API}/count", json={"picture": here, "exemplars": BOXES, "seen": seen})
    assert asked.status_code == 422
    assert client.get(f"{API}/pictures/{here}/image", params=GFP).is_success


def test_a_count_is_that_of_what_is_seen(client: TestClient, stacks: Path) -> None:
    here, counter = ids_of(client), load_counter("spdcn-lite", scale_steps=SCALE_STEPS)
    boxes = [tuple(box) for box in BOXES]
    for seen in (GFP, {"channel": "GFP", "z": "2"}):
        asked = {"picture": here["s1"], "exemplars": BOXES, "seen": seen}
        expected = counter.count(as_seen(stacks / "s1.ome.tif", Choice.parse(seen["channel"], seen["z"])), boxes)
        assert client.post(f"{API}/count", json=asked).json()["count"] == pytest.approx(expected.count, abs=1e-3)
    like = [{"picture": here["s1"], "exemplars": BOXES, "seen": GFP}]
    there = client.post(f"{API}/count", json={"picture": here["s2"], "like": like, "seen": GFP}).json()["count"]
    assert there == pytest.approx(client.post(f"{API}/count", json=asked | {"seen": GFP}).json()["count"], rel=0.1)


def test_a_job_sees_each_picture_as_it_is_chosen(client: TestClient, stacks: Path) -> None:
    here = ids_of(client)
    like = [{"picture": here["s1"], "exemplars": BOXES, "seen": GFP}]
    pictures = [here["s2"], here["s3"]]
    body = {"task": "count", "pictures": pictures, "like": like, "seen": {here["s2"]: GFP}}
    records = {r["picture"]: r for r in finished(client, client.post(f"{API}/jobs", json=body).json())["records"]}
    assert records[here["s2"]]["count"] > 3
    assert "is a stack" in records[here["s3"]]["error"]


def test_it_is_found_to_which_pictures_a_choice_fits(client: TestClient, stacks: Path) -> None:
    imwrite(stacks / "deep.tif", coins()[..., 0].astype(np.uint16) * 16)
    here = ids_of(client)
    names = {identity: name for name, identity in here.items()}

    def fitting(seen: dict[str, Any]) -> set[str]:
        return {names[each] for each in client.post(f"{API}/pictures/fitting", json=seen).json()["pictures"]}

    assert fitting(GFP) == {"s1", "s2"}
    assert fitting({"channel": "1", "z": "mean", "contrast": "1%,99%"}) == {"s1", "s2", "s3"}
    assert fitting({"contrast": "min,max"}) == {"deep"}
    assert client.post(f"{API}/pictures/fitting", json={"contrast": "dark"}).status_code == 422


def test_a_choice_is_kept_and_other_answers_go_with_it(stacks: Path) -> None:
    def say(client: TestClient, picture: str, **entry: Any) -> None:
        body = {"pictures": [{"picture": picture, "entry": entry, "question": "q"}], "asked": {"recognize": "r"}}
        assert client.patch(f"{API}/project", json=body).is_success

    with TestClient(build_app(stacks, limits=SMALL), base_url="http://127.0.0.1:7878") as client:
        here = ids_of(client)
        say(client, here["s1"], exemplars=BOXES, seen=GFP)
        say(client, here["s2"], like={"picture": here["s1"], "exemplars": BOXES, "seen": GFP}, seen=GFP)
        kept = client.get(f"{API}/project/pictures/{here['s2']}").json()["entry"]
        assert list(kept["like"]) == ["picture", "seen", "exemplars"]  # in the order in which the page names questions
        for seen in ({"channel": "DAPI", "z": "max"}, GFP):
            asked = {"picture": here["s1"], "seen": seen, "keep": "r"}
            assert client.post(f"{API}/recognize", json=asked).is_success
            kept = client.get(f"{API}/project/pictures/{here['s1']}").json()
            assert ("recognize" in kept) == (seen == GFP)  # what is not seen now would be taken for what is
        asked = {"picture": here["s1"], "exemplars": BOXES, "seen": GFP, "keep": "q"}
        assert client.post(f"{API}/count", json=asked).is_success
        drawn = finished(client, client.post(f"{API}/project/overlays").json())
        assert (drawn["done"], drawn["failed"]) == (1, 0)
        say(client, here["s1"], exemplars=BOXES, seen={"channel": "DAPI", "z": "max"})
        assert "recognize" not in client.get(f"{API}/project/pictures/{here['s1']}").json()
    with TestClient(build_app(stacks, limits=SMALL), base_url="http://127.0.0.1:7878") as client:
        kept = client.get(f"{API}/project/pictures/{ids_of(client)['s1']}").json()["entry"]
        assert kept == {"exemplars": BOXES, "seen": {"channel": "DAPI", "z": "max"}}


def test_a_stack_is_dropped_in_and_a_damaged_one_is_not(client: TestClient, tmp_path: Path) -> None:
    write_stack(tmp_path / "s.ome.tif")
    content = (tmp_path / "s.ome.tif").read_bytes()
    found = upload(client, "s.tif", content)
    assert found.status_code == 201
    assert (found.json()["width"], found.json()["height"]) == (180, 130)
    image = client.get(f"{API}/pictures/{found.json()['id']}/image", params=GFP)
    assert image.is_success
    assert upload(client, "cut.tif", encoded(coins(), "TIFF")[:900]).status_code == 415
