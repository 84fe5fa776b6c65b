"""Counts of squares against a plain loop."""

from __future__ import annotations

import pytest
import torch

from likewise.methods.spdcn.block_count import block_count_error, block_counts


@pytest.mark.parametrize(("size", "side"), [((12, 20), 4), ((13, 7), 5), ((3, 3), 8)])
def test_squares_are_counted_one_by_one(size, side):
    density = torch.rand(2, 1, *size, dtype=torch.float64)
    points = tuple(torch.rand(n, 2, dtype=torch.float64) * torch.tensor([size[1], size[0]]) for n in (9, 0))
    counts, errors = block_counts(density, side), []
    for b in range(2):
        error = 0.0
        for i in range(-(-size[0] // side)):
            for j in range(-(-size[1] // side)):
                mass = density[b, 0, i * side : (i + 1) * side, j * side : (j + 1) * side].sum()
                torch.testing.assert_close(counts[b, i, j], mass)
                held = sum(int(x // side) == j and int(y // side) == i for x, y in points[b].tolist())
                error += abs(float(mass) - held)
        errors.append(error / (len(points[b]) + 3))
    torch.testing.assert_close(block_count_error(density, points, side), torch.tensor(errors, dtype=torch.float64))


def test_the_whole_picture_lets_misplaced_mass_cancel_and_squares_do_not():
    density = torch.zeros(1, 1, 8, 8)
    density[0, 0, 0, 0] = 1.0
    points = (torch.tensor([[7.5, 7.5]]),)
    assert block_count_error(density, points).item() == 0
    assert block_count_error(density, points, 4).item() == pytest.approx(2 / 4)


def test_gradient_agrees_with_finite_differences():
    density = torch.rand(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    points = (torch.tensor([[1.2, 3.4], [5.0, 0.3]]),)
    assert torch.autograd.gradcheck(lambda d: block_count_error(d, points, 3), (density,))
