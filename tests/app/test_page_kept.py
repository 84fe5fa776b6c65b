"""The page and what is kept: a reload, a second page, a server that goes away, large folders, unreadable pictures."""

from __future__ import annotations

import itertools
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise.app.forecast import Forecast
from likewise.app.kept import NAME
from likewise.app.server import build_app
from likewise.app.workbench import Workbench
from likewise.predict.cancellation import check_cancelled

from .browsing import COINS, PATIENCE, Person, expect, needs_chromium, served
from .conftest import coins, encoded

pytestmark = needs_chromium
SAVED = re.compile("^Saved$")


def saved(person: Person) -> None:
    expect(person.page.locator("#kept")).to_have_text(SAVED)


def test_a_reload_finds_everything_again(person: Person) -> None:
    predicted = person.show_what_to_count()
    person.page.keyboard.press("c")
    person.click(180, 5)
    person.page.click("#apply")
    expect(person.page.locator("#total")).to_contain_text("in 4 pictures", timeout=PATIENCE)
    saved(person)
    before = person.table()
    asked = len([url for url in person.asked if url.endswith("/count")])
    person.open()
    expect(person.page.locator("#count")).to_have_text(str(predicted + 1))
    assert person.table() == before
    expect(person.page.locator("#parts")).to_contain_text("+1 by hand")
    expect(person.page.locator(".samples:not(.negative) li")).to_have_count(3)
    person.choose("turned.png")
    expect(person.page.locator("#panel")).to_contain_text("Counted by the examples in coins.png")
    assert len([url for url in person.asked if url.endswith("/count")]) == asked  # nothing is counted again
    person.page.click("#tab-segment")
    person.page.click("#tab-count")


def test_a_second_page_looks_on_and_may_take_over(person: Person, browser: Any, address: str) -> None:
    person.choose("coins.png")
    person.drag(COINS[0])
    person.count()
    saved(person)
    other = Person(browser, address)
    expect(other.page.locator("#role")).to_contain_text("open in another page")
    other.choose("coins.png")
    expect(other.page.locator(".samples:not(.negative) li")).to_have_count(1)
    other.drag(COINS[1])  # which changes nothing
    expect(other.page.locator("#notices")).to_contain_text("here you look only")
    expect(other.page.locator(".samples:not(.negative) li")).to_have_count(1)
    person.drag(COINS[1])
    expect(other.page.locator(".samples:not(.negative) li")).to_have_count(2)
    other.page.click("#take-over")
    expect(other.page.locator("#role")).to_be_hidden()
    expect(person.page.locator("#role")).to_be_visible()
    other.drag(COINS[2])
    expect(person.page.locator(".samples:not(.negative) li")).to_have_count(3)
    other.leave()
    expect(person.page.locator("#role")).to_be_hidden()  # the last page that is open writes


def test_a_job_goes_on_without_the_page_and_a_cancelled_one_resumes(person: Person) -> None:
    person.show_what_to_count()
    person.page.click("#apply")
    saved(person)
    person.open()
    expect(person.page.locator("#total")).to_contain_text("in 4 pictures", timeout=PATIENCE)
    expect(person.page.locator("#batch")).to_be_hidden(timeout=PATIENCE)
    person.choose("turned.png")
    assert person.count() > 0


def test_what_was_stopped_is_gone_on_with_after_the_page_was_away(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.show_what_to_count()
    go, known, asked = threading.Event(), Workbench._counted, itertools.count()

    def slowly(self: Workbench, *what: Any) -> Any:
        if next(asked) > 0:
            go.wait(60)
        return known(self, *what)

    monkeypatch.setattr(Workbench, "_counted", slowly)
    person.page.click("#apply")
    expect(person.page.locator("#batch-label")).to_contain_text("1 of 3", timeout=PATIENCE)
    person.page.click("#batch-cancel")
    expect(person.page.locator("#batch-label")).to_contain_text("stopped", timeout=PATIENCE)
    go.set()
    saved(person)
    person.open()
    expect(person.page.locator("#batch-label")).to_contain_text("stopped")
    person.page.click("#batch-resume")
    expect(person.page.locator("#batch")).to_be_hidden(timeout=PATIENCE)
    expect(person.page.locator("#total")).to_contain_text("in 4 pictures")


def test_a_server_that_goes_away_and_comes_back_gets_what_was_said_meanwhile(browser: Any, folder: Path) -> None:
    (folder / "broken.png").unlink()
    with served(build_app(folder)) as address:
        person = Person(browser, address)
        person.size = (180, 130)
        person.choose("a2.png", 180, 130)
        person.drag((81, 39, 120, 74))
        person.count()
        saved(person)
    person.problems = []
    person.drag((24, 33, 66, 75))
    expect(person.page.locator("#kept")).to_have_text("Not saved")
    with served(build_app(folder), port=int(address.rstrip("/").rpartition(":")[2])):
        expect(person.page.locator("#kept")).to_have_text(SAVED, timeout=PATIENCE)
        person.open()
        expect(person.page.locator(".samples:not(.negative) li")).to_have_count(2)
        person.context.close()


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[str]:
    """A good picture, one that is cut off, and one that never was one."""
    place = tmp_path / "spoilt"
    place.mkdir()
    whole = encoded(np.random.default_rng(0).integers(0, 255, (130, 180, 3), dtype=np.uint8), "JPEG")
    (place / "a good.png").write_bytes(encoded(coins()))
    (place / "b cut off.jpg").write_bytes(whole[: len(whole) // 3])
    (place / "c none.png").write_bytes(b"nothing of the kind")
    with served(build_app(place)) as address:
        yield address


def test_a_picture_that_cannot_be_read_shows_no_number_and_is_marked(browser: Any, spoilt: str) -> None:
    person = Person(browser, spoilt)
    person.choose("a good.png", 180, 130)
    person.drag((81, 39, 120, 74))
    person.count()
    expect(person.page.locator("#table .bad")).to_have_count(2)
    for name in ("b cut off.jpg", "c none.png"):
        person.page.locator(".pick", has_text=name).click()
        expect(person.page.locator("#count")).to_have_text("–")
        expect(person.page.locator("#parts")).to_contain_text(name)
    person.page.locator(".pick", has_text="a good.png").click()
    person.count()
    person.context.close()


def test_a_picture_that_is_loading_shows_its_small_copy_and_no_number(person: Person) -> None:
    person.choose("coins.png")
    person.drag(COINS[0])
    person.count()
    held: list[Any] = []
    person.page.route("**/image", lambda route: held.append(route))  # noqa: PLW0108  # it has to be a function
    person.page.locator(".pick", has_text="turned.png").click()
    expect(person.page.locator("#count")).to_have_text("–")
    expect(person.page.locator("#parts")).to_have_text("loading the picture …")
    drawn = (
        "() => [...document.querySelector('#canvas').getContext('2d').getImageData(0, 0, 900, 600).data].some((v) => v)"
    )
    person.page.wait_for_function(drawn)
    held[0].continue_()
    person.page.unroute("**/image")


def test_an_upload_is_removed_and_found_again(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "dropped.png").write_bytes(encoded(coins()))
    with served(build_app()) as address:
        person = Person(browser, address)
        person.page.set_input_files("#files", [tmp_path / "dropped.png"])
        expect(person.page.locator("#canvas")).to_have_attribute("aria-label", "dropped.png")
        person.page.wait_for_timeout(400)
        person.size = (180, 130)
        person.drag((81, 39, 120, 74))
        person.count()
        saved(person)
        person.page.get_by_role("button", name="Remove dropped.png").click()
        expect(person.page.locator("#table tbody tr")).to_have_count(0)
        expect(person.page.locator("#empty")).to_be_visible()
        person.page.set_input_files("#files", [tmp_path / "dropped.png"])
        expect(person.page.locator(".samples:not(.negative) li")).to_have_count(1)
        person.count()
        person.context.close()


def test_what_takes_long_is_said_before_and_can_be_looked_at_more_coarsely(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(_: Workbench, asked: Any) -> Forecast:
        return Forecast(626.0, 84, 0.3, 56.0) if asked.coarse == 1 else Forecast(5.0, 8, asked.coarse, 5.0)

    monkeypatch.setattr(Workbench, "forecast", told)
    bodies: list[dict[str, Any]] = []
    person.page.on("request", lambda each: bodies.append(each.post_data_json) if each.url.endswith("/count") else None)
    person.choose("coins.png")
    person.drag(COINS[0])
    expect(person.page.locator("#waiting")).to_contain_text("This will take about 10 minutes")
    expect(person.page.locator("#count")).to_have_text("–")
    assert bodies == []
    person.page.click("#coarser")
    assert person.count() > 0
    assert bodies[-1]["coarse"] == 0.3
    person.page.click("#undo")
    expect(person.page.locator("#waiting")).to_contain_text("This will take about 10 minutes")
    person.page.click("#agree")
    assert person.count() > 0
    assert "coarse" not in bodies[-1]
    expect(person.page.locator("#waiting")).to_be_hidden()


def test_a_long_question_is_cancelled_and_another_picture_does_not_wait_for_it(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, known = threading.Event(), Workbench._counted

    def slowly(self: Workbench, picture: Any, asked: Any) -> Any:
        while picture.name == "coins.png" and not go.wait(0.05):
            check_cancelled()
        return known(self, picture, asked)

    monkeypatch.setattr(Workbench, "_counted", slowly)
    monkeypatch.setattr(
        Workbench, "forecast", lambda self, asked: Forecast(9.0 if known_as(self, asked) else 0.1, 9, 1.0, 9.0)
    )
    person.choose("coins.png")
    person.drag(COINS[0])
    expect(person.page.locator("#waiting")).to_contain_text("so far", timeout=PATIENCE)
    person.choose("turned.png")
    expect(person.page.locator("#waiting")).to_be_hidden()
    person.drag((81, 229, 120, 264))
    assert person.count() > 0
    person.choose("coins.png")
    expect(person.page.locator("#waiting")).to_contain_text("so far")
    person.page.click("#give-up")
    expect(person.page.locator("#waiting")).to_contain_text("Cancelled")
    expect(person.page.locator("#busy")).to_be_hidden()
    go.set()
    person.page.click("#agree")
    assert person.count() > 0


def known_as(bench: Workbench, asked: Any) -> bool:
    return bench.store.get(asked.picture).name == "coins.png"


PICTURES, POINTS = 5000, 200


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """Five thousand pictures, each counted, with two hundred points."""
    from likewise.app.project_file import Answered, ProjectFile, Row

    place = tmp_path / "large"
    place.mkdir()
    content = encoded(coins())
    file = ProjectFile(place / NAME, alone=True)
    points = np.random.default_rng(0).uniform(0, 130, (POINTS, 2)).round(2).tolist()
    answer = {"model": "m", "count": float(POINTS), "points": points, "scores": [1.0] * POINTS, "seconds": 1.0}
    brief, whole = json.dumps({"model": "m", "count": float(POINTS)}), json.dumps(answer)
    names = [f"{number:04}.png" for number in range(PICTURES)]
    for name in names:
        (place / name).write_bytes(content)
    file.put([Row(name, len(content), json.dumps({"exemplars": [[81, 39, 120, 74]]}), "q") for name in names])
    heat = encoded(coins()[:8, :8])
    file.put_answers([Answered(name, "count", "q", brief, whole, heat) for name in names])
    file.close()
    with served(build_app(place)) as address:
        urllib.request.urlopen(f"{address}/api/v1/pictures").read()  # noqa: S310  # a slow machine is not a failure
        yield address, place


def test_five_thousand_pictures_open_and_a_click_costs_what_one_picture_costs(
    browser: Any, large: tuple[str, Path]
) -> None:
    person = Person(browser, large[0])
    expect(person.page.locator("#total")).to_contain_text("1000000 in 5000 pictures", timeout=PATIENCE)
    assert person.page.locator("#table tbody tr").count() < 60
    api = [url for url in person.asked if "/api/v1/" in url and "thumbnail" not in url]
    assert len(api) < 20
    assert len([url for url in person.asked if "thumbnail" in url]) < 60
    person.choose("0002.png", 180, 130)
    expect(person.page.locator("#count")).to_have_text(str(POINTS), timeout=PATIENCE)
    saved(person)
    sent: list[Any] = []
    person.page.on("request", lambda request: sent.append(request) if "/api/v1/" in request.url else None)
    person.page.keyboard.press("c")
    person.click(3, 128)
    expect(person.page.locator("#parts")).to_contain_text("by hand")
    expect(person.page.locator("#total")).to_contain_text(re.compile("^(1000001|999999) in"))
    saved(person)
    [change] = [request for request in sent if request.method == "PATCH"]
    assert len(change.post_data) < 1000
    assert len(sent) == 1
    person.page.locator(".table-box").evaluate("(box) => (box.scrollTop = box.scrollHeight)")
    expect(person.page.locator(".pick", has_text="4999.png")).to_be_visible()
    assert person.page.locator("#table tbody tr").count() < 60
    person.page.click("#value-head")
    person.page.keyboard.press("]")
    expect(person.page.locator("#table tr.selected")).to_have_count(1)
    person.context.close()
