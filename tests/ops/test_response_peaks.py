"""The entropy gate, response maps and peaks against their definitions, class by class and cell by cell."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from likewise.ops.response_peaks import class_response, entropy_gate, response_means, response_peaks


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


def plain_response(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, size: int) -> torch.Tensor:
    """One picture's response by the definition: every class's map, cell by cell of the larger grid."""
    _, h, w = features.shape
    maps = torch.zeros(len(weight), size, size, dtype=features.dtype)
    for c in range(len(weight)):
        small = sum(weight[c, d] * features[d] for d in range(len(features))) + bias[c]
        for i in range(size):
            for j in range(size):
                y, x = i * (h - 1) / (size - 1), j * (w - 1) / (size - 1)
                t, s = min(int(y), h - 2), min(int(x), w - 2)
                a, b = y - t, x - s
                above = (1 - b) * small[t, s] + b * small[t, s + 1]
                maps[c, i, j] = (1 - a) * above + a * ((1 - b) * small[t + 1, s] + b * small[t + 1, s + 1])
    chosen = torch.tensor(slow_gate(maps.mean((1, 2)).tolist(), 5, -0.2), dtype=maps.dtype)
    mixed = (chosen[:, None, None] * maps).sum(0)
    return (mixed - mixed.min()) / (mixed.max() - mixed.min())


def test_where_the_fifth_and_the_sixth_class_are_close_the_maps_means_decide():
    """Random features and classifiers; those are asked for of which the pooled logits would mix other classes."""
    ranked_otherwise = 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        features = torch.rand(1, 6, 4, 5, generator=generator, dtype=torch.float64)
        weight = 0.3 * torch.randn(9, 6, generator=generator, dtype=torch.float64)
        bias = 0.1 * torch.randn(9, generator=generator, dtype=torch.float64)
        pooled = features.mean((2, 3)) @ weight.T + bias
        means = response_means(features, weight, bias, (11, 11))
        best = [set(each[0].topk(5).indices.tolist()) for each in (means, pooled)]
        margin = means[0].sort(descending=True).values[4:6]
        if best[0] == best[1] or float(margin[0] - margin[1]) < 1e-6:
            continue
        ranked_otherwise += 1
        expected = plain_response(features[0], weight, bias, 11)
        ours, other = (class_response(features, weight, entropy_gate(each), (11, 11))[0] for each in (means, pooled))
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
        assert float((other - expected).abs().max()) > 1e-3
    assert ranked_otherwise >= 3


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3), (14, 14), (40, 36)])
def test_means_of_maps_are_those_of_the_maps_themselves(size):
    features, weight, bias = torch.randn(2, 7, *size), torch.randn(5, 7), torch.randn(5)
    maps = torch.einsum("bdhw,cd->bchw", features, weight) + bias[:, None, None]
    expected = F.interpolate(maps, (31, 29), mode="bilinear", align_corners=True).mean((2, 3))
    torch.testing.assert_close(response_means(features, weight, bias, (31, 29)), expected, rtol=1e-4, atol=1e-4)


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
