"""The rank-aware contrastive loss against loops over cells."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from likewise.methods.vlcounter.rank_loss import RANKS, rank_loss


def looped(similarity: list[float], cells: list[float], form: str, temperature: float) -> float:
    """One picture, its density already between 0 and 1."""
    total = 0.0
    for upper, lower in pairwise(RANKS):
        if form == "reference":
            positive = [s if lower < d < upper else 0.0 for s, d in zip(similarity, cells, strict=True)]
            negative = [s if d < lower else 0.0 for s, d in zip(similarity, cells, strict=True)]
            above, below = (sum(math.exp(v) for v in values) for values in (positive, negative))
        else:
            top = upper == 1.0
            above = sum(
                math.exp(s / temperature)
                for s, d in zip(similarity, cells, strict=True)
                if d >= lower and (d < upper or top)
            )
            below = sum(math.exp(s / temperature) for s, d in zip(similarity, cells, strict=True) if d < lower)
        total -= math.log(above / (above + below)) if above else 0.0
    return total


@pytest.mark.parametrize(("form", "temperature"), [("reference", 1.0), ("clean", 1.0), ("clean", 0.1)])
def test_it_is_the_loop(form, temperature):
    torch.manual_seed(0)
    similarity, cells = (draw(3, 1, 6, 6, dtype=torch.float64) for draw in (torch.randn, torch.rand))
    cells[:, 0, 0, 0], cells[:, 0, 0, 1] = 0.0, 1.0
    cells[0, 0, 1, :4] = torch.tensor(RANKS, dtype=torch.float64)
    density = 8 * cells.repeat_interleave(4, 2).repeat_interleave(4, 3)  # exact: some cells lie on a rank
    found = rank_loss(similarity, density, form, temperature)
    expected = [
        looped(s.flatten().tolist(), c.flatten().tolist(), form, temperature)
        for s, c in zip(similarity, cells, strict=True)
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", ["reference", "clean"])
def test_it_pulls_the_similarity_up_where_the_density_is(form):
    cells = torch.tensor([[1.0, 0.9, 0.7, 0.5], [0.3, 0.2, 0.1, 0.0]])
    density = cells[None, None].repeat_interleave(4, 2).repeat_interleave(4, 3)
    similarity = torch.zeros(1, 1, 2, 4, requires_grad=True)
    rank_loss(similarity, density, form).sum().backward()
    assert float(similarity.grad[0, 0, 0, 1]) < 0
    assert bool((similarity.grad[0, 0, 1] > 0).all())


@pytest.mark.parametrize("form", ["reference", "clean"])
def test_a_picture_without_objects_gives_a_finite_loss_and_gradient(form):
    similarity = torch.randn(2, 1, 4, 4, requires_grad=True)
    loss = rank_loss(similarity, torch.zeros(2, 1, 16, 16), form)
    loss.sum().backward()
    assert bool(loss.isfinite().all())
    assert bool(similarity.grad.isfinite().all())
