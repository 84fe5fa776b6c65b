"""What is dropped into the workbench: good pictures are taken, everything else is refused, however much of it comes."""

from __future__ import annotations

import asyncio
import io
import os
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from likewise.app.server import build_app

from .conftest import SMALL, coins, encoded, upload


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, body: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """A small file that says it is enormous, and whose body unpacks to much."""
    return png(60_000, 60_000, zlib.compress(bytes(5_000_000), 9))


def text_bomb() -> bytes:
    """A picture of one pixel with a text that unpacks to 200 MB."""
    packed = zlib.compressobj(9)
    text = b"".join(packed.compress(bytes(1 << 20)) for _ in range(200)) + packed.flush()
    good = encoded(coins()[:1, :1])
    return good[:33] + chunk(b"zTXt", b"Comment\0\0" + text) + good[33:]


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as inside:
        inside.writestr("run.sh", "echo")
    return file.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
GOOD = encoded(coins())
HOSTILE = {
    "a PNG bomb": ("bomb.png", bomb(), 413),
    "a bomb in a text": ("text.png", text_bomb(), 415),
    "an SVG": ("picture.svg", SVG, 415),
    "an SVG called PNG": ("picture.png", SVG, 415),
    "a page called JPEG": ("page.jpg", b"<!DOCTYPE html><script>1</script>", 415),
    "a picture that is a page too": ("both.png", GOOD + b"<html><script>alert(1)</script>", 415),
    "a picture that is an archive too": ("both.png", GOOD + archive(), 415),
    "a script that looks like a GIF": ("x.gif", b"GIF89a/*" + b"\0" * 30 + b"*/=1;<script>", 415),
    "PostScript": ("x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", 415),
    "a cut one": ("cut.png", GOOD[: len(GOOD) // 2], 415),
    "noise": ("noise.jpg", np.random.default_rng(0).bytes(2000), 415),
    "nothing": ("none.png", b"", 415),
    "too large": ("large.png", GOOD + bytes(SMALL.upload_bytes), 413),
    "too many pixels": ("wide.png", encoded(np.zeros((1100, 1000, 3), dtype=np.uint8)), 413),
    "a way up": ("../../up.png", GOOD, 422),
    "a way up, escaped": ("..\\up.png", GOOD, 422),
    "an absolute path": ("/etc/cron.d/x.png", GOOD, 422),
    "a hidden file": (".x.png", GOOD, 422),
    "a name with a line in it": ("x\u2028y.png", GOOD, 422),
    "a name that turns round": ("x\u202egnp.exe.png", GOOD, 422),
    "a program": ("x.exe", GOOD, 415),
    "a long name": ("x" * 300 + ".png", GOOD, 422),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_picture_is_refused(client: TestClient, what: str) -> None:
    name, content, status = HOSTILE[what]
    answer = upload(client, name, content)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert len(client.get("/api/v1/pictures").json()["pictures"]) == 3


def own_folder(client: TestClient) -> Path:
    bench = client.app.state.bench  # type: ignore[attr-defined]
    return Path(bench.store._uploads)


def test_nothing_is_left_of_what_was_refused(client: TestClient) -> None:
    for name, content, _ in HOSTILE.values():
        upload(client, name, content)
    assert list(own_folder(client).iterdir()) == []
    assert client.app.state.bench.store._stored == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("grün & weiß.png", GOOD),
        ("deep.tif", encoded(np.full((20, 30), 4000, dtype=np.uint16), "TIFF")),
        ("clear.webp", encoded(coins(), "WEBP")),
        ("PHOTO.JPG", encoded(coins(), "JPEG")),
        ("dot.png", encoded(coins()[:1, :1])),
    ],
)
def test_pictures_are_taken_under_their_name(client: TestClient, name: str, content: bytes) -> None:
    answer = upload(client, name, content)
    assert answer.status_code == 201, answer.text
    taken = answer.json()
    assert taken["name"] == name
    width, height = Image.open(io.BytesIO(content)).size
    assert (taken["width"], taken["height"]) == (width, height)
    assert client.get(f"/api/v1/pictures/{taken['id']}/image").status_code == 200
    (stored,) = own_folder(client).iterdir()
    assert name not in stored.name
    assert stored.stat().st_mode & 0o077 == 0 or own_folder(client).parent.stat().st_mode & 0o077 == 0


def test_two_of_one_name_are_told_apart_and_uploads_can_be_put_away(client: TestClient) -> None:
    first, second = upload(client, "x.png", GOOD).json(), upload(client, "x.png", GOOD).json()
    assert (first["name"], second["name"]) == ("x.png", "x (2).png")
    assert client.delete(f"/api/v1/pictures/{first['id']}").status_code == 204
    assert client.get(f"/api/v1/pictures/{first['id']}/image").status_code == 404
    assert len(list(own_folder(client).iterdir())) == 1
    own = client.get("/api/v1/pictures").json()["pictures"][0]
    assert client.delete(f"/api/v1/pictures/{own['id']}").status_code == 403


def test_room_for_uploads_is_bounded(client: TestClient) -> None:
    # a picture's size does not change by bytes behind its end, which small ones may have
    padded = GOOD + bytes(SMALL.upload_bytes - len(GOOD) - 1)
    codes = [upload(client, "x.png", padded).status_code for _ in range(5)]
    assert codes == [201] * 4 + [413]
    few = [upload(client, "tiny.png", encoded(coins()[:2, :2])).status_code for _ in range(SMALL.pictures)]
    assert set(few) <= {201, 413}
    assert (
        sum(
            p["name"] not in ("a2.png", "a10.jpg", "broken.png")
            for p in client.get("/api/v1/pictures").json()["pictures"]
        )
        <= SMALL.pictures
    )


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 415),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense", 400),
        ("multipart/form-data; boundary=" + "b" * 300, b"x", 400),
        ("multipart/form-data; boundary=\u00e9", b"x", 400),
        ("multipart/form-data; boundary*=utf-8''x", b"x", 415),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 422),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n',
            422,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 9000 + b": 1\r\n\r\n1\r\n--x--\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\n1\r\n' * 2 + b"--x--\r\n",
            422,
        ),
    ],
)
def test_forms_that_are_none(client: TestClient, content_type: str, body: bytes, status: int) -> None:
    headers = {"content-type": content_type.encode("latin-1")}
    answer = client.post("/api/v1/pictures", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert list(own_folder(client).iterdir()) == []


def form(disposition: bytes, content: bytes = GOOD) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="file"; ' + disposition + b"\r\n\r\n" + content + b"\r\n--x--"


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        (b"filename*=utf-8''%E6%95%B0.png", "数.png"),
        (b"filename*=UTF-8'de'gr%C3%BCn.png", "grün.png"),
        (b"filename*=iso-8859-1''gr%FCn.png", "grün.png"),
        (b"filename=\"x.png\"; filename*=utf-8''%E6%95%B0.png", "数.png"),
        (b"filename*=utf-8''%E6%95%B0.png; filename=\"x.png\"", "数.png"),
        (b'filename="a;b.png"', "a;b.png"),
        ('filename="数.png"'.encode(), "数.png"),
        (b"filename*=utf-8''..%2F..%2Fup.png", 422),
        (b"filename*=utf-8''%00.png", 422),
        (b"filename*=utf-7''x.png", 422),
        (b"filename*=idna''%ff.png", 422),
        (b"filename*=x.png", 422),
    ],
)
def test_names_come_in_any_alphabet(client: TestClient, disposition: bytes, expected: str | int) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/v1/pictures", content=form(disposition), headers=headers)
    assert (answer.json()["name"] if answer.status_code == 201 else answer.status_code) == expected


def test_an_upload_on_a_full_disk_leaves_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("likewise.app.multipart._Form._part_data", full)
        answer = upload(client, "x.png", GOOD)
    assert (answer.status_code, answer.json()["error"]) == (413, "the disk is full; nothing of this was kept")
    with monkeypatch.context() as patch:
        patch.setattr("likewise.app.picture_store.decode", full)
        assert upload(client, "x.png", GOOD).status_code == 413
    assert list(own_folder(client).iterdir()) == []
    assert client.app.state.bench.store._stored == 0  # type: ignore[attr-defined]
    assert upload(client, "x.png", GOOD).status_code == 201


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """A workbench that listens on a port of its own."""
    config = uvicorn.Config(build_app(folder, limits=SMALL), port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_a_flood_of_uploads_leaves_the_good_ones_counted_and_memory_bounded(address: str) -> None:
    kinds = list(HOSTILE.values())
    files = [("good.png", GOOD, 201) if i % 3 == 0 else kinds[i % len(kinds)] for i in range(60)]

    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
            sent = [client.post("/api/v1/pictures", files={"file": (name, content)}) for name, content, _ in files]
            return list(await asyncio.gather(*sent))

    before = resident()
    answers = asyncio.run(flood())
    assert [a.status_code for a in answers] == [status for *_, status in files]
    assert resident() - before < 200 << 20
    with httpx.Client(base_url=address, timeout=120) as client:
        taken = [a.json() for a in answers if a.status_code == 201]
        assert len({picture["id"] for picture in taken}) == 20
        shown = client.get(f"/api/v1/pictures/{taken[-1]['id']}/image")
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.content))), coins())


def test_two_hundred_uploads_of_all_kinds_are_answered_one_by_one(address: str) -> None:
    """Good ones, broken ones, forms cut in the middle and names in all ways, a few at a time; nothing is lost."""
    kinds = [(name, content, status) for name, content, status in HOSTILE.values() if len(content) < 100_000]
    small = encoded(coins()[:9, :9])
    expected = []

    async def send(client: httpx.AsyncClient, turn: asyncio.Semaphore, number: int) -> int:
        async with turn:
            if number % 8 == 0:
                expected.append((number, 201))
                files = {"file": (f"{number}.png", small)}
            elif number % 8 == 1:
                expected.append((number, 400))
                cut = form(f'filename="{number}.png"'.encode(), small)[:-20]
                headers = {"content-type": "multipart/form-data; boundary=x"}
                return (await client.post("/api/v1/pictures", content=cut, headers=headers)).status_code
            else:
                name, content, status = kinds[number % len(kinds)]
                expected.append((number, status))
                files = {"file": (name, content)}
            return (await client.post("/api/v1/pictures", files=files)).status_code

    async def flood() -> list[int]:
        turn = asyncio.Semaphore(12)
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:
            return list(await asyncio.gather(*(send(client, turn, number) for number in range(200))))

    before = resident()
    assert asyncio.run(flood()) == [status for _, status in sorted(expected)]
    assert resident() - before < 100 << 20
    with httpx.Client(base_url=address, timeout=120) as client:
        names = {picture["name"] for picture in client.get("/api/v1/pictures").json()["pictures"]}
    assert names >= {f"{number}.png" for number in range(0, 200, 8)}
    assert len(names) == 3 + 25


def resident() -> int:
    """Bytes of memory that this process, and the server in it, hold."""
    told = Path("/proc/self/statm")
    if not told.exists():
        pytest.skip("this system does not tell how much memory a process holds")
    return int(told.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
