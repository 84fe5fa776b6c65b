"""Waiting for what another thread does, only as long as the client waits too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from fastapi import Request, Response

from likewise.app.limits import CLIENT_GONE, RefusedError
from likewise.app.workbench import Workbench
from likewise.json_text import json_text


async def written(
    writing: Executor, function: Callable[[Callable[[], None]], str | bytes], request: Request
) -> str | bytes:
    """An export, written in a thread.

    Args:
        writing: the thread.
        function: gives the export; it is given what to call before each picture, which raises once the client left.
        request: of who waits for it.
    """
    over = threading.Event()

    def go_on() -> None:
        if over.is_set():
            raise RefusedError(CLIENT_GONE, "nobody waits for the export any more")

    try:
        content: str | bytes = await awaited(
            asyncio.get_running_loop().run_in_executor(writing, function, go_on), request
        )
    finally:
        over.set()
    return content


async def asked(
    bench: Workbench,
    function: Callable[[], Any],
    request: Request | None = None,
    seconds: float = 0.0,
    ticking: Callable[[int], None] | None = None,
) -> Any:
    """The answer of the worker; the event loop goes on meanwhile.

    Args:
        bench: whose worker.
        function: what it is to do.
        request: of who waits for it; when they leave before its turn has come, it is not done.
        seconds: that it will take about.
        ticking: told, between tiles, how many are done.
    """
    return await awaited(asyncio.wrap_future(bench.worker.ask(function, seconds, ticking)), request)


async def answered(
    bench: Workbench,
    function: Callable[[], dict[str, Any]],
    request: Request,
    seconds: float = 0.0,
    ticking: Callable[[int], None] | None = None,
) -> Response:
    """The answer of the worker, whose thread also makes JSON of it; otherwise as `asked`."""
    content = await asked(bench, lambda: json_text(function(), compact=True), request, seconds, ticking)
    return Response(content, media_type="application/json")


async def awaited(answer: asyncio.Future[Any], request: Request | None) -> Any:
    """A future's result, which is cancelled when the client leaves.

    Raises:
        RefusedError: the client left.
    """
    if request is None:
        return await answer
    left = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise RefusedError(CLIENT_GONE, "nobody waits for the answer any more")
        return answer.result()
    finally:
        left.cancel()
        answer.cancel()


async def _left(request: Request) -> None:
    """Wait until the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def download(content: str | bytes, media_type: str, name: str) -> Response:
    """What the browser saves as a file of that name."""
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
