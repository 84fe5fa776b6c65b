"""The page and how large things are: a bar of a round length, densities, a pixel's size that was typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data
from tifffile import imwrite

from likewise.app.server import build_app

from .browsing import COINS, Person, expect, needs_chromium, served
from .conftest import encoded

pytestmark = needs_chromium


@pytest.fixture
def measured(tmp_path: Path, browser: Any) -> Iterator[Person]:
    """Somebody before the coins, once as a file that says how large a pixel is, and once as one that does not."""
    folder = tmp_path / "measured"
    folder.mkdir()
    imwrite(
        folder / "cells.tif", data.coins(), imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um", "axes": "YX"}
    )
    (folder / "coins.png").write_bytes(encoded(np.repeat(data.coins()[..., None], 3, axis=2)))
    with served(build_app(folder)) as address:
        person = Person(browser, address)
        yield person
        person.leave()


def bar(person: Person) -> tuple[float, str]:
    """Its width in pixels of the screen, and what stands below it."""
    shown = person.page.locator("#scale-bar")
    return shown.locator("i").bounding_box()["width"], shown.inner_text()


def micrometres(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"nm": 1e-3, "µm": 1.0, "mm": 1e3}[unit]


def test_the_bar_has_a_round_length_whatever_the_zoom(measured: Person, hear: Any) -> None:
    hear((100.0, 60.0))
    measured.choose("cells.tif")
    expect(measured.page.locator("#scale-bar")).to_be_visible()
    scales = []
    for _ in range(4):
        width, text = bar(measured)
        zoom = int(measured.page.locator("#zoom-level").inner_text().split()[0]) / 100
        assert re.match(r"^[125]0* (µm|nm)$", text)
        assert width == pytest.approx(micrometres(text) / 0.5 * zoom, rel=0.02)
        assert 40 < width <= 121
        scales.append(text)
        for _ in range(2):
            measured.page.click("#zoom-in")
        measured.page.wait_for_timeout(100)
    assert len(set(scales)) > 2


def test_densities_are_of_the_picture_the_region_and_each_cell(measured: Person, hear: Any) -> None:
    hear((100.0, 60.0), (110.0, 70.0), (300.0, 200.0))
    measured.choose("cells.tif")
    measured.drag(COINS[0])
    density = measured.page.locator("#density")
    expect(density).to_have_text(f"{round(3 / (384 * 303 * 0.25e-6))} per mm²")
    measured.page.click("#regions summary")
    measured.page.fill("#grid-rows", "1")
    measured.page.fill("#grid-columns", "2")
    measured.page.click("#lay-grid")
    cells = measured.page.locator(".cells li")
    expect(cells.first).to_contain_text(f"{round(2 / (192 * 303 * 0.25e-6))} per mm²")
    measured.page.keyboard.press("r")
    for corner in ((50, 50), (150, 50), (150, 150), (50, 150), (50, 50)):
        measured.click(*corner)
    expect(density).to_contain_text("in the region")
    told = int(density.inner_text().split()[0])
    assert told == pytest.approx(3 / (100 * 100 * 0.25e-6), rel=0.03)


def test_what_the_file_does_not_tell_is_typed_and_kept(measured: Person, hear: Any) -> None:
    hear((100.0, 60.0))
    measured.choose("coins.png")
    measured.drag(COINS[0])
    measured.count()
    expect(measured.page.locator("#scale-bar")).to_be_hidden()
    expect(measured.page.locator("#density")).to_be_hidden()
    measured.page.click("#scale summary")
    measured.page.fill("#pixel-size", "-1")
    measured.page.click("#take-pixel")
    expect(measured.page.locator("#scale-bar")).to_be_hidden()
    measured.page.fill("#pixel-size", "100")
    measured.page.click("#same-pixel")
    expect(measured.page.locator("#scale-bar")).to_contain_text("mm")
    expect(measured.page.locator("#density")).to_have_text(f"{1 / (384 * 303 * 1e-2) * 1e6:.0f} per m²")
    expect(measured.page.locator("#kept")).to_have_text("Saved")
    measured.open()
    expect(measured.page.locator("#scale-bar")).to_contain_text("mm")
    kept = {each["name"]: each["micrometres"] for each in json.loads(measured.download("#save-project"))["pictures"]}
    assert kept == {"coins.png": 100.0, "cells.tif": 100.0}
    measured.choose("cells.tif")
    expect(measured.page.locator("#pixel-told")).to_contain_text("a pixel is 500 nm × 500 nm")
    expect(measured.page.locator("#pixel-size")).to_be_hidden()
