"""That the benchmark of countx compares two ways to one result."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from likewise.bench import countx
from likewise.methods.countx import Config, CounTX


def test_both_ways_give_the_same_density_and_a_tiny_run_promises_nothing():
    exact, half = countx.compare(1, quick=True)
    assert exact.error is not None
    assert exact.error < countx.TOLERANCE
    assert exact.met
    assert half.error is not None
    assert half.error > exact.error
    assert (exact.aim, half.aim, half.tolerance) == (None, None, None)
    assert "float32" in exact.what
    assert "bfloat16" in half.what


def test_their_way_encodes_the_text_in_each_window(monkeypatch: pytest.MonkeyPatch):
    small = Config(width=32, heads=2, decoder=(16, 16), window=32, decoder_grid=8, stride=16)
    model = CounTX(replace(small, clip=countx.QUICK)).eval()
    calls = []
    encode = countx._text
    monkeypatch.setattr(countx, "_text", lambda tower, text: calls.append(text) or encode(tower, text))
    enabled = torch.backends.mha.get_fastpath_enabled()
    countx.published_way(model, torch.rand(1, 3, 32, 64), "the apples")
    assert calls == ["the apples"] * 3
    assert torch.backends.mha.get_fastpath_enabled() == enabled
