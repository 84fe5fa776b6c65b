"""That the benchmark of vlcounter runs its peer as the authors do."""

from __future__ import annotations

import pytest
import torch

from likewise.lab.speed import vlcounter
from likewise.methods.vlcounter import Config, VLCounter


def test_their_way_encodes_the_text_in_each_window(monkeypatch: pytest.MonkeyPatch):
    model = VLCounter(Config(clip=vlcounter.QUICK, channels=16, stride=32, blend="paper")).eval()
    calls = []
    encode = vlcounter._text
    monkeypatch.setattr(vlcounter, "_text", lambda tower, lines: calls.append(len(lines)) or encode(tower, lines))
    enabled = torch.backends.mha.get_fastpath_enabled()
    vlcounter.published_way(model, torch.rand(1, 3, 64, 128), "apple")
    assert calls == [11, 11, 11]
    assert torch.backends.mha.get_fastpath_enabled() == enabled
