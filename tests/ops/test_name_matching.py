"""The matching loss against places counted by hand and plain cross-entropies."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from likewise.ops.name_matching import matching_loss, places_of

ONE = torch.tensor(1.0)


def test_places_are_those_near_a_point():
    shown, none = places_of(torch.tensor([[20.0, 12.0]]), torch.tensor([40.0]), (8, 8), 8)
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    distance = ((columns * 8 + 4 - 20) ** 2 + (rows * 8 + 4 - 12) ** 2).sqrt()
    assert torch.equal(shown, distance <= 12)
    assert torch.equal(none, distance > 36)
    assert not bool((shown & none).any())


@pytest.mark.parametrize("point", [[8.0, 8.0], [3.9, 12.0], [0.0, 0.0]])
def test_the_smallest_object_has_a_place(point):
    assert bool(places_of(torch.tensor([point]), torch.tensor([1.0]), (4, 4), 8)[0].any())


def test_without_objects_every_place_shows_none():
    shown, none = places_of(torch.zeros(0, 2), torch.zeros(0), (3, 5), 8)
    assert not bool(shown.any())
    assert bool(none.all())


def test_the_loss_is_two_cross_entropies():
    torch.manual_seed(1)
    places, names = F.normalize(torch.randn(2, 4, 6, 6), dim=1), F.normalize(torch.randn(2, 4), dim=1)
    points = (torch.tensor([[20.0, 20.0]]), torch.zeros(0, 2))
    sizes = (torch.tensor([20.0]), torch.zeros(0))
    scale, bias = torch.tensor(3.0), torch.tensor(-0.5)
    rivals = torch.tensor([[False, True], [True, False]])
    loss = matching_loss(places, names, points, sizes, rivals, stride=8, scale=scale, bias=bias)
    shown, none = places_of(points[0], sizes[0], (6, 6), 8)
    logits = [(places * name[None, :, None, None]).sum(1) * scale for name in names]
    own = logits[0][0] + bias
    sides = [F.binary_cross_entropy_with_logits(own[m], torch.full_like(own[m], v)) for m, v in ((shown, 1), (none, 0))]
    pair = torch.stack([logits[0][0][shown], logits[1][0][shown]], dim=1)
    others = F.cross_entropy(pair, torch.zeros(len(pair), dtype=torch.long))
    empty = F.binary_cross_entropy_with_logits(logits[1][1] + bias, torch.zeros(6, 6))
    assert torch.allclose(loss, torch.stack([torch.stack(sides).mean() + others, empty]), atol=1e-6)


def test_names_that_are_no_rivals_are_not_told_apart():
    places, names = F.normalize(torch.randn(2, 4, 6, 6), dim=1), F.normalize(torch.randn(2, 4), dim=1)
    points, sizes = (torch.tensor([[20.0, 20.0]]),) * 2, (torch.tensor([20.0]),) * 2
    none = torch.zeros(2, 2, dtype=torch.bool)
    together = matching_loss(places, names, points, sizes, none, stride=8, scale=ONE, bias=ONE)
    alone = [
        matching_loss(
            places[i : i + 1], names[i : i + 1], points[:1], sizes[:1], none[:1, :1], stride=8, scale=ONE, bias=ONE
        )
        for i in range(2)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)


def test_gradients_are_right():
    places, names = torch.randn(2, 3, 4, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    points, sizes = (torch.tensor([[12.0, 12.0]]), torch.zeros(0, 2)), (torch.tensor([9.0]), torch.zeros(0))
    rivals = ~torch.eye(2, dtype=torch.bool)
    given = [t.requires_grad_() for t in (places, names, torch.tensor(2.0).double(), torch.tensor(0.1).double())]

    def loss(places, names, scale, bias):
        return matching_loss(places, names, points, sizes, rivals, stride=8, scale=scale, bias=bias)

    assert torch.autograd.gradcheck(loss, given)
