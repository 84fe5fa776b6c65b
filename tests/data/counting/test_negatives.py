"""Negatives for training: boxes of other kinds inside the crop, or of ground where nothing is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.data.counting.collate import collate
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.negatives import TWIN, choose_negatives, empty_ground
from likewise.data.counting.sample import CountSample, Others
from likewise.data.counting.transforms import Crop, TrainCrop
from likewise.data.infinite import MixedDataset

RED, BLUE, GREEN = (230, 20, 20), (20, 20, 230), (20, 210, 20)
KINDS = {1: ("red disc", RED), 2: ("blue disc", BLUE), 3: ("green star", GREEN)}
CROP = Crop(size=128, object_size=16.0, box_jitter=0.0, look=None, reflect=0.0, negatives=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A picture with squares of three colours, two of which go by the same name but for the colour."""
    root = tmp_path_factory.mktemp("set")
    picture = np.full((240, 300, 3), 128, np.uint8)
    notes = []
    for i in range(60):
        x, y, kind = 10 + 28 * (i % 10), 10 + 38 * (i // 10), 1 + i % 3
        picture[y : y + 14, x : x + 16] = KINDS[kind][1]
        visible = 0.5 if i == 1 else 1.0
        notes.append({"id": i, "image_id": 1, "category_id": kind, "bbox": [x, y, 16, 14], "visible": visible})
    Image.fromarray(picture).save(root / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": notes,
        "categories": [{"id": i, "name": name} for i, (name, _) in KINDS.items()],
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def test_a_folder_knows_the_boxes_of_the_other_kinds_and_which_are_twins(folder):
    sample = CountingFolder(folder, category="red disc", targets="all")[0]
    assert sample.others is not None
    assert len(sample.points) == 20
    assert len(sample.others.boxes) == 40
    assert sample.others.boxes[0].tolist() == [38, 10, 54, 24]
    # a blue disc half hidden, a green star, then blue and green in turn
    assert sample.others.weights[:4].tolist() == [0.25 * TWIN, 1.0, TWIN, 1.0]


def test_negatives_of_a_crop_lie_in_it_and_show_other_kinds(folder):
    data = MixedDataset([CountingFolder(folder, targets="all")], None, 3, TrainCrop(CROP))
    colours = torch.tensor([colour for _, colour in KINDS.values()]).float()
    numbers = set()
    for index in range(40):
        sample = data[index]
        numbers.add(len(sample.negatives))
        shown = {kind(sample, box, colours) for box in sample.exemplars}
        assert len(shown) == 1
        for box in sample.negatives:
            assert 0 <= float(box.min()) <= float(box.max()) <= 128
            assert kind(sample, box, colours) not in shown
    assert numbers == {1, 2, 3}


def kind(sample: CountSample, box: torch.Tensor, colours: torch.Tensor) -> int:
    """Which colour the box is full of."""
    x0, y0, x1, y1 = (round(v) for v in box.tolist())
    inside = sample.image[:, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].float().mean((1, 2))
    distance = (colours - inside).abs().amax(1)
    assert float(distance.min()) < 30
    return int(distance.argmin())


def test_twins_are_shown_more_often(folder):
    sample = CountingFolder(folder, category="red disc", targets="all")[0]
    rng, whole = np.random.default_rng(0), np.array([0.0, 0, 300, 240])
    found = np.concatenate([choose_negatives(sample, whole, 1, rng) for _ in range(600)])
    columns, rows = ((found[:, axis] - 10) / step for axis, step in enumerate((28, 38)))
    twins = float(((columns + 10 * rows) % 3 == 1).mean())
    assert twins == pytest.approx(TWIN / (TWIN + 1), abs=0.05)


def test_a_probability_of_zero_changes_no_crop(folder):
    sample = CountingFolder(folder, targets="all")[0]
    plain = TrainCrop(replace(CROP, negatives=0.0))(sample, np.random.default_rng(5))
    alone = TrainCrop(replace(CROP, negatives=0.0))(replace(sample, others=None), np.random.default_rng(5))
    assert torch.equal(plain.image, alone.image)
    assert torch.equal(plain.exemplars, alone.exemplars)
    assert len(plain.negatives) == 0
    assert plain.others is None


def test_they_are_shown_as_often_as_asked(folder):
    crop = TrainCrop(replace(CROP, negatives=0.3))
    sample = CountingFolder(folder, targets="all")[0]
    shown = [len(crop(sample, np.random.default_rng(i)).negatives) > 0 for i in range(300)]
    assert np.mean(shown) == pytest.approx(0.3, abs=0.08)


def test_empty_ground_touches_nothing_that_is_counted():
    boxes = torch.tensor([[x, y, x + 20, y + 16] for x in range(0, 200, 50) for y in range(0, 200, 40)]).float()
    boxes[0] = torch.nan  # one has a point only
    points = torch.cat([torch.tensor([[10.0, 8]]), (boxes[1:, :2] + boxes[1:, 2:]) / 2])
    sample = CountSample(torch.zeros(3, 200, 200, dtype=torch.uint8), points, boxes, boxes[1:2])
    window, exemplars = np.array([20.0, 10, 190, 180]), np.array([[50.0, 0, 70, 16]])
    rng = np.random.default_rng(0)
    found = np.concatenate([empty_ground(sample, exemplars, window, 2, rng) for _ in range(50)])
    assert len(found) > 50
    assert (found[:, :2] >= window[:2]).all()
    assert (found[:, 2:] <= window[2:]).all()
    sides = found[:, 2:] - found[:, :2]
    assert (sides >= np.array([20, 16]) / 1.5 - 1e-6).all()
    assert (sides <= np.array([20, 16]) * 1.5 + 1e-6).all()
    for x0, y0, x1, y1 in boxes[1:].tolist():
        apart = (found[:, 2] <= x0) | (found[:, 0] >= x1) | (found[:, 3] <= y0) | (found[:, 1] >= y1)
        assert apart.all()
    crowded = replace(sample, points=torch.full((1, 2), 100.0), boxes=torch.tensor([[0.0, 0, 200, 200]]))
    assert len(empty_ground(crowded, exemplars, window, 2, rng)) == 0


def test_a_batch_carries_negatives_only_where_they_are_wanted(folder):
    sample = CountingFolder(folder, targets="all")[0]
    samples = [TrainCrop(replace(CROP, negatives=p))(sample, np.random.default_rng(1)) for p in (1.0, 0.0)]
    assert collate(samples).prompt.negatives is None
    negatives = collate(samples, negatives=True).prompt.negatives
    assert negatives is not None
    assert torch.equal(negatives[0], samples[0].negatives)
    assert negatives[1].shape == (0, 4)


def test_a_window_without_other_kinds_gives_none():
    others = Others(torch.tensor([[0.0, 0, 10, 10], [45, 45, 60, 60]]), torch.ones(2))
    sample = CountSample(
        torch.zeros(3, 80, 80, dtype=torch.uint8),
        torch.zeros(0, 2),
        torch.zeros(0, 4),
        torch.zeros(0, 4),
        others=others,
    )
    window = np.array([5.0, 5, 50, 50])
    assert len(choose_negatives(sample, window, 3, np.random.default_rng(0))) == 0
    assert len(choose_negatives(sample, window + 40, 3, np.random.default_rng(0))) == 1
