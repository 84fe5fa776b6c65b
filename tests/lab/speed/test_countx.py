"""That the benchmark of countx runs its peer as the authors do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from likewise.lab.speed import countx
from likewise.methods.countx import Config, CounTX


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
