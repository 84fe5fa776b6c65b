"""FWB's recipes on a tiny set: each runs, goes on where it stopped, and gives what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from likewise.errors import LikewiseError
from likewise.lab.experiments import fwb_clothing
from likewise.recipes import fwb_benchmarks, fwb_lite
from likewise.registry import load_model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Clothing of four folds of one class each, which is a coloured half of each picture, and a random trunk."""
    root = tmp_path_factory.mktemp("data")
    for name in ("clothing/images", "clothing/labels", "weights"):
        (root / name).mkdir(parents=True)
    rng, images = np.random.default_rng(0), []
    for i in range(12):
        pixels = rng.integers(0, 90, (40, 32, 3), dtype=np.uint8)
        label = np.zeros((40, 32), np.uint8)
        for side in (0, 1):
            kind = 2 * side + i % 2
            label[:, 16 * side : 16 * side + 12] = kind + 1
            pixels[:, 16 * side : 16 * side + 12, kind % 3] += 120
        Image.fromarray(pixels).save(root / f"clothing/images/{i}.png")
        Image.fromarray(label).save(root / f"clothing/labels/{i}.png")
        shares = {str(k): float((label == k).mean()) for k in range(5)}
        record = {"image": f"images/{i}.png", "label": f"labels/{i}.png", "class_fraction": shares}
        images.append(record | {"split": "val" if i > 7 else "train"})
    folds = [{"fold": f, "novel": [{"id": f + 1, "name": f"kind {f}"}], "base": []} for f in range(4)]
    (root / "clothing/index.json").write_text(json.dumps({"images": images}))
    (root / "clothing/folds.json").write_text(json.dumps({"min_fraction": 0.005, "folds": folds}))
    torch.manual_seed(0)
    trunk = timm.create_model("mobilenetv2_100", pretrained=False)
    save_file(trunk.state_dict(), root / "weights/mobilenetv2_100.safetensors")
    return root


def test_the_clothing_table_has_every_row_and_finished_runs_are_not_done_again(data, tmp_path, monkeypatch):
    config = fwb_clothing.FwbClothing(data=data, out=tmp_path, seeds=1, each=1, steps=1, batch_size=1, progress=False)
    monkeypatch.setattr(fwb_clothing, "FWB_LITE", replace(fwb_clothing.FWB_LITE, config=small()))
    path = fwb_clothing.fwb_clothing(config)
    lines = path.read_text().splitlines()
    assert len([line for line in lines if line.startswith("| 1 |")]) == len(fwb_clothing.ROWS) + 1
    assert all(" ± " in cell for line in lines[4:] for cell in line.split("|")[3:8])
    held = json.loads((tmp_path / "fold2_seed0_weighted.json").read_text())
    assert set(held) == {"+ weighting", "+ both"}
    assert set(held["+ both"]["5"]["classes"]) == {"kind 2"}
    _, model = load_model(tmp_path / "fold2_seed0_weighted.safetensors")
    assert model.config.weighting
    for name in ("_train", "CachedFeatures"):
        monkeypatch.setattr(fwb_clothing, name, None)
    assert fwb_clothing.fwb_clothing(config).read_text() == "\n".join(lines) + "\n"


def test_settings_that_a_frozen_trunk_has_no_use_for_are_refused(data):
    with pytest.raises(LikewiseError, match="has no ema"):
        fwb_clothing.FwbClothing(data=data, ema=0.9)


@pytest.mark.parametrize("baseline", [False, True])
def test_fwb_lite_and_its_baseline_train_every_layer(baseline, data, tmp_path, monkeypatch):
    monkeypatch.setattr(fwb_lite, "FWB_LITE", replace(fwb_lite.FWB_LITE, config=small(trunk_rate=0.1)))
    config = fwb_lite.FwbLite(
        data=data, baseline=baseline, out=tmp_path, fold=1, head_steps=1, head_batch=1, crop_size=32, steps=2,
        batch_size=1, warmup=0, lr=1e-2, progress=False,
    )  # fmt: skip
    _, model = load_model(fwb_lite.fwb_lite(config))
    before = load_model(tmp_path / "head.safetensors")[1].state_dict()
    unchanged = [name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])]
    assert unchanged == []
    assert (model.config.weighting, model.config.boosting) == ((False, 0) if baseline else (True, 1))


def small(**changes):
    return replace(fwb_clothing.FWB_LITE.config, hidden=8, projection=16, boosting=1, **changes)


def test_the_benchmarks_are_as_published():
    config = fwb_benchmarks.FwbBenchmark(data="VOC")
    assert (config.optimizer, config.lr, config.batch_size) == ("sgd", 7e-3, 8)
    assert (config.steps, config.crop_size, config.model) == (10_000, 512, "fwb")
