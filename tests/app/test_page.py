"""The page in a browser, used as a person uses it: counting, and what all modes share."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise.app.models import Models
from likewise.app.server import build_app

from .browsing import COINS, PATIENCE, Person, expect, needs_chromium, rows, served
from .conftest import encoded

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python, of [dev]")
pytestmark = needs_chromium


def test_boxes_a_count_corrections_and_the_table_read_back(person: Person) -> None:
    predicted = person.show_what_to_count()
    assert abs(predicted - 24) <= 2
    person.page.keyboard.press("c")
    person.click(180, 5)  # between the coins, where nothing is
    expect(person.page.locator("#count")).to_have_text(str(predicted + 1))
    person.click(10, 150)
    person.click(45, 54)  # on a coin's point
    expect(person.page.locator("#parts")).to_contain_text("+2 −1 by hand")
    assert person.table()["coins.png"][1] == "+2 −1"
    row = rows(person.download("#export-csv"))["coins.png"]
    assert (row["added"], row["removed"], row["model"]) == ("2", "1", "spdcn-lite")
    assert row["count"] == row["points"] == str(predicted + 1)
    assert round(float(row["predicted"])) == predicted
    for _ in range(3):
        person.page.keyboard.press("Control+z")
    expect(person.page.locator("#count")).to_have_text(str(predicted))
    person.page.click("#redo")
    expect(person.page.locator("#parts")).to_contain_text("+1 by hand")
    person.page.keyboard.press("Control+z")
    person.page.keyboard.press("Control+z")
    expect(person.page.locator(".samples:not(.negative) li")).to_have_count(2)


def test_the_same_examples_in_every_picture(person: Person) -> None:
    person.show_what_to_count()
    person.page.click("#apply")
    expect(person.page.locator("#total")).to_contain_text("in 4 pictures", timeout=PATIENCE)
    counts = {name: float(value) for name, (value, _) in person.table().items()}
    assert abs(counts["turned.png"] - 24) <= 3
    assert abs(counts["left.png"] + counts["right.png"] - 24) <= 4
    person.page.click("#value-head")
    assert [counts[name] for name in person.table()] == sorted(counts.values(), reverse=True)
    person.page.click("#value-head")
    assert [counts[name] for name in person.table()] == sorted(counts.values())
    person.choose("left.png", 190)
    expect(person.page.locator("#count")).to_have_text(str(round(counts["left.png"])))
    expect(person.page.locator("#panel")).to_contain_text("Counted by the examples in coins.png")
    assert set(rows(person.download("#export-csv"))) == set(counts)
    found = json.loads(person.download("#export-coco"))
    assert len(found["images"]) == 4
    archive = zipfile.ZipFile(io.BytesIO(person.download("#export-overlays")))
    assert sorted(archive.namelist()) == [f"{name}_count.png" for name in ("coins", "left", "right", "turned")]


def test_the_others_are_counted_in_their_own_regions(person: Person) -> None:
    person.choose("turned.png")
    person.page.keyboard.press("r")
    for corner in ((2, 2), (382, 2), (382, 150), (2, 150), (2, 2)):
        person.click(*corner)
    person.show_what_to_count()
    person.page.click("#apply")
    expect(person.page.locator("#total")).to_contain_text("in 4 pictures", timeout=PATIENCE)
    counts = {name: float(value) for name, (value, _) in person.table().items()}
    assert abs(counts["turned.png"] - 12) <= 2
    assert abs(counts["left.png"] + counts["right.png"] - 24) <= 4
    person.choose("turned.png")
    expect(person.page.get_by_role("button", name="Count everywhere")).to_be_visible()
    assert person.count() == round(counts["turned.png"])


def test_pictures_with_boxes_of_their_own_are_left_alone(person: Person) -> None:
    person.choose("left.png", 190)
    person.drag(COINS[0])
    own = person.count()
    person.choose("coins.png")
    person.drag(COINS[0])
    person.count()
    expect(person.page.locator("#panel")).to_contain_text("Counts the same in 2 other pictures")
    person.page.click("#apply")
    expect(person.page.locator("#total")).to_contain_text("in 4 pictures", timeout=PATIENCE)
    person.choose("left.png", 190)
    expect(person.page.locator(".samples:not(.negative) li")).to_have_count(1)
    assert person.count() == own


def test_a_job_can_be_cancelled(person: Person) -> None:
    person.show_what_to_count()
    person.page.route("**/api/v1/jobs", lambda route: route.continue_(post_data=many(route.request.post_data)))
    person.page.click("#apply")
    person.page.click("#batch-cancel")
    expect(person.page.locator("#notices")).to_contain_text("Stopped after")
    expect(person.page.locator("#batch-label")).to_contain_text("stopped")
    person.page.click("#batch-forget")
    expect(person.page.locator("#batch")).to_be_hidden()


def many(body: str) -> str:
    """The same job, a hundred times as long."""
    job = json.loads(body)
    return json.dumps({**job, "pictures": job["pictures"] * 100})


def test_a_project_is_saved_and_opened_again(person: Person, tmp_path: Path) -> None:
    predicted = person.show_what_to_count()
    person.page.keyboard.press("c")
    person.click(180, 5)
    saved = tmp_path / "project.json"
    saved.write_bytes(person.download("#save-project"))
    assert b"\n" in saved.read_bytes()
    for _ in range(4):
        person.page.keyboard.press("Control+z")
    expect(person.page.locator("#count")).to_have_text("–")
    person.page.set_input_files("#project-file", saved)
    expect(person.page.locator("#notices")).to_contain_text("The project is open")
    expect(person.page.locator("#count")).to_have_text(str(predicted + 1))
    person.page.keyboard.press("Control+z")  # one step
    expect(person.page.locator("#count")).to_have_text("–")
    person.page.keyboard.press("Control+Shift+Z")
    expect(person.page.locator("#count")).to_have_text(str(predicted + 1))
    expect(person.page.locator("#parts")).to_contain_text("+1 by hand")
    again = json.loads(person.download("#save-project"))
    for one, other in zip(again["pictures"], json.loads(saved.read_bytes())["pictures"], strict=True):
        assert one == other
    saved.write_text("no project")
    person.page.set_input_files("#project-file", saved)
    expect(person.page.locator(".notice.bad")).to_contain_text("is not a project file")


def test_what_a_name_found_becomes_boxes(person: Person) -> None:
    person.choose("coins.png")
    person.page.get_by_role("button", name="By name").click()
    keep = person.page.locator("#keep-found")
    expect(keep).to_be_hidden()
    person.page.fill("#name", "coins")
    person.page.press("#name", "Enter")
    expect(keep).to_be_visible(timeout=PATIENCE)
    person.count()
    saved = json.loads(person.download("#save-project"))
    assert len(saved["pictures"][0]["prediction"]["found"]) == 3
    keep.click()
    samples = person.page.locator(".samples:not(.negative) canvas")
    expect(samples).to_have_count(3)
    expect(keep).to_be_hidden()
    person.page.locator(".samples:not(.negative) li button").first.click()
    expect(samples).to_have_count(2)
    assert person.count() > 0


def test_the_next_picture_is_asked_by_name_as_the_last_was(person: Person) -> None:
    by_name, name = person.page.get_by_role("button", name="By name"), person.page.locator("#name")
    person.choose("coins.png")
    by_name.click()
    name.fill("coins")
    name.press("Enter")
    person.count()
    person.choose("turned.png")
    expect(by_name).to_have_attribute("aria-pressed", "true")
    expect(name).to_have_value("coins")
    expect(person.page.locator("#count")).to_have_text("–")  # nobody asked yet
    name.press("Enter")
    person.count()
    person.page.get_by_role("button", name="By example").click()
    expect(by_name).to_have_attribute("aria-pressed", "false")
    expect(name).to_be_hidden()
    person.choose("coins.png")
    expect(by_name).to_have_attribute("aria-pressed", "true")


def test_boxes_are_moved_resized_and_removed(person: Person) -> None:
    person.choose("coins.png")
    person.drag(COINS[0])
    sample = person.page.locator(".samples:not(.negative) canvas")
    expect(sample).to_have_attribute("aria-label", "example 1: 81, 39, 120, 74")
    person.drag((100, 56, 110, 76))  # from its middle: moved by 10, 20
    expect(sample).to_have_attribute("aria-label", "example 1: 91, 59, 130, 94")
    person.drag((130, 94, 140, 100))  # by its corner
    expect(sample).to_have_attribute("aria-label", "example 1: 91, 59, 140, 100")
    person.drag((115, 80, 700, 80))  # not out of the picture
    expect(sample).to_have_attribute("aria-label", "example 1: 335, 59, 384, 100")
    person.page.keyboard.press("Delete")
    expect(sample).to_have_count(0)
    assert person.page.locator("#count").text_content() == "–"


def test_zooming_and_panning_keep_boxes_where_they_are_drawn(person: Person) -> None:
    person.choose("coins.png")
    before = person.at(100, 56)
    person.page.mouse.move(*before)
    person.page.mouse.wheel(0, -400)
    expect(person.page.locator("#zoom-level")).not_to_have_text(re.compile("^(1[0-9][0-9]) %$"))
    scale = int(person.page.locator("#zoom-level").text_content().split()[0]) / 100
    person.page.keyboard.down("Space")
    person.page.mouse.down()
    person.page.mouse.move(before[0] + 50, before[1] + 30)
    person.page.mouse.up()
    person.page.keyboard.up("Space")
    # (100, 56) now lies 50, 30 further on
    person.page.mouse.down()
    person.page.mouse.move(before[0] + 50 + 20 * scale, before[1] + 30 + 20 * scale)
    person.page.mouse.up()
    label = person.page.locator(".samples:not(.negative) canvas").get_attribute("aria-label")
    assert np.abs(np.array(list(map(int, re.findall(r"\d+", label)[1:]))) - [100, 56, 120, 76]).max() <= 1
    person.page.keyboard.press("0")
    expect(person.page.locator("#zoom-level")).to_have_text(re.compile("^1[0-9][0-9] %$"))


def test_a_region_bounds_the_count(person: Person) -> None:
    whole = person.show_what_to_count()
    person.page.keyboard.press("r")
    for corner in ((2, 2), (382, 2), (382, 150), (2, 150), (2, 2)):
        person.click(*corner)
    expect(person.page.locator("#count")).not_to_have_text(re.compile(f"^({whole}|–)$"), timeout=PATIENCE)
    assert abs(person.count() - whole / 2) <= 2
    person.page.get_by_role("button", name="Count everywhere").click()
    expect(person.page.locator("#count")).to_have_text(str(whole))


def test_the_keyboard_alone_is_enough(person: Person) -> None:
    person.page.get_by_role("button", name="coins.png").focus()
    person.page.keyboard.press("Enter")
    canvas = person.page.locator("#canvas")
    expect(canvas).to_have_attribute("aria-label", "coins.png")
    person.page.wait_for_timeout(500)
    canvas.focus()
    person.page.keyboard.press("Enter")  # no cross yet: nothing happens
    for key, times in (
        ("ArrowLeft", 3),
        ("ArrowUp", 1),
        ("Enter", 1),
        ("ArrowRight", 4),
        ("ArrowDown", 3),
        ("Enter", 1),
    ):
        for _ in range(times):
            person.page.keyboard.press(key)
    expect(person.page.locator(".samples:not(.negative) li")).to_have_count(1)
    assert person.count() >= 0
    person.page.get_by_text("A box by numbers").click()
    for name, value in zip(("x0", "y0", "x1", "y1"), COINS[0], strict=True):
        person.page.get_by_label(name, exact=True).fill(str(value))
    person.page.keyboard.press("Enter")
    expect(person.page.locator(".samples:not(.negative) li")).to_have_count(2)
    person.page.locator("#tab-count").focus()
    person.page.keyboard.press("ArrowRight")
    expect(person.page.locator("#tab-segment")).to_have_attribute("aria-selected", "true")


def test_pictures_are_added_and_what_is_none_is_explained(person: Person, tmp_path: Path) -> None:
    (tmp_path / "more.png").write_bytes(encoded(np.zeros((40, 50, 3), dtype=np.uint8)))
    (tmp_path / "evil.png").write_text("<svg><script>alert(1)</script></svg>")
    person.problems = []
    person.page.set_input_files("#files", [tmp_path / "more.png", tmp_path / "evil.png"])
    expect(person.page.locator("#table tbody tr")).to_have_count(5)
    expect(person.page.locator(".notice.bad")).to_contain_text("evil.png holds something else than a picture")
    expect(person.page.locator("#canvas")).to_have_attribute("aria-label", "more.png")
    person.problems = [line for line in person.problems if "415" not in line]  # the browser logs every 4xx


def only(prompts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the page know of one model, which takes these prompts."""
    known = Models.listed
    monkeypatch.setattr(
        Models,
        "listed",
        lambda self: [m | {"ready": m["name"] == "spdcn-lite", "prompts": prompts} for m in known(self)],
    )


def test_a_model_that_takes_no_counter_examples_is_not_asked_with_them(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(["exemplars"], monkeypatch)
    person.open()
    predicted = person.show_what_to_count()
    person.page.keyboard.down("Shift")
    person.drag((140, 120, 170, 140))
    person.page.keyboard.up("Shift")
    expect(person.page.locator("#negative-note")).to_contain_text("spdcn-lite takes no counter-examples")
    assert person.count() == predicted


def test_one_that_takes_them_is(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    only(["exemplars", "negatives"], monkeypatch)
    person.open()
    bodies: list[dict[str, Any]] = []

    def answer(route: Any) -> None:
        bodies.append(json.loads(route.request.post_data))
        points = [] if "negatives" in bodies[-1] else [[20, 20], [60, 20]]
        found = {"model": "spdcn-lite", "count": len(points), "points": points, "scores": [1] * len(points)}
        route.fulfill(json={**found, "heat": None})

    person.page.route("**/api/v1/count", answer)
    person.choose("coins.png")
    person.drag(COINS[0])
    expect(person.page.locator("#count")).to_have_text("2")
    person.page.keyboard.press("c")
    person.click(180, 5)
    expect(person.page.locator("#count")).to_have_text("3")
    person.page.keyboard.press("b")
    person.page.keyboard.down("Shift")
    person.drag((140, 120, 170, 140))
    person.page.keyboard.up("Shift")
    expect(person.page.locator("#count")).to_have_text("1")  # none of the model's, and the correction
    assert np.abs(np.array(bodies[-1]["negatives"]) - [[140, 120, 170, 140]]).max() < 0.5
    expect(person.page.locator("#panel")).to_contain_text("Counter-examples hold for this picture only")


def test_without_weights_the_other_modes_say_so(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    only(["exemplars"], monkeypatch)
    person.open()
    for tab, note in (("#tab-segment", "#segment-note"), ("#tab-recognize", "#recognize-note")):
        person.page.click(tab)
        expect(person.page.locator(note)).to_contain_text("is installed")
    person.page.click("#tab-count")
    person.page.get_by_role("button", name="By name").click()
    expect(person.page.locator("#name-note")).to_contain_text("No model that can count by name is installed")


OPEN_ALL = "() => document.querySelectorAll('details').forEach((each) => (each.open = true))"


def check_rules(page: Any, scheme: str, place: str) -> None:
    """axe-core's rules; by night those of colours, which the others do not depend on."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
    page.wait_for_timeout(200)
    found = axe.Axe().run(page, options=options).response["violations"]
    assert [(f["id"], [n["html"][:90] for n in f["nodes"]]) for f in found] == [], place


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(browser: Any, address: str, scheme: str) -> None:
    """In every mode with all that folds unfolded, with several kinds, in the dialog, looking on, the API's page."""
    # the checker is put into the page, which the page's own policy would forbid
    person = Person(browser, address, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    person.show_what_to_count()
    for place in ("#tab-segment", "#tab-recognize", "#tab-count", "#another-kind", "#help"):
        person.page.click(place)
        person.page.evaluate(OPEN_ALL)
        check_rules(person.page, scheme, place)
    other = Person(browser, address, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    expect(other.page.locator("#take-over")).to_be_visible()
    other.page.set_viewport_size({"width": 390, "height": 844})
    check_rules(other.page, scheme, "looking on, on a phone")
    other.page.goto(f"{address}/docs.html")
    expect(other.page.locator("#requests")).not_to_be_empty()
    check_rules(other.page, scheme, "the API's page")
    other.context.close()
    person.context.close()


def test_an_empty_bench_says_how_to_begin(browser: Any) -> None:
    with served(build_app()) as address:
        person = Person(browser, address)
        expect(person.page.locator("#empty")).to_contain_text("Drop pictures here")
        person.leave()


def test_the_switch_turns_the_colours(person: Person) -> None:
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = person.page.evaluate(ground)
    person.page.click("#theme")
    person.page.click("#theme")
    assert person.page.evaluate(ground) != light
    person.open()
    assert person.page.evaluate(ground) != light
