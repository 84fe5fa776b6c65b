"""Large pictures: tiles at the resolution that is looked at, and counts window by window, in the memory of one."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tifffile import imwrite

from likewise.app import budget, opened, tiles
from likewise.app.giants import count_giant
from likewise.app.models import SCALE_STEPS, Models
from likewise.predict import ReferenceExemplars, load_counter, prepared_image
from likewise.predict.cancellation import CancelledQuestionError, cancellable
from likewise.sources import open_source
from likewise.types import Prompt

from .conftest import BOXES, coins, encoded, finished, upload

API = "/api/v1"
SIZE = (5000, 1300)


@pytest.fixture
def wide(folder: Path) -> Path:
    """A tiled TIFF, wider than is shown of it as a whole."""
    pixels = np.tile(coins(), (10, 28, 1))[: SIZE[1], : SIZE[0]]
    imwrite(folder / "wide.tif", pixels, photometric="rgb", tile=(256, 256), compression="zlib")
    return folder / "wide.tif"


@pytest.fixture
def nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture is too large to be held in memory."""
    monkeypatch.setattr(opened, "GIANT", 1000)
    monkeypatch.setattr(prepared_image, "GIANT", 1000)


def id_of(client: TestClient, name: str) -> str:
    return next(p["id"] for p in client.get(f"{API}/pictures").json()["pictures"] if p["name"] == name)


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content))).astype(int)


def test_tiles_are_parts_of_the_picture_at_every_reduction(client: TestClient, wide: Path) -> None:
    here = id_of(client, "wide.tif")
    assert pixels_of(client.get(f"{API}/pictures/{here}/image").content).shape == (1065, 4096, 3)
    with open_source(wide) as source:
        for reduction, column, row in ((1, 3, 1), (1, 9, 2), (2, 1, 0), (4, 2, 0)):
            side = 512 * reduction
            x, y = column * side, row * side
            window = (x, y, min(x + side, SIZE[0]), min(y + side, SIZE[1]))
            tile = client.get(f"{API}/pictures/{here}/tiles/{reduction}/{column}/{row}")
            assert tile.headers["content-type"] == "image/jpeg"
            expected = source.read(window, 1 / reduction).astype(int)
            found = pixels_of(tile.content)
            assert found.shape == expected.shape
            assert np.abs(found - expected).mean() < 4


@pytest.mark.parametrize(
    ("place", "status", "message"),
    [
        ("1/10/0", 404, "the last one is 9, 2"),
        ("2/0/2", 404, "the last one is 4, 1"),
        ("3/0/0", 422, "expected a power of two, such as 4"),
        ("0/0/0", 422, "greater than or equal to 1"),
        ("1/-1/0", 422, "greater than or equal to 0"),
    ],
)
def test_there_are_no_other_tiles(client: TestClient, wide: Path, place: str, status: int, message: str) -> None:
    answer = client.get(f"{API}/pictures/{id_of(client, 'wide.tif')}/tiles/{place}")
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_of_a_file_without_smaller_copies_little_is_read_at_once(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_source(wide) as source:
        expected = tiles.reduced(source, (0, 0, 4096, 1300), 8)
        read, largest = source.read, [0]

        def watched(window: Any, scale: float) -> np.ndarray:
            largest[0] = max(largest[0], (window[2] - window[0]) * (window[3] - window[1]))
            return read(window, scale)

        monkeypatch.setattr(source, "read", watched)
        monkeypatch.setattr(tiles, "AT_ONCE", 1 << 18)
        found = tiles.reduced(source, (0, 0, 4096, 1300), 8)
        assert 0 < largest[0] <= 1 << 18
    assert found.shape == expected.shape == (162, 512, 3)
    assert np.abs(found.astype(int) - expected).mean() < 5  # each band by itself


def test_a_giant_is_counted_in_windows_and_the_pages_hear_how_far_it_is(
    client: TestClient, wide: Path, nothing_fits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it is read whole")

    monkeypatch.setattr(Models, "session", never)
    told: list[Any] = []
    monkeypatch.setattr(client.app.state.bench.events, "tell", lambda event, _, content: told.append((event, content)))
    counter = load_counter("spdcn-lite", scale_steps=SCALE_STEPS)
    prompt = Prompt(tuple(tuple(box) for box in BOXES), region=((0, 0), (1500, 0), (1500, 600), (0, 600)))
    with open_source(wide) as source:
        plan = counter.plan_windows(source, prompt, ReferenceExemplars())
        expected, windows = plan.run().count, len(plan.windows())
    here = id_of(client, "wide.tif")
    question = {"picture": here, "exemplars": BOXES, "region": prompt.region, "heat": True}
    answer = client.post(f"{API}/count", json=question).json()
    assert answer["count"] == pytest.approx(expected, abs=1e-3)
    assert expected > 100
    assert (answer["image"], answer["heat"][:15]) == ("wide.tif", "data:image/png;")
    heard = [content for event, content in told if event == "tiles"]
    assert heard == [{"picture": here, "done": done, "tiles": windows} for done in range(windows)]


def test_what_was_found_in_a_giant_is_drawn_on_a_reduced_copy(
    client: TestClient, wide: Path, nothing_fits: None, hear: Any
) -> None:
    hear((4000.0, 600.0))
    here = id_of(client, "wide.tif")
    entry = {"picture": here, "entry": {"exemplars": BOXES}, "question": "q"}
    assert client.patch(f"{API}/project", json={"pictures": [entry]}).is_success
    assert client.post(f"{API}/count", json={"picture": here, "exemplars": BOXES, "keep": "q"}).is_success
    job = finished(client, client.post(f"{API}/project/overlays").json())
    assert (job["done"], job["failed"]) == (1, 0)
    with zipfile.ZipFile(io.BytesIO(client.get(f"{API}/jobs/{job['id']}/file").content)) as archive:
        [name] = archive.namelist()
        assert pixels_of(archive.read(name)).shape[1] == 4096


def test_kinds_are_not_told_apart_in_a_giant(client: TestClient, wide: Path, nothing_fits: None) -> None:
    kinds = [{"name": "one", "exemplars": BOXES[:1]}, {"name": "two", "exemplars": BOXES[1:]}]
    refused = client.post(f"{API}/count", json={"picture": id_of(client, "wide.tif"), "kinds": kinds})
    assert refused.status_code == 422
    assert "wide.tif is too large to tell kinds apart; count each kind by itself" in refused.json()["error"]


def test_a_count_of_a_giant_ends_when_nobody_waits_for_it(client: TestClient, wide: Path) -> None:
    picture = client.app.state.bench.store.get(id_of(client, "wide.tif"))
    counter = load_counter("spdcn-lite")
    prompt = Prompt(tuple(tuple(box) for box in BOXES))
    with cancellable(lambda: True), pytest.raises(CancelledQuestionError):
        count_giant(counter, picture, prompt, ReferenceExemplars(), lambda *_: None)


def test_examples_in_a_giant_are_looked_at_where_they_lie(
    client: TestClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    question = {"picture": ids["a10.jpg"], "like": [{"picture": ids["a2.png"], "exemplars": BOXES}]}
    expected = client.post(f"{API}/count", json=question).json()["count"]
    client.app.state.bench._references._known.clear()
    monkeypatch.setattr(prepared_image, "GIANT", 1000)
    assert client.post(f"{API}/count", json=question).json()["count"] == pytest.approx(expected, rel=0.02)


def test_examples_in_a_large_tiff_are_not_too_many_pixels(
    client: TestClient, ids: dict[str, str], wide: Path, nothing_fits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "EXAMPLE_PIXELS", 10_000)
    answers = {}
    for name in ("wide.tif", "a2.png"):
        like = [{"picture": id_of(client, name), "exemplars": BOXES}]
        answers[name] = client.post(f"{API}/count", json={"picture": ids["a10.jpg"], "like": like})
    assert answers["wide.tif"].is_success
    assert "pictures with examples have" in answers["a2.png"].json()["error"]


def test_what_is_too_large_to_be_read_whole_is_listed_and_not_recognised(
    client: TestClient, folder: Path, wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "large.png").write_bytes(encoded(np.tile(coins(), (3, 3, 1))))
    monkeypatch.setenv("LIKEWISE_MAX_PIXELS", "100000")
    listed = {p["name"]: p.get("error", "") for p in client.get(f"{API}/pictures").json()["pictures"]}
    assert "too many pixels" in listed["large.png"]
    assert listed["wide.tif"] == ""
    refused = client.post(f"{API}/recognize", json={"picture": id_of(client, "wide.tif")})
    assert refused.status_code == 413
    assert "too large to be looked at whole; count in it by boxes" in refused.json()["error"]


def test_an_upload_that_is_looked_at_can_be_put_away(client: TestClient) -> None:
    found = upload(client, "long.png", encoded(np.tile(coins()[:8], (1, 28, 1)))).json()
    assert client.get(f"{API}/pictures/{found['id']}/tiles/1/9/0").is_success
    assert client.delete(f"{API}/pictures/{found['id']}").status_code == 204
    assert client.get(f"{API}/pictures/{found['id']}/tiles/1/9/0").status_code == 404
