"""SPDCN's recipes: what decays, what a run is shown, and where a decoder begins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from likewise.methods.spdcn import SPDCN, SPDCN_LITE, Config
from likewise.methods.spdcn.decoder import density_decoder
from likewise.nn import trunks
from likewise.recipes.spdcn_fsc147 import EPOCH, SpdcnFsc147


def test_one_dimensional_parameters_do_not_decay_as_published(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trunks, "VGG19_WIDTHS", ((4, 4), (4, 4), (6, 6, 6, 6), (8, 8, 8, 8)))
    model, config = SPDCN(Config(channels=8, decoder=((64, 8),))), SpdcnFsc147(data=Path())
    decays = {}
    for group in config.optimizer_for(model.parameter_groups(config.lr)).param_groups:
        assert group["lr"] == 5e-5
        decays |= {id(p): group["weight_decay"] for p in group["params"]}
    for name, p in model.named_parameters():
        assert decays[id(p)] == (0.0 if p.dim() == 1 else 0.95), name


def test_the_small_networks_groups_are_what_they_were():
    model = SPDCN_LITE.build()
    new, slow = model.parameter_groups(1e-3)
    assert set(new) == set(slow) == {"params", "lr"}
    assert (new["lr"], slow["lr"]) == (1e-3, 1e-4)
    assert {id(p) for p in slow["params"]} == {id(p) for p in model.trunk.stages.parameters()}
    assert any(p.dim() == 1 for p in new["params"])


def test_the_rate_falls_by_a_twentieth_an_epoch():
    config = SpdcnFsc147(data=Path())
    rates = [config.rate(step) for step in (0, EPOCH - 1, EPOCH, 10 * EPOCH)]
    assert rates == pytest.approx([1, 1, 0.95, 0.95**10])


@pytest.mark.parametrize("std", [0.005, None])
def test_a_decoder_begins_as_its_config_says(std: float | None):
    torch.manual_seed(0)
    decoder = density_decoder(64, ((256, 1), (256, 8)), std)
    first, last = decoder[0][0], decoder[2]
    assert first.weight.std().item() == pytest.approx(std or (2 / (9 * 64)) ** 0.5, rel=0.02)
    assert [bool((conv.bias == 0).all()) for conv in (first, last)] == [std is not None] * 2
