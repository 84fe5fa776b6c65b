"""The generalisation suite: its peer finds what it must, its numbers are those of a hand computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError
from likewise.lab.suite import generalisation, template_matching
from likewise.lab.suite.generalisation import RENDERED, Score, run, sets
from likewise.lab.suite.photographs import FACES, GROCERIES, FaceMosaics, Photographs
from likewise.lab.suite.template_matching import (
    THRESHOLD,
    THRESHOLDS,
    Matched,
    TemplateMatcher,
    choose_threshold,
    finds,
)
from likewise.scenes import make_scene


def need_opencv() -> None:
    pytest.importorskip("cv2", reason="opencv-python-headless is not installed")


def motif(side: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)


def planted(places: list[tuple[int, int]], side: int = 15) -> np.ndarray:
    """Exact copies of one motif on noise of less contrast."""
    picture = np.random.default_rng(5).integers(100, 130, (140, 180, 3)).astype(np.uint8)
    for x, y in places:
        picture[y : y + side, x : x + side] = motif(side)
    return picture


# --- template matching --------------------------------------------------------------------------------------------


def test_exact_copies_are_found_where_they_are():
    need_opencv()
    places = [(3, 5), (40, 8), (90, 60), (18, 100), (160, 120)]
    found = finds(planted(places), [(40, 8, 55, 23)], THRESHOLD)
    assert sorted((round(x), round(y)) for x, y, *_ in found.tolist()) == sorted(places)
    assert found[:, 4] == pytest.approx(1.0, abs=1e-3)
    assert found[:, 2] - found[:, 0] == pytest.approx(15.0)
    assert TemplateMatcher().count(planted(places), [(40, 8, 55, 23)]).count == 5


def test_three_boxes_of_one_thing_count_it_once():
    need_opencv()
    places = [(3, 5), (40, 8), (90, 60)]
    boxes = [(x, y, x + 15, y + 15) for x, y in places]
    assert TemplateMatcher().count(planted(places), boxes).count == 3


def test_copies_of_another_size_are_found_within_the_scales():
    need_opencv()
    import cv2

    picture = planted([(10, 10)], side=20)
    smooth = cv2.GaussianBlur(motif(20), (0, 0), 2.0)
    picture[10:30, 10:30] = smooth
    picture[70:98, 90:118] = cv2.resize(smooth, (28, 28), interpolation=cv2.INTER_LINEAR)
    found = finds(picture, [(10, 10, 30, 30)], THRESHOLD)
    assert len(found) == 2
    itself, larger = found[found[:, 0].argsort()]  # both resemble it about as much: which comes first is rounding
    assert itself[:4] == pytest.approx((10, 10, 30, 30), abs=2)
    assert larger[:4] == pytest.approx((90, 70, 118, 98), abs=2)


def test_large_things_are_found_in_the_callers_pixels():
    need_opencv()
    picture = np.kron(planted([(10, 12), (80, 70)]), np.ones((6, 6, 1), np.uint8))
    found = finds(picture, [(60, 72, 150, 162)], THRESHOLD)
    assert np.sort(found[:, 0]) == pytest.approx([60, 480], abs=4)


def test_a_flat_picture_holds_nothing_and_no_box_is_told():
    need_opencv()
    assert TemplateMatcher().count(np.full((50, 60, 3), 90, np.uint8), [(5, 5, 15, 15)]).count == 0
    with pytest.raises(LikewiseError, match="at least one box"):
        finds(planted([]), [], THRESHOLD)


def test_without_opencv_there_is_a_clear_word_and_no_peer(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(LikewiseError, match="pip install opencv-python-headless"):
        template_matching.opencv()
    assert generalisation.the_peer() is None


def test_the_threshold_that_is_chosen_is_the_one_that_counts_best():
    """One pass over all thresholds gives what counting at each of them gives; exact copies need a high one."""
    need_opencv()
    data = Pictures([planted([(3, 5), (40, 8), (90, 60)]), planted([(40, 8)])], [3, 1])
    table = choose_threshold(data, (0.2, 0.5, 0.8))
    for threshold, error in table:
        counts = [TemplateMatcher(threshold).count(p, [(40, 8, 55, 23)]).count for p in data.pictures]
        assert error == pytest.approx(np.mean([abs(c - n) / n for c, n in zip(counts, data.truths, strict=True)]))
    assert table[2][1] == 0
    assert THRESHOLD in THRESHOLDS


# --- the suite ----------------------------------------------------------------------------------------------------


class Pictures(Dataset[CountSample]):
    def __init__(self, pictures: list[np.ndarray], truths: list[float]) -> None:
        self.pictures, self.truths = pictures, truths

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> CountSample:
        return CountSample(
            image=torch.from_numpy(self.pictures[index]).permute(2, 0, 1),
            points=torch.zeros(0, 2),
            boxes=torch.zeros(0, 4),
            exemplars=torch.tensor([[40.0, 8, 55, 23]] * 4),
            name=str(index),
            truth=float(self.truths[index]),
        )


class Says:
    """A counter that says numbers in turn."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)
        self.shown: list[int] = []

    def count(self, image, exemplars=(), *, text=None, trust=None):
        self.shown.append(len(exemplars))
        return Matched(self.numbers.pop(0), 0.0)


def blank(*truths: float) -> Pictures:
    return Pictures([np.zeros((60, 60, 3), np.uint8)] * len(truths), list(truths))


def test_the_numbers_are_those_of_a_hand_computation():
    """Errors 2/10, -5/20, 0/5 and 10/10: mean 0.3625, median 0.225, MAE 4.25, bias 0.2375; then 1/2."""
    counter = Says(12, 15, 5, 20, 3)
    found = run(
        counter, {"first": lambda: blank(10, 20, 5, 10), "second": lambda: blank(2)}, peer=Says(10, 20, 5, 0, 2)
    )
    first, second, mean, every = found.scores
    assert first == Score("first", 4, 11.25, pytest.approx(0.3625), pytest.approx(0.225), 4.25, pytest.approx(0.2375))
    assert second == Score("second", 1, 2, 0.5, 0.5, 1, 0.5)
    assert every == Score("all pictures", 5, 9.4, *(pytest.approx(v) for v in (0.39, 0.25, 3.6, 0.29)))
    assert (mean.pictures, mean.relative, mean.middle) == (5, pytest.approx(0.43125), pytest.approx(0.3625))
    assert [score.relative for score in found.peer] == [0.25, 0, 0.125, 0.2]
    assert counter.shown == [3] * 5
    assert [p.count for p in found.everything.per_image] == [12, 15, 5, 20, 3]
    assert [s["name"] for s in found.to_dict()["sets"]] == ["first", "second", "mean of the sets", "all pictures"]


def test_a_second_mean_leaves_the_later_sets_out(monkeypatch):
    monkeypatch.setattr(generalisation, "LATER", ("second",))
    found = run(Says(12, 15, 3), {"first": lambda: blank(10, 20), "second": lambda: blank(2)})
    means = {score.name: score.relative for score in found.scores}
    assert means["mean without the later sets"] == means["first"] != means["mean of the sets"]


def test_empty_pictures_count_for_the_absolute_error_only():
    (score, *_) = run(Says(3, 4), {"x": lambda: blank(0, 5)}).scores
    assert (score.pictures, score.mae, score.relative) == (2, 2.0, pytest.approx(0.2))


def test_a_limit_is_of_each_set():
    found = run(Says(1, 1), {"a": lambda: blank(1, 1, 1), "b": lambda: blank(1, 1)}, limit=1)
    assert [score.pictures for score in found.scores] == [1, 1, 2, 2]
    assert found.peer == ()


def test_the_suite_is_measured_whole_or_not_at_all(tmp_path: Path):
    (tmp_path / "marrow").mkdir()
    with pytest.raises(LikewiseError, match="lacks adipocytes, vgg_cells"):
        sets(tmp_path)


def test_the_suite_holds_what_was_never_trained_on(data_dir: Path):
    opened = sets(data_dir)
    assert {*RENDERED, "marrow", "adipocytes", "vgg_cells", "nuclei"} < set(opened)
    assert not any("red" in name.split() for name in opened)  # blood's red cells are not all boxed
    scenes = opened["rendered, near-twins"]()
    config = scenes.config  # type: ignore[attr-defined]
    assert (config.split, config.twin_share) == ("val", 1.0)
    assert len(opened["adipocytes"]()) == 50  # type: ignore[arg-type]


def test_rendered_groups_are_what_they_are_called():
    for name, config in RENDERED.items():
        from dataclasses import replace

        scene = make_scene(replace(config, side=(256, 256), split="val", emoji=False), 0)
        count = len(scene.of_kind(scene.target))
        assert count >= (20 if "dense" in name else 1)
        assert "everyday" not in name or count <= 30
        assert "receding" not in name or scene.layout in ("ground", "avenue", "stands", "crowd")
        assert "two kinds" not in name or len(scene.names) == 2


def test_photographs_are_there_with_their_boxes():
    data = Photographs()
    assert [(data[i].prompt, data[i].count) for i in range(len(data))] == [("coins", 24)]
    for i in range(len(data)):
        height, width = data[i].size
        assert len(data[i].exemplars) == 3
        assert bool((data[i].exemplars <= torch.tensor([width, height, width, height])).all())


def test_every_box_in_a_crate_is_round_one_counted_fruit(data_dir):
    data = Photographs(GROCERIES, data_dir / "grocery")
    assert {data[i].prompt for i in range(len(data))} >= {"oranges", "avocados", "beets"}
    for i in range(len(data)):
        sample = data[i]
        height, width = sample.size
        assert sample.count == len(set(map(tuple, sample.points.tolist()))) >= 20
        assert bool(((sample.points > 0) & (sample.points < torch.tensor([width, height]))).all())
        for box in sample.exemplars:
            near = (sample.points - (box[:2] + box[2:]) / 2).abs() < (box[2:] - box[:2]) / 4
            assert int(near.all(1).sum()) == 1


def test_mosaics_hold_as_many_faces_as_they_say():
    data = FaceMosaics()
    for i, faces in enumerate(FACES):
        sample = data[i]
        assert sample.count == len(set(map(tuple, sample.boxes.tolist()))) == faces
        assert sample.size == (500, 500)
        boxes = {tuple(box) for box in sample.boxes.tolist()}
        assert {tuple(box) for box in sample.exemplars.tolist()} <= boxes
    # the patch in a face's box is one of the set's hundred faces
    x0, y0 = (int(v) for v in data[0].boxes[0, :2])
    patch = data[0].image[0, y0 : y0 + 50 : 2, x0 : x0 + 50 : 2].numpy() / 255
    differences = np.abs(data.patches - patch).max(axis=(1, 2))
    assert differences.argmin() < 100
    assert differences.min() < 0.01
