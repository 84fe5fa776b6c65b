"""That the benchmarks measure what they say: on tiny shapes, where results are compared and speed is not."""

from __future__ import annotations

import math
import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from likewise.lab.speed import app, deform_conv, lite, memory, spdcn
from likewise.lab.speed.deform_conv import QUICK_SHAPES, Problem, relative_error
from likewise.lab.speed.timing import Comparison
from likewise.lab.suite.photographs import many_coins
from likewise.methods.spdcn import SPDCN_PAPER
from likewise.ops.deform.conv2d import active_backend
from likewise.predict import load
from likewise.types import PromptBatch


def check(rows: list[Comparison]) -> None:
    for row in rows:
        assert row.ratio > 0
        assert math.isfinite(row.ratio)
        assert row.aim is None  # tiny shapes promise nothing
        assert row.tolerance is None or row.met
        assert row.threads == 1


def test_deform_conv_agrees_with_torchvision_in_both_passes():
    rows = list(deform_conv.compare(1, quick=True))
    check(rows)
    backends = dict.fromkeys((active_backend(), "torch"))
    expected = [
        (f"deform_conv2d ({backend}), {name}", against)
        for backend in backends
        for name in ("forward", "forward + backward")
        for against in ("torchvision", "conv2d")
    ]
    assert [(row.what, row.against) for row in rows] == expected
    assert all((row.error is not None) == (row.against == "torchvision") for row in rows)


def test_spdcn_lite_counts_the_coins_that_are_timed():
    rows = list(lite.compare(1, quick=True))
    check(rows)
    assert [row.against for row in rows] == ["one look of MobileNetV2"]
    pixels, boxes = many_coins(400, 310, 1.0)
    assert pixels.shape == (310, 400, 3)
    assert load("spdcn-lite").count(pixels, boxes).count == pytest.approx(24, abs=3)
    assert np.mean([math.sqrt((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in boxes]) == pytest.approx(lite.COIN, abs=3)


def test_another_prompt_about_a_picture_is_answered_as_the_first_would_be():
    rows = list(app.compare(1, quick=True))
    check(rows)
    assert [row.what for row in rows] == ["another prompt, spdcn-lite", "another name, countx-lite"]
    assert all(row.error == 0 for row in rows)


def test_the_full_run_asks_for_what_is_promised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deform_conv, "SHAPES", (deform_conv.Shape(8, 12, 6, 12),))
    monkeypatch.setattr(deform_conv, "interleave", lambda mine, theirs, rounds: (1.0, 5.5))
    aims = [row.aim for row in deform_conv.compare(2, quick=False)][:4]
    assert aims[:3] == pytest.approx([5.4, 0.9 / 1.6, 10.8])
    assert aims[3] is None


def test_a_problem_is_the_same_each_time_and_in_the_stated_units():
    shape = deform_conv.Shape(16, 48, 0, 0)
    torch.rand(3)
    first, second = Problem.draw(shape), Problem.draw(shape)
    assert torch.equal(first.offset, second.offset)
    assert float(first.offset.detach().std()) == pytest.approx(2, rel=0.05)
    plain = F.conv2d(first.image, first.weight, padding=1)
    assert plain.shape == first.gradient.shape
    assert float(plain.detach().std()) == pytest.approx(1, rel=0.1)


def test_a_wrong_result_shows_in_the_error():
    problem = Problem.draw(QUICK_SHAPES[0])
    right = deform_conv.forward_backward(deform_conv.torchvisions, problem)
    assert [g.shape for g in right] == [problem.image.shape, problem.offset.shape, problem.weight.shape]
    assert relative_error(right, right) == 0
    assert relative_error([right[0], right[1], 1.01 * right[2]], right) == pytest.approx(0.01, rel=1e-3)


def test_spdcn_gives_the_same_density_with_either_operator():
    (row,) = list(spdcn.compare(1, quick=True))
    check([row])
    assert row.error is not None
    assert row.error < 1e-4
    assert row.against == "spdcn on torchvision"


def test_the_compared_spdcn_reads_two_pixels_off_and_holds_no_operator_of_ours():
    image, prompt = torch.rand(1, 3, 32, 48), PromptBatch(exemplars=(torch.tensor([[2.0, 3.0, 18.0, 17.0]]),))
    model = spdcn.spread_offsets(SPDCN_PAPER.build().eval(), image, prompt)
    spreads: list[float] = []
    for block in model.trunk.scale_priors.values():
        block.conv.register_forward_pre_hook(lambda _, given: spreads.append(float(given[1].std())))
    with torch.inference_mode():
        model(image, prompt)
    assert spreads == pytest.approx([2] * len(spreads), rel=1e-3)
    names = {type(module).__name__ for module in spdcn.on_torchvision(model).trunk.scale_priors.modules()}
    assert "TorchvisionDeformConv2d" in names
    assert "DeformConv2d" in {type(module).__name__ for module in model.modules()}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak before the call cannot be forgotten")
def test_the_peak_is_what_a_call_held_at_most():
    def hold() -> None:
        for mebibytes in (8, 32, 4):
            with mmap.mmap(-1, mebibytes << 20) as fresh:
                fresh[:: memory.PAGE] = bytes(len(fresh) // memory.PAGE)

    assert 31 < memory.peak_above(hold) / 2**20 < 36
    assert memory.peak_above(lambda: None) < 2**20


def test_memory_has_a_row_for_each_pass(monkeypatch: pytest.MonkeyPatch):
    peaks = {"ours": 2 << 20, "torchvision": 3 << 20}
    monkeypatch.setattr(memory, "_peak_of", lambda operator, *_: peaks[operator])
    rows = list(memory.compare(1, quick=True))
    check(rows)
    assert [row.ratio for row in rows] == [1.5, 1.5]
    assert rows[0].note == "2.0 MiB against 3.0 MiB"
    assert [row.aim for row in memory.compare(1, quick=False)] == [1.0] * 8
