"""Who may ask, and how much."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from likewise.app import server
from likewise.app.server import build_app
from likewise.errors import LikewiseError

from .conftest import BOXES, SMALL, coins, encoded, upload

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105  # of this test


@pytest.mark.parametrize("host", ["127.0.0.1:7878", "localhost:1", "[::1]:7878", "LOCALHOST"])
def test_local_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/api/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7878", "127.0.0.1.evil.example", "192.168.0.7:7878", ""]
)
def test_a_rebound_name_is_not(client: TestClient, host: str) -> None:
    answer = client.get("/api/v1/pictures", headers={"host": host})
    assert answer.status_code == 400
    assert "Host" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://[::1"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_pages_cannot_send_anything(client: TestClient, headers: dict[str, str]) -> None:
    files = {"file": ("a.png", encoded(coins()), "image/png")}
    assert client.post("/api/v1/pictures", files=files, headers=headers).status_code == 403
    assert len(client.get("/api/v1/pictures").json()["pictures"]) == 3


def test_our_own_page_can(client: TestClient) -> None:
    own = {"origin": "http://127.0.0.1:7878", "sec-fetch-site": "same-origin"}
    assert client.get("/api/v1/models", headers=own).status_code == 200


def test_every_answer_forbids_what_is_loaded_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/main.js", "/api/v1/models", "/nothing", "/api/v1/pictures/none/image"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in client.get("/", headers={"host": "evil.example"}).headers


@pytest.mark.parametrize(
    "path",
    [
        "/../../secret.txt",
        "/..%2f..%2fsecret.txt",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/secret.txt",
        "/..\\secret.txt",
        "/api/v1/pictures/..%2fsecret.txt/image",
        "/api/v1/pictures/secret.txt/image",
        "/api/v1/jobs/..%2f..%2fx/file",
        "/server.py",
        "/../server.py",
    ],
)
def test_no_other_file_can_be_read(client: TestClient, path: str, folder: Path) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert "not to be seen" not in answer.text
    assert str(folder) not in answer.text


def test_bodies_have_a_limit_whatever_they_say(client: TestClient) -> None:
    long = b" " * (SMALL.body_bytes + 10)
    headers = {"content-type": "application/json"}
    assert client.post("/api/v1/count", content=long, headers=headers).status_code == 413
    chunks = (long[i : i + 65536] for i in range(0, len(long), 65536))  # no Content-Length
    assert client.post("/api/v1/count", content=chunks, headers=headers).status_code == 413


def test_what_is_no_json_is_refused(client: TestClient) -> None:
    for content in (b"{", b"[]", b'{"picture": 1e999}', b"\xff"):
        answer = client.post("/api/v1/count", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)
        assert answer.json()["error"]


def test_beyond_this_machine_a_token_is_asked_for(folder: Path) -> None:
    with TestClient(build_app(folder, limits=SMALL, token=TOKEN), base_url="http://192.168.0.7:7878") as client:
        for path in ("/", "/main.js", "/api/v1/pictures", "/?token=wrong", "/api/v1/models?token=" + TOKEN):
            assert client.get(path).status_code == 401
        assert upload(client, "a.png", encoded(coins())).status_code == 401
        basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
        for credentials in (f"Bearer {TOKEN}", f"Basic {basic}"):
            assert client.get("/api/v1/pictures", headers={"authorization": credentials}).status_code == 200
        for credentials in ("Bearer wrong", "Basic !!", "Bearer", "Basic " + base64.b64encode(b"x").decode()):
            assert client.get("/api/v1/pictures", headers={"authorization": credentials}).status_code == 401
        arrived = client.get(f"/?token={TOKEN}", follow_redirects=False)
        assert (arrived.status_code, arrived.headers["location"]) == (303, "/")
        assert "HttpOnly" in arrived.headers["set-cookie"]
        assert "SameSite=Strict" in arrived.headers["set-cookie"]
        assert "likewise" in client.get("/").text  # the cookie was kept
        assert client.get("/api/v1/pictures", headers={"origin": "http://evil.example"}).status_code == 403


def test_cookies_of_others_and_of_any_size_are_read_in_no_time(folder: Path) -> None:
    with TestClient(build_app(folder, limits=SMALL, token=TOKEN), base_url="http://192.168.0.7:7878") as client:
        for cookie, status in (
            (f"a=b; likewise={TOKEN}; c", 200),
            (f"likewise=wrong; likewise={TOKEN}", 200),
            (f'likewise="{TOKEN}"', 401),
            (f"xlikewise={TOKEN}", 401),
            ('likewise="' + '\\"' * 6000, 401),
            (";" * 12_000, 401),
            ('likewise="' + '\\"' * 30_000, 431),
        ):
            assert client.get("/api/v1/models", headers={"cookie": cookie}).status_code == status
        assert client.get("/?token=" + "a&" * 12_000).status_code == 431


def test_a_length_that_is_no_number_or_too_large_is_no_error_of_ours(client: TestClient) -> None:
    for told, status in (("\u00b2", 422), ("9" * 400, 413), ("-1", 422)):
        headers = {"content-type": "application/json", "content-length": told.encode("latin-1")}
        assert client.post("/api/v1/count", content=b"{}", headers=headers).status_code == status


class StoppedError(Exception):
    """Instead of serving."""


@pytest.mark.parametrize(("host", "asks"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])  # noqa: S104
def test_only_other_addresses_ask_for_a_token(
    host: str, asks: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = []

    def stop(_: object, token: str | None, *, models: object) -> None:
        given.append(token)
        raise StoppedError

    monkeypatch.setattr(server, "build_app", stop)
    with pytest.raises(StoppedError):
        server.serve(None, host, 0, browser=False)
    assert (given[0] is not None) is asks
    address = capsys.readouterr().out.split()[3]
    assert address.startswith(f"http://{host}:")
    assert not asks or (len(given[0]) >= 24 and address.endswith(f"/?token={given[0]}"))


def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LikewiseError, match="--port 0"):
            server.serve(None, "127.0.0.1", taken.getsockname()[1], browser=False)


def test_too_many_questions_at_once_are_refused(folder: Path) -> None:
    from likewise.app.limits import Limits

    limits = Limits(questions=0)
    with TestClient(build_app(folder, limits=limits), base_url="http://127.0.0.1:7878") as client:
        picture = client.get("/api/v1/pictures").json()["pictures"][0]["id"]
        answer = client.post("/api/v1/count", json={"picture": picture, "exemplars": BOXES})
        assert answer.status_code == 429
        assert "try again" in answer.json()["error"]
