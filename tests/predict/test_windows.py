"""Giants: window by window the count is that of the whole, and what is done stays done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.inference import InferenceConfig
from likewise.predict import Counter, load
from likewise.predict.densities import ReferenceExemplars
from likewise.predict.journal import WindowJournal, digest
from likewise.predict.windows import WindowPlan
from likewise.preprocess.rules import Preprocess
from likewise.sources import PictureSource, Window
from likewise.types import Box, Prompt, PromptBatch


@dataclass(frozen=True)
class Areas:
    """The area of each exemplar."""

    areas: Tensor

    @staticmethod
    def merge(parts: Sequence[Areas]) -> Areas:
        return Areas(torch.cat([part.areas for part in parts]))

    def mean_cosine(self) -> None:
        """Not told."""


class LightCounter(nn.Module):
    """Density = light / the exemplars' area: exact for discs, and linear in the picture."""

    prompts = ("exemplars", "negatives")
    cell = 2

    def __init__(self, **rules: Any) -> None:
        super().__init__()
        self.config = SimpleNamespace(inference=InferenceConfig(Preprocess(tile=256, **rules)))
        self.weight = nn.Parameter(torch.ones(1))
        self.looks = 0

    def prepare(self, image: Tensor) -> Tensor:
        return image

    def answer(self, image: Tensor, prompt: PromptBatch) -> tuple[Tensor, Sequence[Areas]]:
        seen = self.encode_exemplars(image, prompt)
        return self.count_like(image, seen), seen

    def encode_exemplars(self, image: Tensor, prompt: PromptBatch, size: Tensor | None = None) -> Sequence[Areas]:
        return [Areas((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) * (np.pi / 4)) for b in prompt.exemplars]

    def count_like(self, image: Tensor, exemplar_features: Sequence[Areas]) -> Tensor:
        self.looks += 1
        return image[:, :1] * self.weight / exemplar_features[0].areas.mean()


class Disks(PictureSource):
    """A picture of discs on black at two levels, in memory, that tells which windows were read."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.name, self.read_windows = "discs", list[tuple[int, Window]]()
        halves = (
            pixels.reshape(pixels.shape[0] // 2, 2, pixels.shape[1] // 2, 2, 3).mean((1, 3)).round().astype(np.uint8)
        )
        self._levels = (pixels, halves)
        self.sizes = tuple((level.shape[1], level.shape[0]) for level in self._levels)

    def stored(self, level: int, window: Window) -> np.ndarray:
        self.read_windows.append((level, window))
        x0, y0, x1, y1 = window
        return self._levels[level][y0:y1, x0:x1]


WIDTH, HEIGHT, SIZE = 1500, 1130, 24


def centres(step: int = 61) -> np.ndarray:
    xs, ys = np.arange(40, WIDTH - 40, step) + 0.3, np.arange(40, HEIGHT - 40, step) + 0.7
    return np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)


def drawn(places: np.ndarray, size: float = SIZE) -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    reach = int(size)
    for x, y in places:
        y0, x0 = int(y) - reach, int(x) - reach
        yy, xx = np.mgrid[y0 : y0 + 2 * reach, x0 : x0 + 2 * reach] + 0.5
        inside = np.clip(size / 2 + 0.5 - np.hypot(xx - x, yy - y), 0, 1)[..., None] * 255
        patch = picture[y0 : y0 + 2 * reach, x0 : x0 + 2 * reach]
        patch[:] = np.maximum(patch, inside)
    return np.rint(picture).astype(np.uint8)


def box(place: Sequence[float], size: float = SIZE) -> Box:
    x, y = place
    return x - size / 2, y - size / 2, x + size / 2, y + size / 2


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.predict.windows.CORE", 256)
    monkeypatch.setattr("likewise.predict.windows.RIM", 48)
    monkeypatch.setattr("likewise.predict.windows.BLOCKS", 5000)
    monkeypatch.setattr("likewise.predict.prompts.GIANT", 1 << 18)


RULES = {"as it is": {}, "halved": {"object_size": 12.0}, "odd": {"object_size": 17.0}, "larger": {"object_size": 31.0}}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_the_count_is_that_of_the_whole(rules: dict[str, Any]) -> None:
    places = centres()
    pixels = drawn(places)
    counter = Counter(LightCounter(**rules), "light", device="cpu")
    boxes = [box(places[0]), box(places[-1])]
    source = Disks(pixels)
    found, whole = counter.count(source, boxes), counter.count(pixels, boxes)
    assert found.count == pytest.approx(whole.count, rel=0.005)
    assert len(whole.points) == len(places)
    assert len(found.points) == min(round(found.count), len(places))  # as many as the count has room for
    distance = np.linalg.norm(found.points[:, None] - places[None], axis=-1)
    assert len(set(distance.argmin(1))) == len(found.points)
    assert distance.min(1).max() < 4
    assert found.size == (WIDTH, HEIGHT)
    assert found.grid.size <= 5000 * 1.1
    seen = 1 if counter.preprocess.object_size == 12 else 0
    assert {level for level, (x0, y0, x1, y1) in source.read_windows if min(x1 - x0, y1 - y0) > 100} == {seen, 0}


def test_a_region_is_counted_alone_and_nothing_far_from_it_is_read() -> None:
    places = centres()
    counter, source = Counter(LightCounter(), "light", device="cpu"), Disks(drawn(places))
    region = [(100.0, 100.0), (700.0, 130.0), (400.0, 600.0)]
    boxes = [box(places[0])]
    plan = counter.plan_windows(source, Prompt(tuple(boxes), region=tuple(region)), ReferenceExemplars())
    source.read_windows.clear()
    found = plan.run()
    whole = counter.count(np.array(source._levels[0]), boxes, region=region)
    assert found.count == pytest.approx(whole.count, rel=0.01)
    assert len(found.points) == pytest.approx(len(whole.points), abs=1)  # one lies on the region's edge
    assert max(y1 for _, (_, _, _, y1) in source.read_windows) < 900
    with pytest.raises(LikewiseError, match="lies outside the picture, which is 1500 x 1130"):
        counter.count(source, boxes, region=[(2000, 2000), (2100, 2000), (2000, 2100)])


def test_examples_may_lie_in_other_pictures() -> None:
    places = centres()
    counter, pixels = Counter(LightCounter(object_size=15.0), "light", device="cpu"), drawn(places)
    found = counter.count(Disks(pixels), like=[(pixels[:200, :200], box(places[0]))])
    assert found.count == pytest.approx(len(places), rel=0.02)


def test_ground_without_anything_is_not_looked_at_closely() -> None:
    places = centres()
    few = places[(places[:, 0] < 300) & (places[:, 1] < 300)]
    pixels = np.maximum(drawn(few), np.random.default_rng(0).integers(0, 4, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    model = LightCounter()
    plan = Counter(model, "light", device="cpu").plan_windows(
        Disks(pixels), Prompt((box(few[0]),)), ReferenceExemplars()
    )
    flat = [plan.count(window).flat for window in plan.windows()]
    assert sum(flat) >= len(flat) - 6
    assert not flat[0]


def test_a_fine_grain_of_things_is_no_flat_ground() -> None:
    """Dots so small and many that a small copy of the picture is one grey."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[::4, ::4] = 255
    source = Disks(pixels)
    plan = Counter(LightCounter(), "light", device="cpu").plan_windows(
        source, Prompt((box((9, 9), 3),)), ReferenceExemplars()
    )
    grey = WindowPlan(**{**plan.__dict__, "thumbnail": np.full((10, 10, 3), 16, np.uint8)})
    assert not any(grey._is_flat(window) for window in plan.windows())


def test_what_is_done_stays_done(tmp_path: Path) -> None:
    places = centres()
    model = LightCounter(object_size=17.0)
    counter, source = Counter(model, "light", device="cpu"), Disks(drawn(places))
    plan = counter.plan_windows(source, Prompt((box(places[0]),)), ReferenceExemplars(), "full")
    whole = plan.run()
    file = tmp_path / "windows.jsonl"

    def stop(done: int, of: int) -> None:
        assert of == len(plan.windows())
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan.run(WindowJournal(file, plan.question()), stop)
    file.write_bytes(file.read_bytes()[:-40])  # as a kill leaves it
    again = WindowJournal(file, plan.question())
    assert len(again) == 4
    model.looks = 0
    seen: list[int] = []
    resumed = plan.run(again, lambda done, of: seen.append(done))
    assert seen == list(range(len(plan.windows())))
    fresh_looks = model.looks
    assert (resumed.grid == whole.grid).all()
    assert (resumed.points == whole.points).all()
    assert resumed.signs == whole.signs
    assert resumed.count == whole.count
    model.looks = 0
    plan.run(WindowJournal(file, plan.question()))
    assert model.looks == 0 < fresh_looks
    assert len(file.read_bytes().splitlines()) == 1 + len(plan.windows())


def test_a_journal_of_another_question_is_refused(tmp_path: Path) -> None:
    WindowJournal(tmp_path / "a.jsonl", {"a": 1})
    with pytest.raises(LikewiseError, match="remembers another question"):
        WindowJournal(tmp_path / "a.jsonl", {"a": 2})
    (tmp_path / "b.jsonl").write_text(json.dumps({"some": "thing"}) + "\n")
    with pytest.raises(LikewiseError, match="is no journal of windows"):
        WindowJournal(tmp_path / "b.jsonl", {})


def test_a_taught_counter_without_a_box_counts_windows_by_its_examples_and_their_factor() -> None:
    places = centres()
    plain, source = Counter(LightCounter(object_size=17.0), "light", device="cpu"), Disks(drawn(places))
    examples = plain.encode_exemplars([(drawn(places), box(places[0]))])
    twice = replace(plain.inference, factor=2.0)
    taught = Counter(plain.model, "taught", device="cpu", examples=examples, by_examples=twice)
    whole = plain.plan_windows(source, Prompt(), examples).run()
    assert taught.plan_windows(source, Prompt(), ReferenceExemplars()).run().count == pytest.approx(2 * whole.count)
    own = Prompt((box(places[0]),))
    expected = plain.plan_windows(source, own, ReferenceExemplars()).run()
    assert taught.plan_windows(source, own, ReferenceExemplars()).run().count == expected.count


def test_a_question_changes_with_everything_that_it_depends_on() -> None:
    places = centres()
    model = LightCounter()
    counter, source = Counter(model, "light", device="cpu"), Disks(drawn(places))

    def asked(prompt: Prompt) -> str:
        return json.dumps(counter.plan_windows(source, prompt, ReferenceExemplars()).question(), sort_keys=True)

    one = asked(Prompt((box(places[0]),)))
    assert asked(Prompt((box(places[0]),))) == one
    assert asked(Prompt((box(places[1]),))) != one
    with torch.no_grad():
        model.weight += 0.1
    assert asked(Prompt((box(places[0]),))) != one


def test_digests_tell_tensors_apart() -> None:
    one = Areas(torch.tensor([1.0, 2.0]))
    assert digest(one) == digest(Areas(torch.tensor([1.0, 2.0])))
    assert digest(one) != digest(Areas(torch.tensor([[1.0, 2.0]])))
    assert digest((1, [2, {"a": one}])) != digest((1, [2, {"b": one}]))


def test_the_bundled_counter_gives_what_it_gives_for_the_whole() -> None:
    places = centres(83)[:60]
    pixels = np.clip(drawn(places) * 0.5 + np.random.default_rng(1).normal(60, 4, (HEIGHT, WIDTH, 1)), 0, 255)
    picture = pixels[:620, :760].astype(np.uint8)
    mine = places[(places[:, 0] < 745) & (places[:, 1] < 605)]
    counter = load("spdcn-lite", device="cpu")
    assert isinstance(counter, Counter)
    boxes = [box(place) for place in mine[:3]]
    whole, found = counter.count(picture, boxes), counter.count(Disks(picture), boxes)
    assert found.count == pytest.approx(whole.count, rel=0.005)
    assert len(found.points) == len(whole.points)
    assert found.interval is not None
    assert whole.interval is not None
    assert found.interval == pytest.approx(whole.interval, rel=0.1)


@pytest.mark.parametrize("region", [None, ((30.0, 30.0), (1400.0, 30.0), (1400.0, 800.0), (30.0, 800.0))])
def test_another_colour_is_left_out_as_in_the_whole(region: Any) -> None:
    """Groups of colours are those of all windows together, though some windows show one of them alone."""
    places = centres()
    red = np.random.default_rng(4).random(len(places)) < 0.4
    red[0] = False
    pixels = np.maximum(drawn(places[~red]), drawn(places[red]) * np.array([1, 0, 0], np.uint8))
    inference = InferenceConfig(Preprocess(tile=256, object_size=24.0), colour_groups=True, snap_peaks=(0.4, 1.5))
    counter = Counter(LightCounter(), "light", device="cpu", inference=inference)
    found, whole = (counter.count(each, [box(places[0])], region=region) for each in (Disks(pixels), pixels))
    inside = np.ones(len(places), bool) if region is None else (places[:, 0] < 1400) & (places[:, 1] < 800)
    white = (inside & ~red).sum()
    assert white <= whole.count < white + 0.1 * inside.sum()  # rims of discs lie beyond what belongs to a peak
    assert found.count == pytest.approx(whole.count, rel=0.01)
    assert len(found.points) == white
    nearest = np.linalg.norm(found.points[:, None] - places[None], axis=-1).argmin(1)
    assert not red[nearest].any()
    assert found.grid.min() >= 0
