"""Connections that take room only as long as they are used: those on which nothing comes, or is taken, are closed.

uvicorn waits for ever for the rest of a request's headers, and for an answer to be taken. Here a connection without a
request to answer has a few seconds, and there are only so many of them: of more, the one that has waited longest goes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from likewise.app.limits import Limits


def bounded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol of one server, for uvicorn's ``http``.

    Args:
        limits: `Limits.silence` and `Limits.waiting`.
    """
    waiting: dict[BoundedProtocol, None] = {}  # the oldest first

    class Bounded(BoundedProtocol):
        """With this server's limits."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.limits = limits
            self.waiting = waiting

    return Bounded


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 on one connection.

    Attributes:
        limits: how long it may be silent, and how many may wait.
        waiting: the connections without a request to answer, shared with all others of the server.
    """

    limits: Limits
    waiting: dict[BoundedProtocol, None]
    _timer: asyncio.TimerHandle | None = None
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; once the headers are whole, it is no longer waited for them."""
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the answer to be taken."""
        super().on_response_complete()
        if not self._is_answering():
            self._wait()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self.waiting[self] = None
        if len(self.waiting) > self.limits.waiting:
            next(iter(self.waiting))._give_up()
        if self in self.waiting:
            self._unsent = self.transport.get_write_buffer_size()
            self._timer = self.loop.call_later(self.limits.silence, self._look)

    def _stop_waiting(self) -> None:
        self.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """After the time it has: an answer that is being taken, if slowly, gets it once more."""
        if self.transport.get_write_buffer_size() < self._unsent:
            self._wait()
        else:
            self._give_up()

    def _give_up(self) -> None:
        self._stop_waiting()
        self.transport.abort()
