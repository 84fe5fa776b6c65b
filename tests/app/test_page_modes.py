"""Segment and Recognise in the page, with small networks that answer at once."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from likewise.app.models import Models
from likewise.predict.marks import mark_of
from likewise.results import RecognizeResult, SegmentResult

from .browsing import PATIENCE, Person, expect, needs_chromium, rows

pytestmark = [
    needs_chromium,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools' own
]


class Brightness:
    """Stands for both kinds of model: finds what is as bright as the marked pixels, and tells light from dark."""

    name = "brightness"

    def encode(self, image: np.ndarray) -> np.ndarray:
        return image

    def set_support(self, support: list[tuple[np.ndarray, Any]]) -> float:
        masks = [(image, mark_of(mask, image.shape[1], image.shape[0]).pixels) for image, mask in support]
        return float(np.mean([image[mask].mean() for image, mask in masks]))

    def segment(self, query: np.ndarray, support: float) -> SegmentResult:
        score = (np.abs(query[..., 0].astype(np.float32) - support) < 20).astype(np.float32)
        return SegmentResult(score, (query.shape[1], query.shape[0]), self.name, 0.01, query)

    def recognize(self, image: np.ndarray) -> RecognizeResult:
        light = np.float32(image.mean() / 255)
        return RecognizeResult(
            labels=("a light picture", "a dark picture"),
            probabilities=np.array([light, 1 - light], dtype=np.float32),
            peaks=np.array([[30, 40]], dtype=np.float32),
            scores=np.ones(1, dtype=np.float32),
            response=np.eye(4, dtype=np.float32),
            seen=(0, 0, image.shape[1], image.shape[0]),
            magnified=(image[:32, :32], image[32:64, :32]),
            size=(image.shape[1], image.shape[0]),
            model=self.name,
            seconds=0.01,
            image=image,
        )


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"name": "brightness", "prompts": [], "ready": True, "how_to": "", "notes": []}
    listed = [{**known, "task": task} for task in ("segment", "recognize")]
    monkeypatch.setattr(Models, "listed", lambda self: listed)
    monkeypatch.setattr(Models, "named", lambda *_: Brightness())


def brush(person: Person, start: tuple[float, float], end: tuple[float, float]) -> None:
    person.page.mouse.move(*person.at(*start))
    person.page.mouse.down()
    person.page.mouse.move(*person.at(*end), steps=4)
    person.page.mouse.up()


def near(start: tuple[float, float], end: tuple[float, float], width: float) -> np.ndarray:
    """(303, 384): the pixels less than half the width away from a line."""
    y, x = np.mgrid[:303, :384] + 0.5
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = (((x - start[0]) * dx + (y - start[1]) * dy) / (dx**2 + dy**2)).clip(0, 1)
    found: np.ndarray = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy) < width / 2
    return found


def test_what_is_brushed_in_one_picture_is_found_in_the_others_and_exported(person: Person, tmp_path: Path) -> None:
    page = person.page
    page.click("#tab-segment")
    person.choose("coins.png")
    expect(page.locator("#area-parts")).to_have_text("nothing brushed yet")
    page.locator("#brush-size").fill("20")
    brush(person, (100, 130), (160, 130))
    expect(page.locator("#area-parts")).to_contain_text("brushed by you")
    page.keyboard.press("e")
    brush(person, (160, 130), (160, 131))

    person.choose("left.png", 190)  # asked by itself
    expect(page.locator("#area-parts")).to_contain_text("by brightness")
    page.click("#apply")
    expect(page.locator("#total")).to_have_text("Found in 3 of the 3 looked at", timeout=PATIENCE)
    shown = person.table()
    covered = near((100, 130), (160, 130), 20) & ~near((160, 130), (160, 131), 20)
    assert float(shown["coins.png"][0].split()[0]) == pytest.approx(100 * covered.mean(), abs=0.15)
    assert shown["coins.png"][1] == "example"

    table = rows(person.download("#export-csv"))
    assert [(row["by"], row["model"]) for row in table.values()] == [("hand", ""), *[("model", "brightness")] * 3]
    assert all(shown[n][0] == f"{100 * float(row['area']):.1f} %" for n, row in table.items() if row["model"])

    found = json.loads(person.download("#export-coco"))
    files = {image["id"]: image["file_name"] for image in found["images"]}
    masks = {files[n["image_id"]]: coco.decode(n["segmentation"]).astype(bool) for n in found["annotations"]}
    assert (masks["coins.png"] & covered).sum() > 0.9 * (masks["coins.png"] | covered).sum()
    assert all(masks[name].mean() == pytest.approx(float(row["area"]), abs=1e-5) for name, row in table.items())

    archive = zipfile.ZipFile(io.BytesIO(person.download("#export-overlays")))
    stems = ("coins", "left", "right", "turned")
    assert set(archive.namelist()) == {f"{stem}_{what}.png" for stem in stems for what in ("mask", "segment")}
    for name, mask in masks.items():
        drawn = Image.open(archive.open(name.replace(".png", "_mask.png")))
        assert np.array_equal(np.asarray(drawn).astype(bool), mask)

    saved = tmp_path / "project.json"
    saved.write_bytes(person.download("#save-project"))
    person.open()
    page.set_input_files("#project-file", saved)
    expect(page.locator("#notices")).to_contain_text("The project is open")
    page.click("#tab-segment")
    assert person.table() == shown
    assert json.loads(person.download("#export-coco"))["annotations"] == found["annotations"]


def masks_of(person: Person) -> dict[str, np.ndarray]:
    found = json.loads(person.download("#export-coco"))
    files = {image["id"]: image["file_name"] for image in found["images"]}
    return {files[n["image_id"]]: coco.decode(n["segmentation"]).astype(bool) for n in found["annotations"]}


def test_a_stroke_mends_what_was_found_and_leaves_the_others_alone(person: Person, tmp_path: Path) -> None:
    page = person.page
    page.click("#tab-segment")
    person.choose("coins.png")
    page.locator("#brush-size").fill("20")
    brush(person, (100, 130), (160, 130))
    page.click("#apply")
    expect(page.locator("#total")).to_have_text("Found in 3 of the 3 looked at", timeout=PATIENCE)
    person.choose("turned.png")
    expect(page.locator("#area-parts")).to_contain_text("by brightness")
    before = masks_of(person)
    assert not before["turned.png"].all()
    page.locator("#brush-size").fill("24")
    brush(person, (40, 100), (200, 100))
    expect(page.locator("#area-parts")).to_contain_text("found and mended by you")
    page.keyboard.press("e")
    brush(person, (40, 200), (200, 200))
    after = masks_of(person)
    added, erased = near((40, 100), (200, 100), 24), near((40, 200), (200, 200), 24)
    expected = (before["turned.png"] | added) & ~erased
    assert (after["turned.png"] ^ expected).sum() < 0.03 * (added.sum() + erased.sum())
    assert all(np.array_equal(after[name], before[name]) for name in ("coins.png", "left.png", "right.png"))
    assert person.table()["turned.png"][1] == "mended"
    assert float(person.table()["turned.png"][0].split()[0]) == pytest.approx(100 * after["turned.png"].mean(), abs=0.2)

    saved = tmp_path / "project.json"
    saved.write_bytes(person.download("#save-project"))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator("#area-parts")).to_contain_text("by brightness")
    assert np.array_equal(masks_of(person)["turned.png"], before["turned.png"])
    page.set_input_files("#project-file", saved)
    expect(page.locator("#notices")).to_contain_text("The project is open")
    assert np.array_equal(masks_of(person)["turned.png"], after["turned.png"])

    page.click("#teach")  # now it is an example, and the others are asked anew
    expect(page.locator("#panel")).to_contain_text("2 pictures show it")
    person.choose("left.png", 190)
    expect(page.locator("#area-parts")).to_contain_text("by brightness")


def test_a_box_or_a_click_shows_the_thing_too(person: Person) -> None:
    page = person.page
    asked: list[dict[str, Any]] = []

    def heard(route: Any) -> None:
        asked.append(json.loads(route.request.post_data))
        route.continue_()

    page.route("**/api/v1/segment", heard)
    page.click("#tab-segment")
    person.choose("coins.png")
    page.keyboard.press("x")
    person.drag((81, 39, 120, 74))
    expect(page.locator("#area-parts")).to_contain_text("by brightness")  # a box is no mask: the picture is asked too
    (support,) = asked[-1]["support"]
    assert np.abs(np.array(support["box"]) - [81, 39, 120, 74]).max() < 0.5
    page.keyboard.press("Control+z")
    page.keyboard.press("k")
    person.click(100, 56)
    expect(page.locator("#area-parts")).to_contain_text("by brightness")
    (support,) = asked[-1]["support"]
    assert np.abs(np.array(support["clicks"]) - [[100, 56]]).max() < 0.5
    assert person.table()["coins.png"][1] == "example"
    person.click(100, 56)
    expect(page.locator("#area-parts")).to_have_text("nothing brushed yet")


def test_pictures_are_recognised_one_and_all(person: Person) -> None:
    page = person.page
    page.click("#tab-recognize")
    person.choose("coins.png")
    expect(page.locator("#label")).to_have_text("a dark picture")
    expect(page.locator(".bars li")).to_have_count(2)
    expect(page.locator(".evidence img")).to_have_count(2)
    page.click("#apply")
    expect(page.locator("#total")).to_have_text("1 label in 4 pictures")
    table = rows(person.download("#export-csv"))
    assert {row["label"] for row in table.values()} == {"a dark picture"}
    shown = person.table()
    assert all(shown[n] == (row["label"], f"{100 * float(row['probability']):.0f} %") for n, row in table.items())
    archive = zipfile.ZipFile(io.BytesIO(person.download("#export-overlays")))
    assert set(archive.namelist()) == {f"{stem}_recognize.png" for stem in ("coins", "left", "right", "turned")}


def test_nothing_to_export_is_said(person: Person) -> None:
    person.page.click("#tab-segment")
    person.page.click("#export-overlays")
    expect(person.page.locator(".notice.bad")).to_contain_text("there is nothing to draw yet")
    person.problems = [line for line in person.problems if "422" not in line]  # the browser logs every 4xx
