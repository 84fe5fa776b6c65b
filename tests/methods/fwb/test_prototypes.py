from __future__ import annotations

import torch
import torch.nn.functional as F

from likewise.methods.fwb.prototypes import directions, inside_and_outside, mask_on_grid, relevance, resemblance


def test_inside_and_outside_are_plain_means():
    features = torch.randn(2, 5, 4, 6)
    mask = torch.zeros(2, 1, 4, 6)
    mask[0, :, 1:3, 2:5] = 1
    mask[1, :, 0, 0] = 1
    inside, difference = inside_and_outside(features, mask)
    for i in range(2):
        held = mask[i, 0].bool()
        torch.testing.assert_close(inside[i], features[i][:, held].mean(1))
        torch.testing.assert_close(difference[i], features[i][:, held].mean(1) - features[i][:, ~held].mean(1))


def test_a_mask_comes_to_the_grid_by_nearest_neighbour_unless_nothing_of_it_is_left():
    mask = torch.zeros(2, 1, 33, 47)
    mask[0, :, 8:20, 10:30] = 1
    mask[1, :, 5, 7] = 1  # between the samples
    small = mask_on_grid(mask, (5, 6))
    torch.testing.assert_close(small[:1], F.interpolate(mask[:1], (5, 6), mode="nearest"))
    assert float(F.interpolate(mask[1:], (5, 6), mode="nearest").sum()) == 0
    assert small[1].nonzero().tolist() == [[0, 0, 0]] or float(small[1].sum()) > 0


def test_without_background_there_is_no_difference():
    _, difference = inside_and_outside(torch.randn(1, 5, 4, 6), torch.ones(1, 1, 4, 6))
    assert not bool(difference.any())
    torch.testing.assert_close(relevance(difference), torch.full((1, 5), 5**-0.5))


def test_relevance_is_the_best_of_all_unit_vectors():
    phi = torch.randn(3, 7)
    best = relevance(phi)
    torch.testing.assert_close(best.norm(dim=1), torch.ones(3))
    tried = F.normalize(torch.randn(5000, 7), dim=1)
    assert bool((tried @ phi.T <= (best * phi).sum(1) + 1e-6).all())


def test_resemblance_is_a_cosine_over_the_best_places():
    features, vectors = torch.randn(1, 6, 5, 7), torch.randn(1, 2, 6)
    found = resemblance(directions(features), vectors, (5, 7))
    for e in range(2):
        slow = torch.stack(
            [
                torch.stack([F.cosine_similarity(features[0, :, y, x], vectors[0, e], dim=0) for x in range(7)])
                for y in range(5)
            ]
        ).clamp_min(0)
        torch.testing.assert_close(found[0, e], slow / slow.max())
    assert resemblance(directions(features), vectors, (9, 13)).shape == (1, 2, 9, 13)


def test_where_nothing_is_alike_resemblance_is_nothing():
    vector = torch.ones(1, 1, 4)
    assert not bool(resemblance(directions(-torch.ones(1, 4, 3, 3)), vector, (6, 6)).any())
