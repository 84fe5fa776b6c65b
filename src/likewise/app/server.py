"""Puts the workbench together and serves it."""

from __future__ import annotations

import errno
import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import likewise
from likewise.app.connections import bounded_protocol
from likewise.app.label_studio import label_studio_routes
from likewise.app.limits import CLIENT_GONE, Limits, RefusedError
from likewise.app.middleware import LOCAL_NAMES, Guard
from likewise.app.routes import api_routes
from likewise.app.workbench import Workbench
from likewise.errors import LikewiseError

PAGE = Path(__file__).parent / "page"
#: Beside the model's: for the picture in front, for all others, and for exports, each one after the other.
THREADS = ("picture", "pictures", "export")
#: Connections that the system keeps until they are accepted.
BACKLOG = 128
#: Seconds that requests which are being answered have when it stops.
GRACE = 10


def build_app(
    folder: Path | None = None,
    *,
    token: str | None = None,
    limits: Limits | None = None,
    models: Sequence[Path] = (),
) -> FastAPI:
    """The workbench as an ASGI application; uploads are deleted when it shuts down.

    Args:
        folder: whose pictures it shows; None: only uploads.
        token: asked of everybody; None: only requests from this machine, by its local names, are answered.
        limits: what is taken on.
        models: files of models, beside those that ship and those in the folder.
    """
    limits = limits or Limits()
    bench = Workbench(folder, limits, models)
    front, back, writing = (ThreadPoolExecutor(1, thread_name_prefix=f"likewise-{name}") for name in THREADS)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        bench.warm_up()
        yield
        for thread in (front, back, writing):
            thread.shutdown(cancel_futures=True)
        bench.close()

    app = FastAPI(
        title="likewise",
        version=likewise.__version__,
        summary="Show it one, it finds the rest: count, segment and recognise by example.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere; ours does not
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.bench = bench
    app.include_router(api_routes(bench, front, back, writing))
    app.include_router(label_studio_routes(bench))
    _add_refusals(app)
    _add_failures(app)

    @app.get("/docs", include_in_schema=False)
    async def api_page() -> FileResponse:
        return FileResponse(PAGE / "docs.html", media_type="text/html")

    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    app.add_middleware(Guard, limits=limits, token=token)
    return app


def serve(folder: Path | None, host: str, port: int, *, browser: bool, models: Sequence[Path] = ()) -> None:
    """Serve until stopped.

    Args:
        folder: whose pictures are shown.
        host: address to listen on; beyond this machine, a token is asked for, and printed.
        port: 0: any that is free.
        browser: open the page.
        models: files of models, beside those that ship and those in the folder.

    Raises:
        LikewiseError: the port is taken, or the address is not this machine's.
    """
    token = None if _is_local(host) else secrets.token_urlsafe(24)
    with _listening(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
        print(f"likewise is at {address}\nCtrl-C stops it.", flush=True)  # noqa: T201  # where to look is all it says
        if browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        # no log of requests, which would hold the token
        config = server_config(build_app(folder, token=token, models=models), Limits())
        Server(config).run(sockets=[listening])


class Server(uvicorn.Server):
    """Ends the streams of events when it is to stop: they would never end by themselves."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self.config.app.state.bench.events.close()  # type: ignore[union-attr]  # `build_app` made it
        await super().shutdown(sockets)


def server_config(app: FastAPI, limits: Limits, **more: Any) -> uvicorn.Config:
    """How uvicorn serves the workbench: without a log of requests, and with bounds on connections and headers."""
    return uvicorn.Config(
        app,
        http=bounded_protocol(limits),
        ws="none",
        h11_max_incomplete_event_size=limits.header_bytes,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE,
        log_level="warning",
        access_log=False,
        server_header=False,
        **more,
    )


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise LikewiseError(
            f"cannot listen on {host}:{port} ({error}); --port 0 takes any port that is free"
        ) from error


def _is_local(host: str) -> bool:
    return host in LOCAL_NAMES or host == "::1"


def _add_refusals(app: FastAPI) -> None:
    """Every error is JSON with an ``error``; none has a path or a traceback."""

    @app.exception_handler(LikewiseError)
    async def refused(_: Request, error: LikewiseError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, error.status if isinstance(error, RefusedError) else 422)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return JSONResponse({"error": f"{where}: {first['msg']}" if where else first["msg"]}, 422)

    @app.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": f"unexpected {type(error).__name__}; the terminal says where"}, 500)


def _add_failures(app: FastAPI) -> None:
    """What a request brings about that nothing has foreseen, as far as it is known whose fault that is."""

    @app.exception_handler(ClientDisconnect)
    async def cut_off(_: Request, __: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"error": "the request was cut off"}, CLIENT_GONE)

    @app.exception_handler(MemoryError)
    async def too_large(_: Request, __: MemoryError) -> JSONResponse:
        return JSONResponse({"error": "there is not enough memory for that; take smaller pictures, or fewer"}, 413)

    @app.exception_handler(OSError)
    async def no_room(_: Request, error: OSError) -> JSONResponse:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        return JSONResponse({"error": "the disk is full; nothing of this was kept"}, 413)

    async def misshapen(request: Request, error: Exception) -> JSONResponse:
        """Parts of Label Studio's bodies are only looked at where they are used."""
        if not request.url.path.startswith("/label-studio/"):
            raise error
        return JSONResponse({"error": f"the body is not as Label Studio sends it ({type(error).__name__})"}, 422)

    for kind in (AttributeError, KeyError, TypeError, ValueError):
        app.add_exception_handler(kind, misshapen)
