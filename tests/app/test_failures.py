"""What happens where an answer cannot be given, or nobody waits for it any more."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient

from .conftest import BOXES
from .test_label_studio import CONFIG, rectangle


def test_numbers_that_are_not_finite_are_never_answered(
    client: TestClient, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = client.app.state.bench  # type: ignore[attr-defined]
    monkeypatch.setattr(bench, "count", lambda _: {"count": float("nan")})
    answer = client.post("/api/v1/count", json={"picture": ids["a2.png"], "exemplars": BOXES})
    assert answer.status_code == 422
    assert "not finite" in answer.json()["error"]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [(MemoryError(), 413, "not enough memory"), (OSError(28, "No space left"), 413, "disk is full")],
)
def test_what_this_machine_cannot_do_is_said(
    client: TestClient,
    ids: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    message: str,
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(client.app.state.bench, "count", fail)  # type: ignore[attr-defined]
    answer = client.post("/api/v1/count", json={"picture": ids["a2.png"], "exemplars": BOXES})
    assert (answer.status_code, message in answer.json()["error"]) == (status, True)


@pytest.mark.parametrize("path", ["/api/v1/count", "/label-studio/predict"])
def test_a_question_whose_client_left_is_not_asked(client: TestClient, ids: dict[str, str], path: str) -> None:
    """The request is made by hand: the client's side is closed as soon as its body was read."""
    app: Any = client.app
    task = {"data": {"photo": "a2.png"}, "annotations": [{"result": [rectangle(*BOXES[0])]}]}
    asked = {
        "/api/v1/count": {"picture": ids["a2.png"], "exemplars": BOXES},
        "/label-studio/predict": {"tasks": [task], "label_config": CONFIG},
    }[path]
    bench, began, held, done = app.state.bench, threading.Event(), threading.Event(), []

    def hold() -> None:
        began.set()
        held.wait(60)

    bench.worker.step(hold)
    assert began.wait(60)  # a question would go before a step that has not begun
    count, bench.count = bench.count, done.append
    body = json.dumps(asked).encode()
    coming = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
    told: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        told.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    asyncio.run(app(scope | {"http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send))
    assert told[0]["status"] == 499
    held.set()
    bench.worker.ask(lambda: None).result(60)
    assert done == []
    assert bench.worker._waiting == 0
    bench.count = count
