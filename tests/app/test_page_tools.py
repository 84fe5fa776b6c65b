"""The page's tools and looks: boxes and regions, what covers what, colours, focus, a review."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from .browsing import COINS, PATIENCE, Person, expect, needs_chromium

pytestmark = needs_chromium

FOUND = [(100.0, 60.0), (160.0, 60.0), (250.0, 200.0)]
SAMPLE = ".samples:not(.negative) canvas"


def boxes(person: Person, kind: str = "example") -> list[list[int]]:
    side = ".samples.negative canvas" if kind == "counter-example" else SAMPLE
    labels = [each.get_attribute("aria-label") for each in person.page.locator(side).all()]
    return [[int(value) for value in label.split(": ")[1].split(", ")] for label in labels]


def test_a_small_box_can_be_moved_its_edges_pulled_and_a_slip_is_no_example(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.choose("coins.png")
    x, y = person.at(200, 150)
    person.page.mouse.move(x, y)
    person.page.mouse.down()
    person.page.mouse.move(x + 5, y + 5)
    person.page.mouse.up()
    expect(person.page.locator("#hint")).to_contain_text("Too small")
    assert boxes(person) == []
    person.drag((100, 50, 106, 56))  # some 12 pixels of the screen: smaller than its handles used to be
    assert boxes(person) == [[100, 50, 106, 56]]
    person.drag((103, 53, 123, 73))
    assert boxes(person) == [[120, 70, 126, 76]]
    person.drag(COINS[0])
    person.drag((120, 56, 140, 56))  # by its right edge
    assert boxes(person)[1] == [81, 39, 140, 74]
    person.drag((100, 39, 100, 29))  # by the upper
    assert boxes(person)[1] == [81, 29, 140, 74]


def test_the_corners_of_a_region_are_dragged(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.choose("coins.png")
    person.page.keyboard.press("r")
    for corner in ((50, 50), (300, 50), (300, 250), (50, 250), (50, 50)):
        person.click(*corner)
    person.page.keyboard.press("r")
    person.drag((300, 250, 340, 280))
    expect(person.page.locator("#kept")).to_have_text("Saved")
    region = json.loads(person.download("#save-project"))["pictures"]
    (found,) = [picture["region"] for picture in region if picture["name"] == "coins.png"]
    assert np.abs(np.array(found) - [[50, 50], [300, 50], [340, 280], [50, 250]]).max() < 0.6


def test_counter_examples_need_no_shift(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.choose("coins.png")
    person.drag(COINS[0])
    person.page.get_by_role("button", name="Not this").click()
    person.drag((140, 120, 170, 140))
    expect(person.page.locator(".samples.negative canvas")).to_have_count(1)
    assert boxes(person, "counter-example") == [[140, 120, 170, 140]]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
def test_nothing_covers_the_picture(browser: Any, address: str, hear: Any, width: int, height: int) -> None:
    hear(*FOUND)
    person = Person(browser, address, viewport={"width": width, "height": height})
    person.choose("coins.png")
    person.drag(COINS[0])
    person.page.evaluate("async () => (await import('/notices.js')).say('A message of some length. '.repeat(9))")
    canvas = person.page.locator("#canvas").bounding_box()
    assert canvas["width"] > 0.9 * min(width, 400)
    assert canvas["height"] > 200
    for what in ("#tools", "#hint", ".zoom", ".notice", "#picture-name"):
        place = person.page.locator(what).first.bounding_box()
        beside = place["x"] >= canvas["x"] + canvas["width"] or place["x"] + place["width"] <= canvas["x"]
        over = place["y"] >= canvas["y"] + canvas["height"] or place["y"] + place["height"] <= canvas["y"]
        assert beside or over, (what, place, canvas)
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= width + 1
    person.leave()


SEEN = """async ([r, g, b]) => {
    const { MAPS, fitting, inColours, perceived } = await import("/heat.js");
    const ground = document.createElement("canvas");
    ground.width = ground.height = 8;
    const pen = ground.getContext("2d");
    pen.fillStyle = `rgb(${r} ${g} ${b})`;
    pen.fillRect(0, 0, 8, 8);
    const layer = document.createElement("canvas");
    [layer.width, layer.height] = [2, 1];
    const heat = layer.getContext("2d").createImageData(2, 1);
    heat.data[3] = 255 * 0.72 * 0.5 ** 0.6; // half of the most, and all of it
    heat.data[7] = 255 * 0.72;
    layer.getContext("2d").putImageData(heat, 0, 0);
    Object.defineProperties(layer, { naturalWidth: { value: 2 }, naturalHeight: { value: 1 } });
    pen.drawImage(inColours(layer, fitting(ground)), 0, 0);
    const under = perceived([r, g, b]);
    return [0, 1].map((x) => {
        const over = perceived([...pen.getImageData(x, 0, 1, 1).data].slice(0, 3));
        return Math.hypot(...over.map((value, i) => value - under[i]));
    });
}"""


@pytest.mark.parametrize("ground", [(0, 0, 0), (200, 20, 30), (255, 255, 255), (90, 140, 60), (128, 128, 128)])
def test_heat_can_be_told_from_any_ground(person: Person, ground: tuple[int, int, int]) -> None:
    """By distance in Oklab, where black and white are 1 apart: of half the density, and of the most."""
    half, most = person.page.evaluate(SEEN, list(ground))
    assert half > 0.15
    assert most > 0.3


RED = """([x, y]) => {
    const canvas = document.querySelector("#canvas");
    const frame = canvas.getBoundingClientRect();
    const density = canvas.width / frame.width;
    return canvas.getContext("2d").getImageData((x - frame.left) * density, (y - frame.top) * density, 1, 1).data[0];
}"""


def test_the_look_changes_and_the_count_does_not(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.show_what_to_count(COINS[:1])
    page = person.page
    asked = len(person.asked)
    x, y = person.at(20, 20)
    before = page.evaluate(RED, [x, y])
    page.get_by_text("Brightness and contrast").click()
    page.locator("#look-brightness").fill("40")
    page.wait_for_timeout(300)
    assert page.evaluate(RED, [x, y]) > before + 60
    expect(page.locator("#look-note")).to_contain_text("what is counted is the picture as it is")
    assert not [url for url in person.asked[asked:] if "count" in url]
    page.get_by_role("button", name="As it is").click()
    page.wait_for_timeout(300)
    assert abs(page.evaluate(RED, [x, y]) - before) <= 1


def test_the_list_is_one_stop_of_the_tab_key_and_its_names_can_be_seen(person: Person) -> None:
    page = person.page
    person.choose("left.png", 190)
    page.locator("#hand-head").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.textContent"
    assert page.evaluate(focused) == "left.png"
    page.keyboard.press("ArrowDown")
    expect(page.locator("#canvas")).to_have_attribute("aria-label", "right.png")
    assert page.evaluate(focused) == "right.png"
    page.keyboard.press("Home")
    expect(page.locator("#picture-name")).to_have_text("coins.png")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "splitter"
    before = page.locator(".pictures").bounding_box()["width"]
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.locator(".pictures").bounding_box()["width"] > before + 60
    for head in ("#value-head", "#hand-head"):
        assert page.locator(head).evaluate("e => e.scrollWidth <= e.clientWidth")


def test_a_review_goes_from_doubt_to_doubt(person: Person, hear: Any) -> None:
    widths = {"coins.png": (2, 4), "left.png": (0, 9), "right.png": (3, 3), "turned.png": (1, 6)}
    hear(*FOUND, intervals=widths)
    person.show_what_to_count(COINS[:1])
    page = person.page
    page.click("#apply")
    expect(page.locator("#total")).to_contain_text("in 4 pictures", timeout=PATIENCE)
    page.click("#review")
    canvas = page.locator("#canvas")
    assert list(person.table()) == ["left.png", "turned.png", "coins.png", "right.png"]
    for name in ("left.png", "turned.png", "coins.png"):
        expect(canvas).to_have_attribute("aria-label", name)
        expect(page.locator("#count")).to_have_text("3", timeout=PATIENCE)
        page.keyboard.press("v")
    expect(canvas).to_have_attribute("aria-label", "right.png")
    expect(page.locator("#review")).to_have_text("Review: 3 of 4")
    assert person.table()["left.png"][1] == "✓"


def test_places_in_doubt_are_answered_with_one_key(person: Person, hear: Any) -> None:
    hear(*FOUND, (30, 250), scores=np.array([1, 0.4, 0.3, 1], np.float32))
    person.choose("coins.png")
    person.drag((90, 50, 110, 70))
    person.count()
    page = person.page
    expect(page.locator("#alike-told")).to_have_text("2 places are in doubt.")
    page.keyboard.press("l")
    page.keyboard.press("y")
    assert boxes(person) == [[90, 50, 110, 70], [150, 50, 170, 70]]
    expect(page.locator("#alike-told")).to_contain_text("1 place is in doubt")
    page.keyboard.press("n")
    expect(page.locator("#alike-told")).to_have_text("No place is in doubt here.")
    assert boxes(person, "counter-example") == [[240, 190, 260, 210]]


def test_faint_points_are_taken_away_together(person: Person, hear: Any) -> None:
    hear(*FOUND, scores=np.array([1, 0.4, 0.3], np.float32))
    person.choose("coins.png")
    person.drag((90, 50, 110, 70))
    person.count()
    page = person.page
    page.locator("#threshold").fill("0.5")
    page.locator("#threshold").dispatch_event("change")
    expect(page.locator("#count")).to_have_text("1")
    expect(page.locator("#parts")).to_contain_text("−2 by hand")
    page.keyboard.press("Control+z")
    expect(page.locator("#count")).to_have_text("3")


def test_a_grid_counts_by_region_in_all_pictures(person: Person, hear: Any) -> None:
    hear(*FOUND)
    page = person.page
    for name, width in (("coins.png", 384), ("left.png", 190)):
        person.choose(name, width)
        person.drag(COINS[0])
        person.count()
    person.choose("coins.png")
    page.locator("#regions summary").click()
    page.locator("#grid-rows").fill("2")
    page.locator("#grid-columns").fill("3")
    page.click("#lay-grid")
    cells = page.locator(".cells li")
    assert cells.all_inner_texts() == ["A1\n1", "A2\n1", "A3\n0", "B1\n0", "B2\n1", "B3\n0"]
    page.keyboard.press("c")
    person.click(370, 290)
    expect(cells.last).to_have_text("B31")
    page.click("#same-regions")
    table = person.download("#export-regions").decode().splitlines()
    assert table[0] == "image,region,count,by"
    assert [line for line in table if line.startswith("coins")][-1] == "coins.png,B3,1,hand"
    # the same thirds of a picture half as wide: one of its points lies beyond it
    assert [line.split(",")[2] for line in table if line.startswith("left")] == ["0", "1", "1", "0", "0", "0"]


def test_the_map_and_the_bars_lead_somewhere(person: Person, hear: Any) -> None:
    hear(*FOUND)
    person.show_what_to_count(COINS[:1])
    page = person.page
    small = page.locator("#map")
    expect(small).to_be_hidden()
    page.mouse.move(*person.at(100, 100))
    page.mouse.wheel(0, -900)
    expect(small).to_be_visible()
    frame = small.bounding_box()
    page.mouse.click(frame["x"] + frame["width"] - 1, frame["y"] + frame["height"] - 1)
    page.keyboard.press("c")
    canvas = page.locator("#canvas").bounding_box()
    page.mouse.click(canvas["x"] + canvas["width"] / 2 - 20, canvas["y"] + canvas["height"] / 2 - 20)
    expect(page.locator("#parts")).to_contain_text("+1 by hand")  # near the lower right corner, where nothing was
    expect(page.locator("#chart")).to_be_hidden()
    page.keyboard.press("b")
    page.click("#apply")
    expect(page.locator("#total")).to_contain_text("in 4 pictures", timeout=PATIENCE)
    expect(page.locator("#chart")).to_have_attribute("aria-label", "Values of 4 pictures, from 3 to 4")
    page.locator("#chart").click(position={"x": 2, "y": 30})
    expect(page.locator("#canvas")).to_have_attribute("aria-label", "coins.png")
