"""Examples that a text finds by itself, against the cosine with one chosen place."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from likewise.methods.countx.refinement import RefinementHead, similarity_to_matches


def test_the_best_match_is_the_example_where_it_stands_out():
    torch.manual_seed(0)
    stages, logits = [torch.randn(2, c, 5, 7) for c in (6, 9)], torch.randn(2, 1, 5, 7)
    logits[0, 0, 3, 2] = logits[1, 0, 0, 6] = 80.0
    found = similarity_to_matches(stages, logits)
    assert found.shape == (2, 2, 5, 7)
    for row, place in enumerate(((3, 2), (0, 6))):
        for level, stage in enumerate(stages):
            example = stage[row, :, *place]
            expected = F.cosine_similarity(stage[row].flatten(1).T, example[None], dim=1).view(5, 7)
            torch.testing.assert_close(found[row, level], expected, rtol=1e-4, atol=1e-5)


def test_what_fits_alike_is_averaged_and_teaches_the_match_nothing():
    torch.manual_seed(1)
    stage, logits = torch.randn(1, 4, 3, 3, requires_grad=True), torch.zeros(1, 1, 3, 3, requires_grad=True)
    found = similarity_to_matches([stage], logits)
    mean = stage.mean((2, 3))[0]
    expected = F.cosine_similarity(stage[0].flatten(1).T, mean[None], dim=1).view(3, 3)
    torch.testing.assert_close(found[0, 0], expected)
    found.sum().backward()
    assert logits.grad is None
    assert stage.grad.abs().sum() > 0


def test_a_second_look_can_begin_with_the_first_and_learns_what_only_comparison_tells():
    torch.manual_seed(2)
    look = RefinementHead(1)
    look.start_as_identity()
    logits, similarity_maps = torch.randn(4, 1, 6, 6), torch.rand(4, 1, 6, 6)
    torch.testing.assert_close(look(similarity_maps, logits), logits)
    # every picture has an alikeness of its own for what is wanted: only what stands out of the rest tells it
    stands_out = torch.rand(4, 1, 6, 6) > 0.7
    similarity_maps = 0.1 * torch.arange(1.0, 5.0)[:, None, None, None] + 0.1 * stands_out
    optimizer = torch.optim.Adam(look.parameters(), lr=1e-2)
    for _ in range(200):
        loss = F.binary_cross_entropy_with_logits(look(similarity_maps, torch.zeros(4, 1, 6, 6)), stands_out.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(look(similarity_maps, torch.zeros(4, 1, 6, 6)) > 0, stands_out)
