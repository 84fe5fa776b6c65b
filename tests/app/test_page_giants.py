"""The page and pictures larger than it shows whole: tiles come as they come into view, and boxes are drawn on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likewise.app.kept import NAME
from likewise.app.server import build_app
from likewise.lab.giant import write_giant
from likewise.sources import open_source

from .browsing import Person, expect, needs_chromium, served

pytestmark = needs_chromium
SIDE = 9216
#: The colours in the middle of the canvas, a row of 64 pixels.
MIDDLE = """() => {
    const canvas = document.querySelector("#canvas");
    const [x, y] = [Math.round(canvas.width / 2), Math.round(canvas.height / 2)];
    return [...canvas.getContext("2d").getImageData(x - 32, y - 32, 64, 64).data];
}"""


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("imagecodecs")
    pytest.importorskip("zarr")
    folder = tmp_path_factory.mktemp("slides")
    write_giant(folder / "slide.tif", side=SIDE)
    return folder / "slide.tif"


@pytest.fixture
def looker(slide: Path, browser: Any) -> Iterator[Person]:
    """Somebody before a slide of which nothing was said yet."""
    for kept in slide.parent.glob(f"{NAME}*"):
        kept.unlink()
    with served(build_app(slide.parent)) as address:
        person = Person(browser, address)
        person.choose("slide.tif", SIDE, SIDE)
        expect(person.page.locator("#parts")).to_have_text("nothing counted yet")
        yield person
        person.leave()


def tiles_of(person: Person) -> set[tuple[int, ...]]:
    found = (re.search(r"/tiles/(\d+)/(\d+)/(\d+)", url) for url in person.asked)
    return {tuple(map(int, each.groups())) for each in found if each}


def zoom(person: Person, percent: int) -> float:
    """Zoom in on the middle until the picture is that large; its scale then."""
    for _ in range(60):
        scale = int(person.page.locator("#zoom-level").inner_text().split()[0])
        if scale >= percent:
            break
        person.page.click("#zoom-in")
        person.page.wait_for_timeout(30)
    person.page.wait_for_timeout(1500)
    return scale / 100


def test_what_is_in_view_is_as_fine_as_it_is_looked_at(looker: Person, slide: Path) -> None:
    assert tiles_of(looker) == set()
    scale = zoom(looker, 100)
    asked = tiles_of(looker)
    canvas = looker.page.locator("#canvas").bounding_box()
    fine = {(column, row) for reduction, column, row in asked if reduction == 1}
    across, down = (int(canvas[side] / 256) + 2 for side in ("width", "height"))  # from half its size on
    assert {(8, 8), (9, 9)} & fine
    assert 0 < len(fine) <= across * down < 60  # and not the 324 of all of it
    shown = np.array(looker.page.evaluate(MIDDLE)).reshape(64, 64, 4)[..., :3]
    half = round(32 / scale)
    with open_source(slide) as source:
        there = source.read((SIDE // 2 - half, SIDE // 2 - half, SIDE // 2 + half, SIDE // 2 + half))
    assert np.abs(shown.mean((0, 1)) - there.mean((0, 1))).max() < 6
    assert abs(shown.std() - there.std()) < 12  # of what is drawn enlarged from the small picture it would be less


def test_boxes_are_drawn_and_counted_at_full_resolution(looker: Person, hear: Any) -> None:
    hear((4000.5, 4000.25), (4700.0, 4600.0))
    scale = zoom(looker, 100)
    canvas = looker.page.locator("#canvas").bounding_box()
    x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2
    looker.page.mouse.move(x - 20, y - 20)
    looker.page.mouse.down()
    looker.page.mouse.move(x, y)
    looker.page.mouse.move(x + 20, y + 20)
    looker.page.mouse.up()
    sample = looker.page.locator(".samples:not(.negative) canvas")
    expect(sample).to_have_count(1)
    box = [int(value) for value in sample.get_attribute("aria-label").split(": ")[1].split(", ")]
    assert box[2] - box[0] == pytest.approx(40 / scale, abs=2)
    assert (box[0] + box[2]) / 2 == pytest.approx(SIDE / 2, abs=4)
    expect(looker.page.locator("#waiting")).to_contain_text("This will take about")  # all of it, so enlarged
    looker.page.click("#agree")
    expect(looker.page.locator("#count")).to_have_text("2")
