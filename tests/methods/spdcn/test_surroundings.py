"""What lies round each place: as far as it says, and no further; nothing before it is trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from likewise.methods.spdcn.decoder import DILATIONS, Surroundings


def trained(channels: int = 6, width: int = 5) -> Surroundings:
    torch.manual_seed(0)
    layer = Surroundings(channels, width).double()
    nn.init.normal_(layer.widen.weight)
    return layer


def test_it_changes_nothing_before_it_is_trained():
    x = torch.randn(2, 6, 9, 11)
    assert torch.equal(Surroundings(6, 4)(x), x)


def test_a_place_sees_seven_cells_far_and_no_further():
    x = torch.rand(1, 6, 41, 41, dtype=torch.float64, requires_grad=True)
    trained()(x)[0, :, 20, 20].sum().backward()
    seen = (x.grad[0].abs().sum(0) > 0).nonzero()
    assert sum(DILATIONS) == 7
    assert seen.min().item() == 20 - 7
    assert seen.max().item() == 20 + 7


def test_it_is_what_plain_sums_make():
    layer, x = trained(), torch.randn(1, 6, 13, 12, dtype=torch.float64)
    seen = torch.einsum("oc,bchw->bohw", layer.narrow.weight[:, :, 0, 0], x) + layer.narrow.bias[:, None, None]
    seen = seen.clamp(min=0)
    for step, apart in zip(layer.steps, DILATIONS, strict=True):
        around, rows, columns = F.pad(seen, (apart,) * 4), seen.shape[2], seen.shape[3]
        summed = torch.zeros_like(seen) + step[0].bias[:, None, None]
        for i in range(3):
            for j in range(3):
                part = around[:, :, i * apart : i * apart + rows, j * apart : j * apart + columns]
                summed = summed + step[0].weight[:, 0, i, j][:, None, None] * part
        mixed = torch.einsum("oc,bchw->bohw", step[1].weight[:, :, 0, 0], summed) + step[1].bias[:, None, None]
        seen = seen + mixed.clamp(min=0)
    expected = x + torch.einsum("oc,bchw->bohw", layer.widen.weight[:, :, 0, 0], seen)
    torch.testing.assert_close(layer(x), expected)


def test_its_gradients_are_right():
    layer = trained(3, 2)
    x = torch.randn(1, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
