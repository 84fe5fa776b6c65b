"""Somebody in front of the page: a headless browser, driven as a person drives one."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from likewise.app.server import Server

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the [dev] extra")
expect = sync_api.expect
expect.set_options(timeout=30_000)  # a slow machine is not a failure

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (on Debian: apt install chromium)"
)

COINS = [(81, 39, 120, 74), (189, 170, 237, 217), (305, 16, 364, 73)]
PATIENCE = 60_000
#: Where a place of the picture is on the screen, as long as all of the picture is shown.
TO_SCREEN = """async ([width, height, x, y]) => {
    const { Viewport } = await import("/viewport.js");
    const frame = document.querySelector("#canvas").getBoundingClientRect();
    const view = new Viewport();
    view.resize(frame.width, frame.height);
    view.show(width, height);
    const place = view.toScreen(x, y);
    return [frame.left + place.x, frame.top + place.y];
}"""


@contextlib.contextmanager
def opened() -> Iterator[Any]:
    """A browser."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def served(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The address at which a workbench is to be found meanwhile."""
    config = uvicorn.Config(app, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    server = Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Person:
    """Somebody in front of the page."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 800}, "accept_downloads": True, **context}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda line: self.problems.append(line.text) if line.type == "error" else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.address = address
        self.size = (384, 303)
        self.open()

    def open(self) -> None:
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready]")

    def choose(self, name: str, width: int = 384, height: int = 303) -> None:
        self.page.locator(".pick", has_text=name).click()
        expect(self.page.locator("#canvas")).to_have_attribute("aria-label", name)
        self.size = (width, height)
        self.page.wait_for_timeout(400)

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top = self.page.evaluate(TO_SCREEN, [*self.size, x, y])
        return left, top

    def drag(self, box: tuple[float, float, float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*box[:2]))
        mouse.down()
        mouse.move(*self.at((box[0] + box[2]) / 2, box[3]))
        mouse.move(*self.at(*box[2:]))
        mouse.up()

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))

    def count(self) -> int:
        shown = self.page.locator("#count")
        expect(shown).to_have_text(re.compile(r"\d+"), timeout=PATIENCE)
        return int(shown.text_content())

    def show_what_to_count(self, boxes: Sequence[tuple[int, int, int, int]] = COINS) -> int:
        """Boxes on the coins; the count."""
        self.choose("coins.png")
        for box in boxes:
            self.drag(box)
        expect(self.page.locator(".samples:not(.negative) li")).to_have_count(len(boxes))
        expect(self.page.locator("#busy")).to_be_hidden(timeout=PATIENCE)
        return self.count()

    def download(self, button: str) -> bytes:
        with self.page.expect_download() as started:
            self.page.click(button)
        return Path(started.value.path()).read_bytes()

    def table(self) -> dict[str, tuple[str, str]]:
        rows = self.page.locator("#table tbody tr").all()
        return {
            r.locator(".pick").inner_text(): (r.locator(".value").inner_text(), r.locator(".hand").inner_text())
            for r in rows
        }

    def leave(self) -> None:
        """Close the page; nothing went wrong in it, and nothing was fetched from elsewhere."""
        self.context.close()
        assert self.problems == []
        assert all(url.startswith((self.address, "blob:" + self.address, "data:")) for url in self.asked)


def rows(content: bytes) -> dict[str, dict[str, str]]:
    return {row["image"]: row for row in csv.DictReader(io.StringIO(content.decode(), newline=""))}
