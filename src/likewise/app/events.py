"""What pages that are open are told as it happens, over one stream each: server-sent events.

Nothing piles up for a page that is slow: what is told twice before it listens again is told once, as it is by then.
Whatever changes the project comes from one page, the writer; the others look on until it is closed or they take over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from likewise.app.jobs import Job
from likewise.json_text import json_text

#: Seconds in which changes are gathered, and after which something is sent in any case, to find out who has left.
GATHER, ALIVE = 0.1, 15.0
#: Says how long a browser waits before it comes again.
RETRY = b"retry: 1000\n\n"


class Listener:
    """One page.

    Args:
        tab: what it calls itself.
    """

    def __init__(self, tab: str) -> None:
        self.tab = tab
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {}
        self._seen: dict[str, int] = {}

    def tell(self, event: str, about: str, content: Callable[[], dict[str, Any]]) -> None:
        """From any thread: an event, and what it says when it is sent; a later one about the same takes its place."""
        with self._lock:
            self._waiting[event, about] = content
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.set)

    def tell_job(self, job: Job) -> None:
        """How far a job is, with what it found since the last time, in brief."""

        def content() -> dict[str, Any]:
            told = job.to_dict(self._seen.get(job.id, 0), brief=True)
            self._seen[job.id] = self._seen.get(job.id, 0) + len(told["records"])
            return told

        self.tell("job", job.id, content)

    def close(self) -> None:
        """End its stream."""
        self.closed = True
        self._news.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """The events, encoded, until it is closed."""
        yield RETRY
        while not self.closed:
            try:
                await asyncio.wait_for(self._news.wait(), ALIVE)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            self._news.clear()
            with self._lock:
                told, self._waiting = self._waiting, {}
            for (event, _), content in told.items():
                yield f"event: {event}\ndata: {json_text(content(), compact=True)}\n\n".encode()
            await asyncio.sleep(0 if self.closed else GATHER)


class Events:
    """All pages that are open."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._writer: Listener | None = None

    async def listen(self, tab: str, jobs: list[Job]) -> AsyncIterator[bytes]:
        """The stream of a page, from what it has to know at first until it leaves.

        Args:
            tab: what it calls itself.
            jobs: how they are.
        """
        listener = Listener(tab)
        self._listeners.append(listener)
        if self._writer is None:
            self._writer = listener
        self._tell_role(listener)
        for job in jobs:
            listener.tell_job(job)
        try:
            async for part in listener.stream():
                yield part
        finally:
            self._listeners.remove(listener)
            if self._writer is listener:
                self._hand_over(next(iter(self._listeners), None))

    def may_write(self, tab: str) -> bool:
        """Whether changes of that page are taken."""
        return self._writer is None or self._writer.tab == tab

    def take_over(self, tab: str) -> None:
        """Let that page write, if it is open, and tell the other."""
        self._hand_over(next((each for each in self._listeners if each.tab == tab), self._writer))

    def tell_job(self, job: Job) -> None:
        """Tell every page how far a job is; from any thread."""
        for each in list(self._listeners):
            each.tell_job(job)

    def tell(self, event: str, about: str, content: dict[str, Any], but: str | None = None) -> None:
        """Tell every page something; from any thread.

        Args:
            event: what kind of thing happened.
            about: two events about the same are told as one.
            content: JSON values.
            but: the page that knows it already.
        """
        for each in list(self._listeners):
            if each.tab != but or but is None:
                each.tell(event, about, lambda: content)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        for each in list(self._listeners):
            each.close()

    def _hand_over(self, listener: Listener | None) -> None:
        before, self._writer = self._writer, listener
        for each in {before, listener} - {None}:
            if each is not None:
                self._tell_role(each)

    def _tell_role(self, listener: Listener) -> None:
        listener.tell("role", "", lambda: {"writer": self._writer is listener})
