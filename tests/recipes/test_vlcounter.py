"""The recipes of VLCounter: as published, and run from data to weights that count."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

pytest.importorskip("lightning", reason="training needs the [train] extra")

from likewise.methods.vlcounter import Config
from likewise.nn.clip import ClipConfig
from likewise.predict import load
from likewise.recipes import vlcounter_fsc147 as published

TINY = ClipConfig(
    image_size=64,
    image_width=32,
    image_layers=6,
    image_heads=2,
    text_width=32,
    text_layers=2,
    text_heads=2,
    features=32,
)
QUICK = {"steps": 2, "batch_size": 2, "workers": 0, "progress": False, "accelerator": "cpu"}


def test_vlcounter_fsc147_is_as_published():
    settings = published.VlcounterFsc147(data=Path("FSC147"))
    assert (settings.lr, settings.weight_decay, settings.batch_size, settings.seed) == (1e-4, 1e-2, 1, 42)
    assert settings.steps == 300 * 3659
    assert settings.rate(0) == settings.rate(settings.steps - 1) == 1
    shown = published.augmentation(settings)
    assert (shown.side, shown.vary, shown.mosaic) == (384, 0.4, 0.0)
    assert (settings.row, settings.blend) == ("M5", "paper")


def test_vlcounter_fsc147_runs_on_the_fixture(data_dir, tmp_path, monkeypatch):
    small = Config(clip=TINY, skip_blocks=(4, 3, 2), channels=16, stride=32)
    monkeypatch.setattr(published, "ablated", lambda row: small)
    root = data_dir / "fsc147" / "mini"
    settings = published.VlcounterFsc147(data=root, out=tmp_path, pretrained=False, val_every=2, **QUICK)
    path = published.vlcounter_fsc147(settings)
    assert math.isfinite(load(path).count(torch.zeros(3, 60, 40, dtype=torch.uint8), text="nuclei").count)
    assert (tmp_path / "val.csv").read_text().startswith("step,loss,mae")
    assert load(path).model.config.blend == "paper"
