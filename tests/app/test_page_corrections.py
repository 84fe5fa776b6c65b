"""Corrections in the page: what a click does, what is counted then, and what stays when something else is asked."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from .browsing import COINS, PATIENCE, Person, expect, needs_chromium, rows

pytestmark = needs_chromium

#: Two things that nearly touch, and one on its own.
FOUND = [(100.0, 60.0), (112.0, 60.0), (250.0, 200.0)]


def test_a_corrected_count_is_the_number_of_points_everywhere(person: Person) -> None:
    """The density's sum is no whole number; what a person sees and corrects is."""
    predicted = person.show_what_to_count()
    before = rows(person.download("#export-csv"))["coins.png"]
    assert before["by"] == "model"
    person.page.keyboard.press("c")
    person.click(180, 5)
    seen = int(before["points"]) + 1
    assert abs(seen - predicted) <= 3
    expect(person.page.locator("#count")).to_have_text(str(seen))
    expect(person.page.locator("#parts")).not_to_contain_text("likely")
    assert person.table()["coins.png"] == (str(seen), "+1")
    row = rows(person.download("#export-csv"))["coins.png"]
    assert (row["count"], row["points"], row["low"], row["high"], row["by"]) == (str(seen), str(seen), "", "", "hand")
    coco = json.loads(person.download("#export-coco"))
    assert coco["images"][0]["count"] == len(coco["annotations"]) == seen
    archive = zipfile.ZipFile(io.BytesIO(person.download("#export-overlays")))
    assert archive.namelist() == ["coins_count.png"]
    project = json.loads(person.download("#save-project"))["pictures"][0]
    assert len(project["prediction"]["points"]) + len(project["added"]) == seen


def test_the_panel_says_why_points_and_number_differ_until_it_is_confirmed(person: Person, hear: Any) -> None:
    hear(*FOUND, count=4.6, interval=(3, 6))
    person.choose("coins.png")
    person.drag(COINS[0])
    page = person.page
    expect(page.locator("#count")).to_have_text("5")
    expect(page.locator("#why")).to_contain_text("3 points stand out")
    expect(page.locator("#parts")).to_contain_text("likely 3 to 6")
    page.keyboard.press("v")
    expect(page.locator("#count")).to_have_text("3")
    expect(page.locator("#why")).to_be_hidden()
    expect(page.locator("#parts")).to_have_text("4.6 by spdcn-lite · confirmed by hand")
    assert person.table()["coins.png"] == ("3", "✓")
    row = rows(person.download("#export-csv"))["coins.png"]
    assert (row["count"], row["predicted"], row["low"], row["by"]) == ("3", "4.6000", "", "hand")
    page.click("#confirm")
    expect(page.locator("#count")).to_have_text("5")


def test_a_click_means_the_nearest_point_within_half_an_object(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.show_what_to_count(COINS[:1])
    page = person.page
    page.keyboard.press("c")
    person.click(113, 60)  # between two points within reach: the nearer one
    expect(page.locator("#parts")).to_contain_text("−1 by hand")
    saved = json.loads(person.download("#save-project"))["pictures"][0]
    assert saved["removed"] == [[112, 60]]
    for _ in range(6):  # far out, a point is many pixels of the picture away, but few of the screen
        page.mouse.move(*person.at(250, 200))
        page.mouse.wheel(0, 400)
    place = person.at(250, 200)
    page.mouse.click(place[0] + 10, place[1])
    expect(page.locator("#parts")).to_contain_text("+1 −1 by hand")
    page.keyboard.press("Control+z")
    page.keyboard.press("0")
    person.click(255, 200)  # within half of 20
    expect(page.locator("#parts")).to_contain_text("−2 by hand")
    person.click(261, 200)
    expect(page.locator("#parts")).to_contain_text("+1 −2 by hand")


def test_the_mouse_shows_what_a_click_will_do_and_shift_only_adds(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.show_what_to_count(COINS[:1])
    page, hint = person.page, person.page.locator("#hint")
    page.keyboard.press("c")
    page.mouse.move(*person.at(252, 202))
    expect(hint).to_have_text("A click removes this point.")
    page.mouse.move(*person.at(180, 5))
    expect(hint).to_have_text("A click adds a thing here.")
    person.click(180, 5)
    page.mouse.move(*person.at(181, 6))
    expect(hint).to_have_text("A click takes back what was added.")
    page.keyboard.down("Shift")
    page.mouse.move(*person.at(252, 203))
    expect(hint).to_have_text("A click adds a thing here.")
    person.click(252, 203)
    page.keyboard.up("Shift")
    expect(page.locator("#parts")).to_contain_text("+2 by hand")
    page.get_by_role("button", name="Only remove").click()
    page.mouse.move(*person.at(30, 250))
    expect(hint).to_have_text("A click does nothing here.")
    person.click(30, 250)
    expect(page.locator("#parts")).to_contain_text("+2 by hand")


def test_another_box_keeps_corrections_and_what_is_found_by_now_is_not_counted_twice(person: Person, hear: Any) -> None:
    page = person.page
    hear(*FOUND)
    person.show_what_to_count(COINS[:1])
    page.keyboard.press("c")
    person.click(250, 200)  # wrong
    person.click(30, 250)  # missed
    person.click(180, 5)  # missed
    expect(page.locator("#count")).to_have_text("4")
    # the same things, and one of those that were missed
    hear((101, 61), (113, 60), (251, 201), (32, 249), side=22)
    page.keyboard.press("b")
    person.drag(COINS[1])
    expect(page.locator("#parts")).to_contain_text("+1 −1 by hand")
    expect(page.locator("#count")).to_have_text("4")
    expect(page.locator("#notices")).not_to_contain_text("set aside")
    page.keyboard.press("c")
    person.click(251, 201)  # put back
    expect(page.locator("#parts")).to_have_text("4.0 by spdcn-lite · +1 by hand")
    expect(page.locator("#count")).to_have_text("5")
    person.click(32, 249)
    expect(page.locator("#count")).to_have_text("4")
    row = rows(person.download("#export-csv"))["coins.png"]
    assert (row["count"], row["added"], row["removed"]) == ("4", "1", "1")
    for _ in range(3):
        page.keyboard.press("Control+z")
    expect(page.locator("#parts")).to_contain_text("+2 −1 by hand")


def test_a_region_bounds_what_was_added_too(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.show_what_to_count(COINS[:1])
    page = person.page
    page.keyboard.press("c")
    person.click(30, 250)
    expect(page.locator("#count")).to_have_text("4")
    page.keyboard.press("r")
    for corner in ((2, 2), (382, 2), (382, 220), (2, 220), (2, 2)):
        person.click(*corner)
    expect(page.locator("#count")).to_have_text("3", timeout=PATIENCE)
    page.keyboard.press("c")
    page.mouse.move(*person.at(30, 250))
    expect(page.locator("#hint")).to_have_text("A click does nothing here.")
    page.get_by_role("button", name="Count everywhere").click()
    expect(page.locator("#count")).to_have_text("4")
