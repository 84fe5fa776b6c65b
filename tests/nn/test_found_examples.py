"""Examples that a text finds by itself, against the cosine with one chosen place."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from likewise.nn.found_examples import alike_found


def test_the_best_match_is_the_example_where_it_stands_out():
    torch.manual_seed(0)
    stages, logits = [torch.randn(2, c, 5, 7) for c in (6, 9)], torch.randn(2, 1, 5, 7)
    logits[0, 0, 3, 2] = logits[1, 0, 0, 6] = 80.0
    found = alike_found(stages, logits)
    assert found.shape == (2, 2, 5, 7)
    for row, place in enumerate(((3, 2), (0, 6))):
        for level, stage in enumerate(stages):
            example = stage[row, :, *place]
            expected = F.cosine_similarity(stage[row].flatten(1).T, example[None], dim=1).view(5, 7)
            torch.testing.assert_close(found[row, level], expected, rtol=1e-4, atol=1e-5)


def test_what_fits_alike_is_averaged_and_teaches_the_match_nothing():
    torch.manual_seed(1)
    stage, logits = torch.randn(1, 4, 3, 3, requires_grad=True), torch.zeros(1, 1, 3, 3, requires_grad=True)
    found = alike_found([stage], logits)
    mean = stage.mean((2, 3))[0]
    expected = F.cosine_similarity(stage[0].flatten(1).T, mean[None], dim=1).view(3, 3)
    torch.testing.assert_close(found[0, 0], expected)
    found.sum().backward()
    assert logits.grad is None
    assert stage.grad.abs().sum() > 0
