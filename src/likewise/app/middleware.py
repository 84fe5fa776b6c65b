"""Who may ask, and how much: checked before a request reaches anything else.

Other pages in the same browser can send requests to 127.0.0.1 too. They are told from our own by the Host header
(which a rebound name cannot fake) and by Origin and Sec-Fetch-Site (which no page can fake).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likewise.app.budget import check_json
from likewise.app.limits import CLIENT_GONE, Limits, RefusedError
from likewise.json_text import json_text

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
COOKIE = "likewise"
#: Where uploads go, whose bodies may be larger than others'.
UPLOADS = "/api/v1/pictures"
#: Bytes of a form round the file in it.
FORM_BYTES = 1 << 16

#: What every answer carries: nothing is loaded from elsewhere, nor shown inside another page.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Middleware that lets through what may pass.

    Args:
        app: what is guarded.
        limits: on bodies and their number.
        token: asked of everybody; None: the workbench listens on this machine only, and Host has to say so.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, token: str | None = None) -> None:
        self._app = app
        self._limits = limits
        self._token = token
        self._answering = 0
        self._bodies = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a refusal."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_size(scope)
            self._check_origin(headers)
            if self._wants_cookie(scope):
                await _redirect(send, str(self._token))
                return
            self._check_token(headers)
            await self._pass_on(scope, headers, receive, _with_headers(send))
        except RefusedError as refusal:
            await _refuse(_with_headers(send), refusal)

    def _check_size(self, scope: Scope) -> None:
        size = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > self._limits.header_bytes:
            raise RefusedError(431, f"address and headers have {size} bytes; at most {self._limits.header_bytes} do")

    def _check_origin(self, headers: Headers) -> None:
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._token is None and name.lower() not in LOCAL_NAMES:
            raise RefusedError(400, "unexpected Host: open the page as http://127.0.0.1 with the port it started on")
        origin = headers.get("origin")
        foreign = origin is not None and _netloc(origin) != host.lower()
        if foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise RefusedError(403, "requests from other pages are not answered")

    def _wants_cookie(self, scope: Scope) -> bool:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return self._token is not None and scope["path"] == "/" and _same(given, self._token)

    def _check_token(self, headers: Headers) -> None:
        if self._token is not None and not any(_same(given, self._token) for given in _tokens(headers)):
            raise RefusedError(401, "a token is needed: open the address that likewise app printed when it was started")

    async def _pass_on(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if self._answering >= self._limits.answers:
            raise RefusedError(429, f"{self._answering} requests are being answered; try again in a moment")
        self._answering += 1
        try:
            if scope["method"] in ("GET", "HEAD", "DELETE"):
                await self._app(scope, receive, send)
            elif scope["path"] == UPLOADS:  # counts its own
                most = self._most(headers, self._limits.upload_bytes + FORM_BYTES)
                await self._app(scope, self._limited(receive, most), send)
            else:
                await self._with_body(scope, self._most(headers, self._limits.body_bytes), receive, send)
        finally:
            self._answering -= 1

    def _most(self, headers: Headers, most: int) -> int:
        told = headers.get("content-length", "")
        if told.isascii() and told.isdecimal() and (len(told) > 18 or int(told) > most):
            raise RefusedError(413, f"the request says it has {told[:18]} bytes; at most {most >> 20} MB are taken")
        return most

    async def _with_body(self, scope: Scope, most: int, receive: Receive, send: Send) -> None:
        """Read a body, see that it may be read as JSON, and pass it on."""
        if self._bodies >= self._limits.requests:
            raise RefusedError(429, f"{self._bodies} requests are being answered; try again in a moment")
        self._bodies += 1
        body = bytearray()
        try:
            limited, more = self._limited(receive, most), True
            while more:
                message = await limited()
                if message["type"] == "http.disconnect":
                    raise RefusedError(CLIENT_GONE, "the request was cut off")
                self._hold(len(message.get("body", b"")))
                body += message.get("body", b"")
                more = message.get("more_body", False)
            check_json(body, self._limits.values)
            await self._app(scope, _replayed(bytes(body), receive), send)
        except HTTPException as error:
            raise RefusedError(error.status_code, error.detail) from error
        finally:
            self._bodies -= 1
            self._held -= len(body)

    def _hold(self, size: int) -> None:
        if self._held + size > self._limits.held_bytes:
            raise RefusedError(429, "other requests are being answered that are large; try again in a moment")
        self._held += size

    def _limited(self, receive: Receive, most: int) -> Receive:
        """The body's chunks, as long as they come, and are not more than was allowed, whatever Content-Length said."""
        taken, more = 0, True

        async def counted() -> Message:
            nonlocal taken, more
            try:
                message = await asyncio.wait_for(receive(), self._limits.silence if more else None)
            except TimeoutError as error:
                raise HTTPException(408, "nothing more came of the request") from error
            taken += len(message.get("body", b""))
            more = message.get("more_body", False)
            if taken > most:
                raise HTTPException(413, f"the request has more than the {most >> 20} MB that are taken")
            return message

        return counted


def _tokens(headers: Headers) -> Iterator[str]:
    """Every token a request brings: as a bearer's or a password, then in its cookie."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token"):
        yield value.strip()
    elif scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            yield base64.b64decode(value, validate=True).decode().partition(":")[2]
    for pair in headers.get("cookie", "").split(";"):  # nothing of a cookie is unquoted: a token has no need of it
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            yield value


def _netloc(origin: str) -> str | None:
    """Host and port of an origin; None where it is not one."""
    with contextlib.suppress(ValueError):
        return urlsplit(origin).netloc.lower()
    return None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, and then what else comes: that the sender is gone."""
    given = False

    async def replayed() -> Message:
        nonlocal given, body
        if given:
            return await receive()
        given, whole, body = True, body, b""
        return {"type": "http.request", "body": whole, "more_body": False}

    return replayed


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sender


async def _refuse(send: Send, refusal: RefusedError) -> None:
    await _send(send, refusal.status, {"content-type": "application/json"}, json_text({"error": str(refusal)}))


async def _redirect(send: Send, token: str) -> None:
    """Put the token where scripts cannot read it, and out of the address."""
    cookie = f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
    await _send(_with_headers(send), 303, {"location": "/", "set-cookie": cookie}, "")


async def _send(send: Send, status: int, headers: Mapping[str, str], body: str) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body.encode()})
