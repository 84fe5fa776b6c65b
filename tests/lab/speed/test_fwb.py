"""That the benchmark of fwb compares with what computes the same."""

from __future__ import annotations

from dataclasses import replace

import torch

from likewise.lab.speed import fwb
from likewise.methods.fwb import FWB, FWB_LITE


def small():
    torch.manual_seed(0)
    return FWB(replace(FWB_LITE.config, boosting=3, vote="soft")).eval()


def test_the_loop_gives_what_boosting_gives_and_looks_again_only_when_asked(monkeypatch):
    model, (query, support) = small(), fwb.problem((48, 40), 2)
    looked = []
    look = fwb._look
    monkeypatch.setattr(fwb, "_look", lambda *given: looked.append(1) or look(*given))
    for again, times in ((False, 1), (True, 5)):
        looked.clear()
        torch.testing.assert_close(
            fwb.loop(model, query, support, again=again), fwb.score(model, query, support), rtol=0, atol=1e-3
        )
        assert len(looked) == times
    assert not model.training


def test_a_quick_run_has_every_row_of_the_lite_model(monkeypatch):
    name, (config, size) = list(fwb.PROBLEMS.items())[-1]
    monkeypatch.setitem(fwb.PROBLEMS, name, (replace(config, boosting=2), size))
    monkeypatch.setattr(fwb, "SHOTS", (1, 2))
    rows = list(fwb.compare(1, quick=True))
    assert [row.what for row in rows] == ["fwb-lite, K = 1, N = 2"] * 3 + ["fwb-lite, K = 2, N = 2"] * 3
    assert all(row.ratio > 0 for row in rows)
    assert all(row.error <= row.tolerance for row in rows if row.error is not None)
