"""A workbench on a folder of small pictures."""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data


def installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # hidden on purpose
        return False


#: What the [app] extra brings; without it these tests are left out, and the report's head says so.
MISSING = [name for name in ("fastapi", "uvicorn", "python_multipart") if not installed(name)]
if MISSING:
    collect_ignore_glob = ["test_*.py"]
else:
    from fastapi.testclient import TestClient

    from likewise.app import models
    from likewise.app.limits import Limits
    from likewise.app.server import build_app

    SMALL = Limits(
        upload_bytes=1 << 20, upload_pixels=1_000_000, stored_bytes=4 << 20, pictures=40, uploads=64, body_bytes=1 << 20
    )
    _load = functools.cache(models._load)

#: Boxes round two coins of the small pictures.
BOXES = [[81, 39, 120, 74], [24, 33, 66, 75]]


def pytest_report_collectionfinish() -> str:
    return f"tests/app is left out: it needs the [app] extra ({', '.join(MISSING)} missing)" if MISSING else ""


@pytest.fixture(autouse=True)
def _data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of pictures that are dropped in is this test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))


@pytest.fixture(autouse=True)
def _loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the weights anew for every test would take longer than the tests."""
    monkeypatch.setattr(models, "_load", _load)


def coins() -> np.ndarray:
    """(130, 180, 3): the top left corner of scikit-image's coins."""
    return np.repeat(data.coins()[:130, :180, None], 3, axis=2)


def encoded(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them turned by its EXIF record, and one that is none."""
    place = tmp_path / "my pictures"
    place.mkdir()
    (place / "a2.png").write_bytes(encoded(coins()))
    exif = Image.Exif()
    exif[0x0112] = 6
    (place / "a10.jpg").write_bytes(encoded(np.rot90(coins()).copy(), "JPEG", quality=95, exif=exif))
    (place / "broken.png").write_bytes(b"nothing of the kind")
    (place / "secret.txt").write_text("not to be seen")
    return place


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(build_app(folder, limits=SMALL), base_url="http://127.0.0.1:7878") as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from .browsing import opened

    with opened() as browser:
        yield browser


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a workbench on the coins, and three cuttings of them."""
    from .browsing import served

    folder = tmp_path / "coins"
    folder.mkdir()
    whole = np.repeat(data.coins()[..., None], 3, axis=2)
    for name, pixels in {
        "coins": whole,
        "left": whole[:, :190],
        "right": whole[:, 190:],
        "turned": whole[::-1],
    }.items():
        (folder / f"{name}.png").write_bytes(encoded(pixels))
    with served(build_app(folder)) as address:
        yield address


@pytest.fixture
def person(browser: Any, address: str) -> Iterator[Any]:
    from .browsing import Person

    person = Person(browser, address)
    yield person
    person.leave()


@pytest.fixture
def ids(client: TestClient) -> dict[str, str]:
    """The folder's pictures: name -> id."""
    return {p["name"]: p["id"] for p in client.get("/api/v1/pictures").json()["pictures"]}


def upload(client: TestClient, name: str, content: bytes) -> Any:
    return client.post("/api/v1/pictures", files={"file": (name, content, "application/octet-stream")})


def finished(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    """The job, once it has ended."""
    import time

    until = time.monotonic() + 120
    while time.monotonic() < until:
        found: dict[str, Any] = client.get(f"/api/v1/jobs/{job['id']}").json()
        if found["state"] != "running":
            return found
        time.sleep(0.02)
    raise AssertionError(f"the job did not end: {found}")


@pytest.fixture
def hear(monkeypatch: pytest.MonkeyPatch) -> Any:
    """hear(*points): whatever is counted from now on has these points, each of a thing 20 pixels large."""
    from likewise.app.workbench import Workbench
    from likewise.results import CountResult

    def say(
        *points: tuple[float, float],
        count: float | None = None,
        side: float = 20,
        intervals: dict[str, tuple[float, float]] | None = None,
        **more: Any,
    ) -> None:
        total = len(points) if count is None else count
        more = {"scores": np.ones(len(points), np.float32), "model": "spdcn-lite", "seconds": 0.1, **more}

        def counted(_: Workbench, picture: Any, asked: Any) -> CountResult:
            if intervals:
                more["interval"] = intervals[picture.name]
            return CountResult(
                grid=np.full((10, 10), total / 100, np.float32),
                size=(picture.width, picture.height),
                points=np.array(points, np.float32).reshape(-1, 2),
                prompt=asked.prompt(),
                image=np.zeros((10, 10, 3), np.uint8),
                object_size=(side, side),
                **more,
            )

        monkeypatch.setattr(Workbench, "_counted", counted)

    return say
