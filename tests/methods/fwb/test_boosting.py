from __future__ import annotations

import math

import pytest
import torch

from likewise.methods.fwb.boosting import boost, overlap


def linear(rows):
    """A picture of which each pixel's margin is a linear function of the class vector."""
    return lambda vector: rows @ vector


def test_experts_are_adams_steps_by_hand():
    rows, start = torch.randn(4, 6, 3), torch.randn(3)
    mask = torch.rand(4, 6) > 0.5
    experts, weights = boost(start, [(linear(rows), mask)], steps=3, lr=0.05)
    vector, first, second = start.double(), torch.zeros(3).double(), torch.zeros(3).double()
    for step in range(4):
        torch.testing.assert_close(experts[step].double(), vector, rtol=1e-4, atol=1e-5)
        margin = rows.double() @ vector
        found = margin > 0
        assert float(weights[step]) == pytest.approx(float((found & mask).sum() / (found | mask).sum()))
        slope = ((margin.sigmoid() - mask.double())[..., None] * rows.double()).mean((0, 1))
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        up, down = first / (1 - 0.9 ** (step + 1)), (second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
        vector = vector - 0.05 * up / down


def test_several_shots_add_their_errors_and_share_the_weight():
    rows, start = torch.randn(2, 4, 6, 3), torch.randn(3)
    masks = torch.rand(2, 4, 6) > 0.5
    pair = [(linear(r), m) for r, m in zip(rows, masks, strict=True)]
    together, weights = boost(start, pair, steps=2, lr=0.05)
    joined, _ = boost(start, [(linear(rows.flatten(0, 1)), masks.flatten(0, 1))], steps=2, lr=0.05)
    torch.testing.assert_close(together, joined, rtol=1e-4, atol=1e-5)  # Adam's step has no scale
    singles = [boost(start, [shot], steps=0, lr=0.05)[1] for shot in pair]
    assert float(weights[0]) == pytest.approx(float(sum(singles)) / 2)


def test_without_any_overlap_all_experts_weigh_the_same():
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[1, 1] = True
    _, weights = boost(torch.ones(2), [(linear(torch.full((3, 3, 2), -50.0)), mask)], steps=2, lr=1e-3)
    assert weights.tolist() == [1, 1, 1]


def test_it_works_inside_inference_mode():
    rows, mask = torch.randn(4, 6, 3), torch.rand(4, 6) > 0.5
    with torch.inference_mode():
        experts, _ = boost(torch.ones(3), [(linear(rows), mask)], steps=2, lr=0.1)
    assert math.isclose(float((experts[1] - experts[0]).abs().max()), 0.1, rel_tol=1e-2)


def test_overlap_of_nothing_with_nothing_is_nothing():
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    assert float(overlap(nothing, nothing)) == 0
