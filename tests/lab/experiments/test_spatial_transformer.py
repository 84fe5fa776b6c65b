"""A spatial transformer starts as its classifier, reads where its map says, and learns to turn a picture back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from likewise.lab.experiments.spatial_transformer import SpatialTransformer


def test_it_starts_as_its_classifier_and_every_parameter_learns_in_time():
    net, x = SpatialTransformer(nn.Flatten()), torch.rand(3, 1, 20, 20)
    torch.testing.assert_close(net(x), x.flatten(1), rtol=1e-5, atol=1e-5)
    assert torch.equal(net.transformation(x), torch.eye(2, 3).expand(3, 2, 3))
    nn.init.normal_(net.affine.weight, std=0.01)  # the layers below it have no gradient through zeros
    net(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_its_map_is_from_the_result_to_the_picture():
    net, x = SpatialTransformer(nn.Identity()), torch.rand(1, 1, 8, 8)
    net.affine.bias.data = torch.tensor([0.0, 1, 0, -1, 0, 0])  # reads at (x, y) = (v, -u): a quarter turn
    torch.testing.assert_close(net(x), x.rot90(-1, (2, 3)), rtol=1e-4, atol=1e-5)
    net.affine.bias.data = torch.tensor([1.0, 0, 0.25, 0, 1, 0])  # one pixel of eight to the right
    torch.testing.assert_close(net(x)[..., :-1], x[..., 1:], rtol=1e-4, atol=1e-5)


def test_it_learns_to_undo_a_shift():
    torch.manual_seed(0)
    x = torch.zeros(1, 1, 16, 16)
    x[..., 5:8, 6:12] = 1
    moved = x.roll((2, -2), (2, 3))
    net = SpatialTransformer(nn.Identity())
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    before = F.mse_loss(net(moved), x).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.mse_loss(net(moved), x)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * before
