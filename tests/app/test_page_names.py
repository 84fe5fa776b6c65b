"""Names of one's own in the page: pictures are named, one by one and several at once, and a recogniser learns it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from likewise.adaptation import recognizer
from likewise.app.server import build_app

from .browsing import PATIENCE, Person, expect, needs_chromium, rows, served
from .conftest import encoded

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python, of [dev]")

pytestmark = needs_chromium

#: Teaching shares its thread with what the page asks about each picture that is looked at.
TAUGHT = 4 * PATIENCE


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a workbench on five cuttings each of bricks and of grass."""
    folder = tmp_path / "materials"
    folder.mkdir()
    for name, whole in (("brick", data.brick()), ("grass", data.grass())):
        for number in range(5):
            y, x = 128 * (number // 4), 128 * (number % 4)
            part = np.repeat(whole[y : y + 128, x : x + 128, None], 3, axis=2)
            (folder / f"{name}{number}.png").write_bytes(encoded(part))
    with served(build_app(folder)) as address:
        yield address


def name_some(person: Person) -> None:
    """Two bricks one by one, by a word and by its number; then three of grass at once."""
    page = person.page
    page.click("#tab-recognize")
    page.click("#names-block summary")
    person.choose("brick0.png", 128, 128)
    page.fill("#label-name", "brick")
    page.press("#label-name", "Enter")
    expect(page.locator("#canvas")).to_have_attribute("aria-label", "brick1.png")  # it goes on to the next
    page.locator("#canvas").focus()
    page.keyboard.press("1")
    expect(page.locator("#canvas")).to_have_attribute("aria-label", "brick2.png")
    page.locator(".pick", has_text="grass0.png").click()
    page.locator(".pick", has_text="grass2.png").click(modifiers=["Shift"])
    expect(page.locator("#give-name")).to_have_text("Name 3")
    page.fill("#label-name", "grass")
    page.click("#give-name")
    expect(page.locator("#names li")).to_have_count(2)
    expect(page.locator("#names-about")).to_contain_text("5 pictures of 2 names")


def test_pictures_are_named_and_a_recogniser_learns_it(person: Person) -> None:
    page = person.page
    name_some(person)
    table = person.table()
    assert [table[f"brick{i}.png"] for i in (0, 1)] == [("brick", "hand")] * 2
    assert [table[f"grass{i}.png"] for i in (0, 1, 2)] == [("grass", "hand")] * 3
    page.click("#teach-names")
    expect(page.locator("#taught")).to_contain_text("2 names, taught by 5 pictures", timeout=TAUGHT)
    expect(page.locator("#recognizer")).to_have_value("s3n-lite")  # nothing is used before it is wanted
    page.click("#use-names")
    expect(page.locator("#recognizer")).to_have_value("names.safetensors")
    expect(page.locator("#recognizer-note")).to_contain_text("taught by 5 pictures")
    person.choose("grass4.png", 128, 128)
    expect(page.locator("#label")).to_have_text("grass", timeout=PATIENCE)
    page.click("#apply")
    expect(page.locator("#total")).to_have_text("2 labels in 10 pictures", timeout=PATIENCE)
    exported = rows(person.download("#export-csv"))
    assert {name: row["label"] for name, row in exported.items()} == {
        f"{name}{i}.png": name for name in ("brick", "grass") for i in range(5)
    }
    assert {name for name, row in exported.items() if row["by"] == "hand"} == {
        *("brick0.png", "brick1.png"),
        *("grass0.png", "grass1.png", "grass2.png"),
    }
    shown = person.table()
    person.open()
    page.click("#tab-recognize")
    expect(page.locator("#recognizer")).to_have_value("names.safetensors")
    expect(page.locator("#names li")).to_have_count(2)
    assert person.table() == shown


def test_undo_takes_all_names_back_that_were_given_at_once(person: Person) -> None:
    page = person.page
    name_some(person)
    page.click("#undo")
    expect(page.locator("#names-about")).to_contain_text("2 pictures of 1 name")
    page.click("#redo")
    expect(page.locator("#names-about")).to_contain_text("5 pictures of 2 names")
    page.get_by_role("button", name="Take the name grass away from every picture").click()
    expect(page.locator("#names li")).to_have_count(1)
    expect(page.locator("#teach-why")).to_have_text("It takes two names at least.")
    expect(page.locator("#teach-names")).to_be_disabled()
    page.click("#several")  # as on a phone, which has no Shift
    for name in ("grass3.png", "grass4.png"):
        page.locator(".pick", has_text=name).click()
    expect(page.locator("tr.marked")).to_have_count(2)
    page.fill("#label-name", "BRICK")  # the same name, however it is written
    page.click("#give-name")
    expect(page.locator("#names li")).to_have_count(1)
    expect(page.locator("#names-about")).to_contain_text("4 pictures of 1 name")
    expect(page.locator("tr.marked")).to_have_count(0)


def test_teaching_says_how_long_it_takes_and_can_be_stopped(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    page = person.page
    name_some(person)
    look = recognizer.pixels_of

    def slowly(picture: Any) -> Any:
        time.sleep(1.0)
        return look(picture)

    monkeypatch.setattr(recognizer, "pixels_of", slowly)
    page.click("#teach-names")
    expect(page.locator("#taught")).to_contain_text("looking at the pictures, about", timeout=TAUGHT)
    expect(page.locator("#batch-label")).to_contain_text("to go")
    page.click("#teach-cancel")
    expect(page.locator("#notices")).to_contain_text("Stopped; nothing was learnt.")
    expect(page.locator("#teach-cancel")).to_be_hidden()
    expect(page.locator("#teach-names")).to_be_enabled()
    expect(page.locator("#recognizer option")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_naming_and_teaching_keep_nobody_out(browser: Any, address: str, scheme: str) -> None:
    """axe-core's rules with names, marked pictures, and what was learnt; on a phone, too."""
    person = Person(browser, address, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    name_some(person)
    person.page.click("#teach-names")
    expect(person.page.locator("#use-names")).to_be_visible(timeout=TAUGHT)
    person.page.click("#several")
    person.page.locator(".pick", has_text="brick3.png").click()
    for width, height in ((1280, 800), (390, 844)):
        person.page.set_viewport_size({"width": width, "height": height})
        found = axe.Axe().run(person.page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(f["id"], [n["html"][:90] for n in f["nodes"]]) for f in found] == [], (width, height)
    person.context.close()
