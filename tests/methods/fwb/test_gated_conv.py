from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from likewise.methods.fwb.gated_conv import WORTHWHILE, GatedConv


@pytest.mark.parametrize("products", [True, False])
def test_it_is_the_convolution_of_the_scaled_features_and_so_is_its_gradient(products):
    features, gate = torch.randn(5, 6, 8, dtype=torch.float64), torch.rand(6, 8, dtype=torch.float64)
    weight, bias = torch.randn(4, 5, 3, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    gated = GatedConv(features, weight, bias, products=products)
    gate.requires_grad_()
    direct = F.conv2d((features * gate)[None], weight, bias, padding=1)[0]
    found = gated(gate)
    torch.testing.assert_close(found, direct)
    upstream = torch.randn_like(direct)
    ours, theirs = (torch.autograd.grad(out, gate, upstream)[0] for out in (found, direct))
    torch.testing.assert_close(ours, theirs)


def test_products_are_made_where_there_are_many_channels():
    def made(channels):
        return GatedConv(torch.zeros(channels, 4, 4), torch.zeros(2, channels, 3, 3), torch.zeros(2)).products

    assert made(WORTHWHILE - 1) is None
    assert made(WORTHWHILE).shape == (9, 2, 4, 4)
