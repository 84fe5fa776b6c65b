"""Several kinds in the page: named, drawn, counted, corrected and carried to other pictures, each by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from likewise.app.workbench import Workbench
from likewise.results import CountResult, KindsResult
from likewise.results.kinds import Confusion
from likewise.types import Prompt

from .browsing import COINS, PATIENCE, Person, expect, needs_chromium, rows

pytestmark = needs_chromium

#: Of each number of kinds that is asked for, the points of the first, the second and the third.
FOUND = [[(100.0, 60.0), (250.0, 200.0)], [(150.0, 120.0)], [(330.0, 40.0)]]
Hear = Callable[..., list[list[str]]]


def result(picture: Any, points: list[tuple[float, float]], prompt: Prompt) -> CountResult:
    return CountResult(
        grid=np.full((10, 10), len(points) / 100, np.float32),
        size=(picture.width, picture.height),
        points=np.array(points, np.float32).reshape(-1, 2),
        scores=np.ones(len(points), np.float32),
        prompt=prompt,
        image=np.zeros((10, 10, 3), np.uint8),
        model="spdcn-lite",
        seconds=0.1,
        object_size=(20, 20),
        interval=(len(points), len(points) + 2),
    )


@pytest.fixture
def hear(monkeypatch: pytest.MonkeyPatch) -> Hear:
    """Whatever is counted from now on has the points of `FOUND`; gives the names of the kinds that are asked for."""

    def say(*confusions: Confusion) -> list[list[str]]:
        asked_for: list[list[str]] = []

        def counted(_: Workbench, picture: Any, asked: Any) -> CountResult | KindsResult:
            asked_for.append([each.name for each in asked.kinds])
            if not asked.kinds:
                return result(picture, FOUND[0], asked.prompt())
            prompts = asked.kind_prompts().prompts
            found = {name: result(picture, FOUND[i], prompt) for i, (name, prompt) in enumerate(prompts.items())}
            named = tuple(prompts)
            held = [Confusion((named[0], named[1]), each.share) for each in confusions if len(named) > 1]
            return KindsResult(found, tuple(held), 0.2)

        monkeypatch.setattr(Workbench, "_counted", counted)
        return asked_for

    return say


def show_two(person: Person) -> None:
    """A box round a coin of each of two kinds, small and large."""
    page = person.page
    person.choose("coins.png")
    person.drag(COINS[0])
    expect(page.locator("#count")).to_have_text("2")
    page.click("#another-kind")
    page.keyboard.type("large")
    page.keyboard.press("Enter")
    page.get_by_label("Name of kind 1").fill("small")
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    person.drag(COINS[1])
    expect(page.locator("#count")).to_have_text("3")


def counts(person: Person, *numbers: str) -> None:
    """See that the kinds have these counts."""
    expect(person.page.locator("#kinds output")).to_have_text(list(numbers))


def test_kinds_appear_only_when_they_are_asked_for(person: Person, hear: Hear) -> None:
    asked = hear()
    page = person.page
    person.choose("coins.png")
    person.drag(COINS[0])
    expect(page.locator("#count")).to_have_text("2")
    expect(page.locator("#kinds")).to_be_hidden()
    page.click("#another-kind")
    expect(page.locator("#kinds li")).to_have_count(2)
    expect(page.get_by_label("Name of kind 2")).to_be_focused()
    expect(page.locator("#kinds output").first).to_have_text("2")
    page.get_by_label("Remove the kind Kind 2").click()
    expect(page.locator("#kinds")).to_be_hidden()
    expect(page.locator(".samples:not(.negative) li")).to_have_count(1)
    assert asked == [[], ["Kind 1"]]  # and what was counted alone is known again
    project = json.loads(person.download("#save-project"))["pictures"][0]
    assert "kinds" not in project
    assert len(project["exemplars"]) == 1


def test_each_kind_has_a_count_an_interval_and_a_warning(person: Person, hear: Hear) -> None:
    asked = hear(Confusion(("", ""), 0.3))
    show_two(person)
    page = person.page
    counts(person, "2", "1")
    expect(page.locator("#kinds li").first).to_contain_text("likely 2 to 4")
    expect(page.locator("#parts")).to_have_text("3.0 in all by spdcn-lite")
    expect(page.locator("#doubts")).to_contain_text("“small” and “large” can hardly be told apart: 30 %")
    before = len(asked)
    page.get_by_label("Name of kind 2").fill("big")
    page.keyboard.press("Enter")
    expect(page.locator("#doubts")).to_contain_text("“small” and “big”")
    page.get_by_label("Name of kind 2").fill("Small")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("There is a kind Small already")
    expect(page.get_by_label("Name of kind 2")).to_have_value("big")
    assert len(asked) == before  # another name asks for nothing


def test_a_point_that_is_added_is_of_the_chosen_kind(person: Person, hear: Hear) -> None:
    hear()
    show_two(person)
    page = person.page
    page.keyboard.press("c")
    person.click(30, 250)
    counts(person, "2", "2")
    page.keyboard.press("1")
    page.mouse.move(*person.at(180, 5))
    expect(page.locator("#hint")).to_have_text("A click adds a small here.")
    person.click(180, 5)
    counts(person, "3", "2")
    page.mouse.move(*person.at(150, 120))
    expect(page.locator("#hint")).to_have_text("A click makes this a small.")
    person.click(150, 120)
    counts(person, "4", "1")
    page.keyboard.press("Control+z")
    counts(person, "3", "2")
    page.get_by_role("button", name="By name").click()  # nothing is counted, so nothing corrected either
    expect(page.locator("#count")).to_have_text("–")
    page.get_by_role("button", name="By example").click()
    counts(person, "3", "2")
    page.keyboard.press("c")
    person.click(100, 60)  # its own: a wrong point
    counts(person, "2", "2")
    assert person.table()["coins.png"] == ("4\n22", "+2 −1")
    small, large = json.loads(person.download("#save-project"))["pictures"][0]["kinds"]
    assert (len(small["added"]), small["removed"]) == (1, [[100, 60]])
    assert (len(large["added"]), large.get("removed")) == (1, None)
    row = rows(person.download("#export-csv"))["coins.png"]
    assert [row[key] for key in ("count", "by", "count_small", "by_small", "count_large", "by_large")] == [
        "4", "hand", "2", "hand", "2", "hand",
    ]  # fmt: skip
    coco = json.loads(person.download("#export-coco"))
    assert [each["name"] for each in coco["categories"]] == ["small", "large"]
    page.keyboard.press("b")
    page.keyboard.press("2")
    person.drag(COINS[2])  # another example: what was corrected stays
    expect(page.locator(".samples:not(.negative) li")).to_have_count(2)
    expect(page.locator("#busy")).to_be_hidden(timeout=PATIENCE)
    counts(person, "2", "2")


def test_kinds_are_found_again_and_counted_in_every_picture(person: Person, hear: Hear) -> None:
    asked = hear()
    show_two(person)
    page = person.page
    page.click("#apply")
    expect(page.locator("#total")).to_contain_text("12 in 4 pictures, 3 on average; small 8; large 4", timeout=PATIENCE)
    assert asked[-1] == ["small", "large"]
    expect(page.locator("#kept")).to_have_text("Saved")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    person.choose("left.png", 190, 303)
    expect(page.locator("#kinds li")).to_have_count(2)
    expect(page.get_by_label("Name of kind 1")).to_have_value("small")
    expect(page.locator("#count")).to_have_text("3")
    expect(page.locator(".note", has_text="Counted by the examples in coins.png")).to_be_visible()
    assert {text for text, _ in person.table().values()} == {"3\n21"}
    person.choose("coins.png")
    expect(page.locator(".samples:not(.negative) li")).to_have_count(1)
    counts(person, "2", "1")


def test_the_next_picture_is_asked_for_the_same_kinds(person: Person, hear: Hear) -> None:
    hear()
    show_two(person)
    page = person.page
    person.choose("turned.png")
    expect(page.locator("#kinds li")).to_have_count(2)
    counts(person, "–", "–")
    page.keyboard.press("2")
    person.drag(COINS[1])
    expect(page.locator("#count")).to_have_text("2")
    counts(person, "–", "2")  # the only one that is asked for, so the first that is heard
    page.keyboard.press("Control+z")
    expect(page.locator("#count")).to_have_text("–")
