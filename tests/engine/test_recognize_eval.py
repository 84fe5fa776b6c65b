"""Training and measuring recognisers: batches, metrics by hand, reports, and a run that learns and goes on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs the [train] extra")

from likewise import registry
from likewise.data.images import read_image
from likewise.data.open_dataset import open_named
from likewise.engine.recognize_eval import RankMeter, evaluate
from likewise.errors import LikewiseError
from likewise.metrics import Ranks
from likewise.predict import Recognizer
from likewise.recipes import recipe
from likewise.recipes.s3n_lite import lite_network
from likewise.types import ClassBatch

COLOURS = {"blue": (20, 30, 200), "red": (210, 20, 30)}


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A folder a class: pictures of one colour with some noise."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (root / label).mkdir()
        for i in range(20):
            pixels = np.clip(np.array(colour) + rng.normal(0, 20, (40, 50, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{i}.png")
    return root


def test_ranks_are_counted():
    ranks = Ranks([0, 0, 3, 4, 9])
    assert ranks.summary() == {"top1": pytest.approx(0.4), "top5": pytest.approx(0.8)}
    assert np.isnan(Ranks().top(1))


def test_the_meter_ranks_the_truth_among_the_logits():
    meter = RankMeter()
    logits = torch.tensor([[3.0, 2, 1, 0, -1, -2, -3], [3.0, 2, 1, 0, -1, -2, -3], [0.0, 0, 0, 0, 0, 0, 0]])
    meter.add(SimpleNamespace(logits=logits), ClassBatch(torch.zeros(3, 3, 1, 1), torch.tensor([0, 5, 2])))
    assert meter.ranks.ranks == [0, 5, 0]


class Always:
    """Answers by the colour of the picture, and is sure."""

    labels = ("red", "blue", "green")

    def recognize(self, image):
        r, _, b = read_image(image).mean((0, 1))
        probabilities = np.array([0.9, 0.1, 0.0] if r > b else [0.2, 0.7, 0.1], np.float32)
        label = self.labels[probabilities.argmax()]
        return SimpleNamespace(label=label, known=r < 200, probabilities=probabilities, seconds=0.5)


def test_a_report_has_the_shares_and_the_worst_classes_first(colours, tmp_path):
    report = evaluate(Always(), open_named(colours))
    shares = {"top1": 1.0, "top5": 1.0, "accepted": sum(p.known for p in report.per_image) / 40}
    assert report.summary() == {"images": 40, **shares, "seconds_per_image": 0.5}
    assert 0.5 <= shares["accepted"] < 1  # no red is as dark as blue
    (colours / "red" / "not_red.png").write_bytes((colours / "blue" / "0.png").read_bytes())
    (colours / "red" / "broken.png").write_text("no picture")
    try:
        report = evaluate(Always(), open_named(colours))
    finally:
        (colours / "red" / "not_red.png").unlink()
        (colours / "red" / "broken.png").unlink()
    assert report.per_class() == {"red": pytest.approx(20 / 21), "blue": 1.0}
    assert list(report.per_class()) == ["red", "blue"]
    record = report.to_dict()
    assert record["images"] == 41
    assert [e["image"] for e in record["errors"]] == ["red/broken.png"]
    (wrong,) = [p for p in record["per_image"] if p["rank"]]
    assert (wrong["image"], wrong["truth"], wrong["label"], wrong["rank"]) == ("red/not_red.png", "red", "blue", 1)


def test_what_cannot_be_measured_is_refused(colours):
    with pytest.raises(LikewiseError, match="limit = 0"):
        evaluate(Always(), open_named(colours), 0)
    unknowing = SimpleNamespace(labels=("red", "bluish"), recognize=None)
    with pytest.raises(LikewiseError, match=r"does not know 'blue'.*did you mean 'bluish'"):
        evaluate(unknowing, open_named(colours))
    assert evaluate(Always(), open_named(colours), 3).summary()["images"] == 3


QUICK = {"batch_size": 4, "workers": 0, "progress": False, "accelerator": "cpu", "size": 32, "precision": "32-true"}


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """Random weights under timm's names."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "trunk.safetensors"
    save_file(timm.create_model("mobilenetv2_100", pretrained=False).state_dict(), path)
    return path


def test_a_run_on_named_folders_learns_and_goes_on_where_it_was(colours, trunk, tmp_path):
    lite = recipe("s3n-lite")
    fixed = {**QUICK, "data": colours, "trunk": trunk, "warmup": 0, "ema": 0.0, "lr": 3e-3}
    whole = lite.run(lite.settings(**fixed, steps=12, out=tmp_path / "whole", val_every=6))
    with (tmp_path / "whole" / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"step", "loss", "origin", "complementary", "discriminative", "joined"}
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    with (tmp_path / "whole" / "val.csv").open() as file:
        assert set(next(csv.DictReader(file))) == {"step", "loss", "top1", "top5"}
    recognizer = Recognizer.load(whole)
    assert recognizer.labels == ("blue", "red")
    assert evaluate(recognizer, open_named(colours, "val")).summary()["images"] > 0


def test_the_ablation_keeps_finished_runs_and_refuses_other_settings(colours, trunk, tmp_path, monkeypatch):
    table = recipe("s3n-grocery-ablation")
    (tmp_path / "grocery").symlink_to(colours)
    fixed = {**QUICK, "data": tmp_path, "trunk": trunk, "out": tmp_path / "out", "steps": 1, "batch_size": 2}
    path = table.run(table.settings(**fixed, seeds=1))
    rows = path.read_text().splitlines()
    assert sum(row.startswith("| ") and " % (" in row for row in rows) == 4
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.safetensors")}
    assert len(made) == 4
    assert table.run(table.settings(**fixed, seeds=1)).read_text().splitlines() == rows
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.safetensors")} == made
    with pytest.raises(LikewiseError, match="holds a run with another lr"):
        table.run(table.settings(**{**fixed, "lr": 0.5}, seeds=1))


def test_steps_follow_from_the_epochs(colours, trunk):
    lite = recipe("s3n-lite")
    pictures = len(open_named(colours, "train"))
    assert lite.settings(data=colours, trunk=trunk, epochs=3, batch_size=4).steps == round(3 * pictures / 4)
    assert lite.settings(data=colours, trunk=trunk, steps=7).steps == 7


def test_a_run_starts_from_the_bundled_trunk_or_goes_on_from_other_weights(colours, tmp_path):
    lite = recipe("s3n-lite")
    settings = lite.settings(data=colours, **QUICK, steps=1, out=tmp_path / "first")
    bundled = registry.load_model("s3n-lite")[1]
    started = lite_network(settings, ("blue", "red"))
    for name, tensor in started.trunk.state_dict().items():
        assert torch.equal(tensor, bundled.trunk.state_dict()[name]), name
    assert (started.config.labels, started.config.view.size) == (("blue", "red"), 32)
    weights = lite.run(settings)
    further = lite_network(replace(settings, weights=weights, size=48), ("blue", "red"))
    expected = registry.load_model(weights)[1].state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in further.state_dict().items())
    assert further.config.view.size == 48
    with pytest.raises(LikewiseError, match="does not fit this model"):
        lite_network(replace(settings, weights=weights), ("blue", "green", "red"))


def test_a_trunk_that_is_not_there_is_told(colours, tmp_path):
    lite = recipe("s3n-lite")
    with pytest.raises(LikewiseError, match="no trunk at"):
        lite.run(lite.settings(data=colours, trunk=tmp_path / "gone.safetensors", **QUICK, out=tmp_path / "run"))


@pytest.mark.parametrize(("name", "split"), [("s3n-cub", "train"), ("s3n-aircraft", "trainval"), ("s3n-cars", "train")])
def test_the_published_settings_are_the_published_ones(name, split, colours):
    published = recipe(name)
    settings = published.settings(data=colours, steps=1)
    assert (settings.optimizer, settings.momentum, settings.lr, settings.weight_decay) == ("sgd", 0.9, 1e-2, 1e-4)
    assert (settings.batch_size, settings.epochs, settings.train_split) == (16, 60, split)
    assert "published top-1" in published.about


def test_pack_shots_are_shown_beside_the_photographs_under_their_names(colours, tmp_path):
    shots = tmp_path / "grocery_iconic"
    shots.mkdir()
    for label, colour in COLOURS.items():
        Image.new("RGB", (20, 20), colour).save(shots / f"{label}.png")
    records = [{"image": f"{label}.png", "text": label} for label in reversed(COLOURS)]
    (shots / "index.json").write_text(json.dumps({"images": records}))
    (tmp_path / "grocery").symlink_to(colours)
    pictures = open_named(colours, "train")
    settings = recipe("s3n-lite-grocery").settings(data=tmp_path, steps=1, pack_shots=3)
    shown = settings.shown(pictures)
    assert len(shown) == len(pictures) + 3 * 2
    assert [pictures.labels[shown[len(pictures) + i].target] for i in range(6)] == ["red", "blue"] * 3
    assert replace(settings, pack_shots=0).shown(pictures) is pictures
