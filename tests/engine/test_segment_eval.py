"""Evaluation over episodes, and training through the engine, on tiny pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from likewise.data.fewshot.crops import EpisodeCrop, EpisodeCrops, collate_episodes, cropped
from likewise.data.fewshot.episodes import Episodes
from likewise.engine.config import TrainConfig
from likewise.engine.segment_eval import Memory, SegmentMeter, evaluate
from likewise.engine.train import train
from likewise.errors import LikewiseError
from likewise.methods.fwb import FWB, FWB_LITE
from likewise.methods.fwb.support import Levels
from likewise.predict import Segmenter
from likewise.registry import load_model
from likewise.types import SegmentBatch, SupportBatch


class Coloured:
    """Pictures with a rectangle of their class's brightness, and a strip nobody has labelled."""

    def __init__(self):
        self.classes = {0: "dark", 1: "bright"}
        self.pictures = {0: (0, 1, 2), 1: (3, 4, 5)}

    def name(self, index):
        return f"{index}.png"

    def read(self, index, kind):
        image = torch.full((3, 48, 64), 128, dtype=torch.uint8)
        mask = torch.zeros(48, 64, dtype=torch.uint8)
        rows, columns = slice(8 + index, 32 + index), slice(10 + 2 * index, 40 + 2 * index)
        image[:, rows, columns] = 40 if index < 3 else 220
        mask[rows, columns] = 1
        mask[:2] = 255
        return image, mask


class Bright(torch.nn.Module):
    """A made-up network: whatever is of the brightness that the masks show."""

    task = "segment"
    config = FWB_LITE.config

    def __init__(self):
        super().__init__()
        self.looked = 0

    def look(self, images):
        self.looked += len(images)
        return [Levels(i.mean(0), i.mean(0), i.shape[1:]) for i in images]

    def prototype(self, shots):
        return torch.stack([seen.early[mask].mean() for seen, mask in shots]).mean()

    def answer(self, seen, prototype):
        margin = 30 * (0.1 - (seen.early - prototype).abs())
        return torch.stack([-margin, margin])


def test_every_episode_is_measured_once_at_its_own_size():
    episodes = Episodes(Coloured(), 2, length=8)
    network = Bright()
    steps = []
    report = evaluate(Segmenter(network, "bright"), episodes, progress=lambda done, total: steps.append((done, total)))
    assert report.summary()["images"] == len(report.overlaps) == 8
    assert report.summary()["miou"] == pytest.approx(1.0)
    assert steps[-1] == (8, 8)
    assert network.looked == 6  # each picture once
    told = report.to_dict()
    assert told["per_class"] == {"dark": pytest.approx(1.0), "bright": pytest.approx(1.0)}
    assert [p["kind"] for p in told["per_image"]] == ["dark", "bright"] * 4
    assert told["per_image"][0]["image"] not in told["per_image"][0]["support"]


@pytest.mark.parametrize(("support", "shown"), [("mask", 1), ("box", 2), ("click", 2)])
def test_examples_are_shown_as_asked(support, shown):
    """A box or a click is first turned into the thing, which takes the network a prototype more."""

    class Counting(Bright):
        made = 0

        def prototype(self, shots):
            self.made += 1
            return super().prototype(shots)

    network = Counting()
    report = evaluate(Segmenter(network, "bright"), Episodes(Coloured(), 1, length=2), support=support)
    assert network.made == 2 * shown
    assert report.summary()["miou"] == pytest.approx(1.0)
    assert report.summary()["boundary_iou"] == pytest.approx(1.0)


def test_what_a_query_truly_shows_changes_nothing_of_what_is_found():
    """Other truth, same masks: the IoU falls to what the wrong truth gives."""

    class Wrong(Coloured):
        def read(self, index, kind):
            image, mask = super().read(index, kind)
            return image, mask if self.asked != index else 1 - mask.clamp(max=1)

    held = Wrong()
    episodes = Episodes(held, 1, length=1)
    held.asked = episodes.drawn(0).query
    report = evaluate(Segmenter(Bright(), "bright"), episodes)
    assert report.summary()["miou"] == 0


def test_broken_episodes_are_reported_and_when_all_are_the_first_reason_is_given():
    class Broken(Coloured):
        def read(self, index, kind):
            if index == self.bad or self.bad is None:
                raise LikewiseError("damaged")
            return super().read(index, kind)

    held = Broken()
    held.bad = 4
    report = evaluate(Segmenter(Bright(), "bright"), Episodes(held, 1, length=12))
    assert 0 < len(report.errors) < 12
    assert len(report.per_image) == 12 - len(report.errors)
    held.bad = None
    with pytest.raises(LikewiseError, match=r"not one of 4 episodes.*damaged"):
        evaluate(Segmenter(Bright(), "bright"), Episodes(held, 1, length=4))


def test_memory_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr("likewise.engine.segment_eval.KEPT_BYTES", 3 * 2 * 4 * 48 * 64)
    network = Bright()
    memory, segmenter = Memory(), Segmenter(network, "bright")
    for index in (0, 1, 2, 0, 3, 0, 1):
        memory.look(segmenter, index, Coloured().read(index, 0)[0])
    assert network.looked == 5
    assert list(memory.kept) == [3, 0, 1]


def test_crops_are_the_same_every_time_and_examples_show_the_thing():
    crops = EpisodeCrops([Episodes(Coloured(), 2, seed=1)], EpisodeCrop(size=24, scale=(1.0, 3.0), least=0.25))
    for index in range(12):
        one, again = crops[index], crops[index]
        assert torch.equal(one.image, again.image)
        assert one.image.shape == (3, 24, 24)
        assert one.mask.shape == (24, 24)
        assert all(int((mask == 1).sum()) > 0 for _, mask in one.support)
    batch = collate_episodes([crops[0], crops[1]])
    assert batch.image.shape == (2, 3, 24, 24)
    assert batch.mask.dtype == torch.int64
    assert batch.support.masks[1][0].dtype == torch.bool


def test_a_crop_keeps_picture_and_mask_together_and_says_nothing_outside():
    image, mask = Coloured().read(4, 1)
    for seed in range(10):
        crop = EpisodeCrop(size=40, scale=(0.8, 2.0))
        picture, label = cropped(image, mask, crop, np.random.default_rng(seed), example=False)
        bright = picture[0] > 190
        assert float((bright == (label == 1))[label != 255].float().mean()) > 0.93
        black = picture[0] < 30
        assert bool((label[black] == 255).all())


def test_the_meter_adds_up_overlaps():
    logits = torch.zeros(2, 2, 4, 4)
    logits[0, 1, :2] = 1
    logits[1, 1] = 1
    mask = torch.zeros(2, 4, 4, dtype=torch.int64)
    mask[:, :2] = 1
    meter = SegmentMeter()
    meter.add(logits, SegmentBatch(torch.zeros(2, 3, 4, 4), SupportBatch((), ()), mask))
    assert meter.summary()["iou"] == pytest.approx(16 / 24)


def test_the_engine_trains_a_segmenter(tmp_path):
    torch.manual_seed(0)
    model = FWB(replace(FWB_LITE.config, boosting=0, hidden=8, projection=16, trunk_rate=0.1))
    before = {name: p.clone() for name, p in model.named_parameters()}
    data = EpisodeCrops([Episodes(Coloured())], EpisodeCrop(size=32))
    val = EpisodeCrops([Episodes(Coloured(), seed=5, length=2)], EpisodeCrop(size=32))
    settings = {"steps": 2, "batch_size": 2, "val_every": 2, "checkpoint_every": 2, "progress": False, "lr": 1e-2}
    path = train(model, data, val, TrainConfig(**settings, optimizer="sgd"), tmp_path)
    _, loaded = load_model(path)
    assert all(not torch.equal(before[name], p) for name, p in loaded.named_parameters() if name.startswith("head"))
    assert "iou" in (tmp_path / "val.csv").read_text()
