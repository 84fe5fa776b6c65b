"""The page and stacks: a channel, a plane and a contrast are chosen, kept, shared, and counted by."""

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

from .browsing import COINS, PATIENCE, Person, expect, needs_chromium, served
from .conftest import encoded

pytestmark = needs_chromium


def write_stack(path: Path, grey: np.ndarray) -> None:
    """Three planes of two channels: in the second the coins, each plane a third of them; nothing in the first."""
    planes = np.stack([np.where(np.arange(grey.shape[1]) // 128 == z, grey, 0) for z in range(3)])
    values = np.stack([np.zeros_like(planes), planes], axis=1).astype(np.uint16) * 16
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    imwrite(path, values, ome=True, photometric="minisblack", metadata=metadata)


@pytest.fixture
def stacked(tmp_path: Path, browser: Any) -> Iterator[Person]:
    """Somebody before two stacks of coins and a photograph of them."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    write_stack(folder / "one.ome.tif", data.coins())
    write_stack(folder / "two.ome.tif", data.coins()[::-1])
    (folder / "plain.png").write_bytes(encoded(np.repeat(data.coins()[..., None], 3, axis=2)))
    with served(build_app(folder)) as address:
        person = Person(browser, address)
        yield person
        person.context.close()
        assert [line for line in person.problems if "422" not in line] == []  # what was not chosen yet is refused


def image_of(person: Person) -> list[str]:
    return [url for url in person.asked if "/image" in url]


def shown(person: Person) -> None:
    """The stage has the whole picture, and not only its small copy."""
    expect(person.page.locator("#parts")).not_to_contain_text(re.compile("loading|choose"))


def test_a_stack_is_shown_counted_kept_and_shared_as_it_is_chosen(stacked: Person) -> None:
    page = stacked.page
    stacked.choose("one.ome.tif")
    expect(page.locator("#seen")).to_contain_text("choose what of it is the picture")
    expect(page.locator("#parts")).to_contain_text("choose above")
    page.select_option("#seen-channel", "GFP")
    shown(stacked)
    assert "channel=GFP&z=max" in image_of(stacked)[-1]
    for box in COINS:
        stacked.drag(box)
    expect(page.locator("#busy")).to_be_hidden(timeout=PATIENCE)
    whole = stacked.count()
    assert 20 <= whole <= 28
    page.click("#see-all")
    expect(page.locator("#notices")).to_contain_text("Seen so: 1 other picture")
    page.click("#apply")
    expect(page.locator("#total")).to_contain_text("in 3 pictures", timeout=PATIENCE)
    counts = {name: int(value) for name, (value, _) in stacked.table().items()}
    assert all(abs(count - whole) <= 3 for count in counts.values())
    page.select_option("#seen-z", "0")
    shown(stacked)
    expect(page.locator("#count")).not_to_have_text(str(whole), timeout=PATIENCE)
    expect(page.locator("#busy")).to_be_hidden(timeout=PATIENCE)
    assert stacked.count() < whole - 8
    page.keyboard.press("Control+z")
    shown(stacked)
    expect(page.locator("#count")).to_have_text(str(whole))
    expect(page.locator("#seen-z")).to_have_value("max")
    expect(page.locator("#kept")).to_have_text("Saved")
    stacked.open()
    expect(page.locator("#seen-channel")).to_have_value("GFP")
    expect(page.locator("#count")).to_have_text(str(whole))
    kept = {each["name"]: each.get("seen") for each in json.loads(stacked.download("#save-project"))["pictures"]}
    assert kept == {
        "one.ome.tif": {"channel": "GFP", "z": "max"},
        "two.ome.tif": {"channel": "GFP", "z": "max"},
        "plain.png": None,
    }


def test_a_contrast_that_is_none_is_refused_and_a_photograph_has_none(stacked: Person, hear: Any) -> None:
    hear((100.0, 60.0))
    page = stacked.page
    stacked.choose("one.ome.tif")
    page.click("#see")
    shown(stacked)
    page.fill("#seen-contrast", "dark")
    page.keyboard.press("Tab")
    expect(page.locator("#notices")).to_contain_text("expected auto, min,max")
    expect(page.locator("#seen-contrast")).to_have_value("auto")
    page.fill("#seen-contrast", "0,4080")
    with page.expect_request(re.compile("/image.*contrast=0%2C4080")):
        page.keyboard.press("Tab")
    shown(stacked)
    stacked.choose("plain.png")
    expect(page.locator("#seen")).to_be_hidden()
    shown(stacked)
    places = [page.locator(part).bounding_box()["y"] for part in (".stage-head", "#canvas", ".stage-foot")]
    assert places == sorted(places)
