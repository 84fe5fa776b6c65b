"""Connections that nobody uses are closed, and keep nobody out. Times are short here, and only ever waited for."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from likewise.app.limits import Limits
from likewise.app.server import build_app, server_config

from .conftest import SMALL

GET = b"GET /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#: Longer than any machine takes.
PATIENCE = 60


@contextlib.contextmanager
def served(folder: Path, limits: Limits) -> Iterator[int]:
    """The port of a workbench."""
    server = uvicorn.Server(server_config(build_app(folder, limits=limits), limits, port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with served(folder, replace(SMALL, silence=0.5, waiting=20)) as port:
        yield port


@pytest.fixture
def patient(folder: Path) -> Iterator[int]:
    with served(folder, replace(SMALL, silence=PATIENCE, waiting=20)) as port:
        yield port


_open: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def connected(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    _open.append(connection)
    connection.sendall(sent)
    return connection


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    told = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            told += chunk
    return told


def status(told: bytes) -> int:
    return int(told.split(b" ", 2)[1])


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-a: ", GET + b"GET / HTTP/1.1\r\n"])
def test_who_does_not_finish_the_headers_is_let_go(port: int, sent: bytes) -> None:
    connection = connected(port, sent)
    told = rest(connection)
    assert told.count(b"HTTP/1.1 200") == sent.count(GET)


def test_headers_that_come_drop_by_drop_have_no_more_time(port: int) -> None:
    connection = connected(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    until = time.monotonic() + PATIENCE
    with contextlib.suppress(ConnectionError):  # the other side is closed
        while time.monotonic() < until:
            connection.sendall(b"a")
            time.sleep(0.05)
    assert time.monotonic() < until


def test_of_too_many_that_wait_the_oldest_goes(patient: int) -> None:
    idle = [connected(patient, b"GET / HTTP/1.1\r\n") for _ in range(60)]
    with connected(patient, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as asking:
        assert status(rest(asking)) == 200
    assert rest(idle[0]) == b""
    idle[-1].sendall(GET.partition(b"\r\n")[2].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert status(rest(idle[-1])) == 200


def test_a_body_that_does_not_come_is_not_waited_for(port: int) -> None:
    head = ""
    for path, kind in (("/api/v1/count", "application/json"), ("/api/v1/pictures", "multipart/form-data; boundary=x")):
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: 90\r\n\r\n--x"
        assert status(rest(connected(port, head.encode()))) == 408
    for _ in range(SMALL.requests + 2):  # and nothing stays counted
        connected(port, head.encode()).close()
    connection = connected(port, GET)
    assert connection.recv(20).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("size", [20_000, 200_000, 2_000_000])
def test_headers_have_a_limit(patient: int, size: int) -> None:
    for line in (b"X-a: " + b"a" * size, b"Cookie: likewise=" + b'\\"' * (size // 2)):
        connection = connected(patient)
        with contextlib.suppress(OSError):  # closed before all was sent
            connection.sendall(GET[:-2] + line + b"\r\nConnection: close\r\n\r\n")
        told = rest(connection)
        assert not told or status(told) in (400, 431)
    assert connected(patient, GET).recv(20).startswith(b"HTTP/1.1 200")


def test_a_slow_taker_gets_all_of_an_answer(port: int) -> None:
    with connected(port, GET.replace(b"models", b"pictures")) as connection:
        picture = rest(connection).partition(b'"id":"')[2][:16]
    asked = GET.replace(b"models", b"pictures/" + picture + b"/image").replace(b"HTTP/1.1", b"HTTP/1.0")
    with connected(port, asked) as connection:
        told = b""
        while chunk := connection.recv(4000):
            told += chunk
            time.sleep(0.02)
    head, _, body = told.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert len(body) > 10_000
