"""The entropy gate, response maps and peaks against their definitions, class by class and cell by cell."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from likewise.ops.response_peaks import class_response, entropy_gate, response_peaks


def slow_gate(logits: list[float], top: int, threshold: float) -> list[float]:
    high = max(logits)
    whole = sum(math.exp(v - high) for v in logits)
    p = [math.exp(v - high) / whole for v in logits]
    best = sorted(range(len(p)), key=lambda c: -p[c])[:top]
    entropy = sum(p[c] * math.log(p[c]) if p[c] > 0 else 0.0 for c in best)
    chosen = best[:1] if entropy > threshold else best
    return [1 / len(chosen) if c in chosen else 0.0 for c in range(len(p))]


@pytest.mark.parametrize("scale", [0.3, 2.0, 5.0, 40.0, 2000.0])
def test_the_gate_is_that_of_the_definition(scale):
    logits = torch.randn(6, 12) * scale
    expected = torch.tensor([slow_gate(row, 5, -0.2) for row in logits.tolist()])
    torch.testing.assert_close(entropy_gate(logits), expected)


def test_a_probability_of_zero_adds_nothing():
    logits = torch.tensor([[0.0, -1e4, -1e4, -1e4, -1e4, -1e4]])
    assert entropy_gate(logits).tolist() == [[1.0, 0, 0, 0, 0, 0]]


def test_both_branches_are_taken_and_few_classes_are_enough():
    logits = torch.tensor([[9.0, 0, 0], [0.2, 0.1, 0]])
    torch.testing.assert_close(entropy_gate(logits), torch.tensor([[1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3]]))
    assert entropy_gate(torch.zeros(2, 1)).tolist() == [[1.0], [1.0]]


def test_the_response_is_the_mean_of_the_chosen_classes_maps():
    features, weight, logits = torch.randn(3, 8, 4, 6), torch.randn(7, 8), torch.randn(3, 7)
    shares = entropy_gate(logits)
    got = class_response(features, weight, shares, (9, 11))
    for b in range(3):
        maps = [
            F.interpolate(
                sum(weight[c, d] * features[b, d] for d in range(8))[None, None], (9, 11), mode="bilinear",
                align_corners=True,
            )[0, 0]
            for c in range(7)
            if shares[b, c]
        ]  # fmt: skip
        mean = torch.stack(maps).mean(0)
        torch.testing.assert_close(got[b], (mean - mean.min()) / (mean.max() - mean.min()), rtol=1e-4, atol=1e-5)


def test_a_flat_response_is_zero_and_has_no_peak():
    features = torch.full((2, 4, 3, 3), 0.37)
    features[1, :, 1, 1] = 2.0
    response = class_response(features, torch.rand(5, 4), entropy_gate(torch.zeros(2, 5)), (31, 31))
    assert bool((response[0] == 0).all())
    assert response_peaks(response).sum((1, 2)).tolist() == [0, 1]
    assert response_peaks(response)[1, 15, 15]


def test_peaks_are_those_of_the_loop():
    response = torch.rand(4, 9, 12)
    got = response_peaks(response)
    for b in range(4):
        mean = response[b].mean()
        for i in range(9):
            for j in range(12):
                around = response[b, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
                expected = bool(response[b, i, j] >= around.max()) and bool(response[b, i, j] >= mean)
                assert bool(got[b, i, j]) == expected


def test_peaks_on_the_border_count():
    response = torch.zeros(1, 5, 5)
    response[0, 0, 0] = response[0, 4, 2] = 1.0
    assert response_peaks(response)[0].nonzero().tolist() == [[0, 0], [4, 2]]
