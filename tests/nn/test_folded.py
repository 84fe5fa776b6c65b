"""Norms and activations that convolutions take over, against the networks that they were apart in."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from likewise.nn.folded import FoldedConv2d, fold_norms

from .test_trunks import randomise_norms


@pytest.mark.parametrize(
    ("name", "padding"),
    [
        ("mobilenetv2_100", "same"),
        ("mobilenetv2_100", ""),
        ("resnet18", ""),
        ("efficientnet_b0", "same"),  # its activation is none that a convolution takes over
    ],
)
@pytest.mark.parametrize("size", [(64, 96), (61, 75)])
def test_folding_changes_nothing_and_leaves_no_norm(name, padding, size):
    given = {"pad_type": padding} if padding else {}
    net = timm.create_model(name, pretrained=False, **given).eval()
    randomise_norms(net)
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        before = net.forward_features(x)
        fold_norms(net)
        torch.testing.assert_close(net.forward_features(x), before, rtol=1e-3, atol=1e-3)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())


def test_activations_of_mobilenetv2_are_all_taken_over():
    net = timm.create_model("mobilenetv2_100", pretrained=False, pad_type="same").eval()
    fold_norms(net)
    assert not any(isinstance(m, nn.ReLU6) for m in net.modules())
    assert {m.activation for m in net.modules() if isinstance(m, FoldedConv2d)} == {"none", "relu6"}


def test_what_is_no_usual_convolution_is_left_as_it_is():
    kinds = (
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 4, 3, padding="same"),
        Conv2dSame(3, 4, 3, dilation=2),
    )
    for conv in kinds:
        net = nn.Sequential(conv, nn.BatchNorm2d(4)).eval()
        x = torch.randn(1, 3, 9, 9)
        before = net(x)
        fold_norms(net)
        assert type(net[0]) is type(conv)
        torch.testing.assert_close(net(x), before)


def test_training_goes_as_without_folding_the_activation_in():
    conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    apart = nn.Sequential(copy.deepcopy(conv), nn.ReLU6())
    together = FoldedConv2d(conv, "relu6")
    x = torch.randn(2, 3, 9, 9)
    for net in (apart, together):
        net(x).square().sum().backward()
    torch.testing.assert_close(together.weight.grad, apart[0].weight.grad)
    torch.testing.assert_close(together.bias.grad, apart[0].bias.grad)
    assert sorted(together.state_dict()) == ["bias", "weight"]


def test_a_folded_convolution_can_be_copied_and_exported():
    net = copy.deepcopy(FoldedConv2d(nn.Conv2d(3, 4, 3), "relu")).eval()
    x = torch.randn(1, 3, 8, 8)
    program = torch.export.export(net, (x,))
    assert not any("mkldnn" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), net(x))
