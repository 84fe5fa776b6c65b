"""A deformable convolution is the ordinary one until its offsets move, whatever kind of convolution it was."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.std_conv import ScaledStdConv2d
from torch import nn

from likewise.errors import LikewiseError
from likewise.nn.deform import DeformableConv2d, places_read

KINDS = {
    "plain": lambda: nn.Conv2d(4, 6, 3, padding=1),
    "strided": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
    "dilated": lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 5, padding=2, groups=4),
    "oblong": lambda: nn.Conv2d(4, 6, (1, 5), stride=(2, 1), padding=(0, 2)),
    "unpadded": lambda: nn.Conv2d(4, 6, 3, padding="valid"),
    "same, even kernel": lambda: nn.Conv2d(4, 6, 4, padding="same"),
    "mirrored border": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    "around the edge": lambda: nn.Conv2d(4, 6, 3, padding=(1, 2), padding_mode="circular"),
    "TensorFlow's same": lambda: Conv2dSame(4, 6, 3, stride=2),
}


@pytest.fixture(params=KINDS)
def conv(request):
    return KINDS[request.param]().double()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's, of its own convolution
@pytest.mark.parametrize("modulated", [False, True])
def test_it_starts_as_the_convolution_it_was(conv, modulated):
    x = torch.randn(2, 4, 9, 12, dtype=torch.float64)
    made = DeformableConv2d(conv, modulated=modulated)
    torch.testing.assert_close(made(x), conv(x), rtol=1e-12, atol=1e-12)
    assert made.weight is conv.weight
    assert made.bias is conv.bias


@pytest.mark.parametrize("groups", [1, 2])
def test_moved_it_is_torchvisions_operator_on_the_padded_input(conv, groups):
    made = DeformableConv2d(conv, modulated=True, offset_groups=groups)
    nn.init.normal_(made.offsets.weight, std=0.1)
    x = torch.randn(1, 4, 9, 12, dtype=torch.float64)
    left, right, top, bottom = made.margins(9, 12)
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    padded = nn.functional.pad(x, (left, right, top, bottom), mode=mode)
    out = nn.functional.conv2d(padded, made.offsets.weight, made.offsets.bias, conv.stride, 0, conv.dilation)
    offset, mask = out[:, : 2 * made.samples], 2 * out[:, 2 * made.samples :].sigmoid()
    expected = torchvision.ops.deform_conv2d(
        padded, offset, conv.weight, conv.bias, conv.stride, (0, 0), conv.dilation, mask
    )
    assert mask.shape[1] == made.samples == groups * conv.kernel_size[0] * conv.kernel_size[1]
    # the operator's own zero padding and a border of zeros differ nowhere: outside both there are zeros
    torch.testing.assert_close(made(x), expected, rtol=1e-10, atol=1e-10)


def test_every_parameter_has_a_gradient_from_the_start(conv):
    made = DeformableConv2d(conv, modulated=True)
    made(torch.randn(2, 4, 9, 12, dtype=torch.float64)).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert float(parameter.grad.abs().sum()) > 0, name


def test_under_autocast_it_is_near_and_learns():
    conv = nn.Conv2d(8, 8, 3, padding=1)
    made, x = DeformableConv2d(copy.deepcopy(conv)), torch.randn(2, 8, 10, 10)
    with torch.autocast("cpu", torch.bfloat16):
        out = made(x.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), conv(x), rtol=0.05, atol=0.05)
    out.float().square().sum().backward()
    assert float(made.offsets.weight.grad.abs().sum()) > 0


def test_what_computes_more_than_a_convolution_is_refused():
    with pytest.raises(LikewiseError, match="ScaledStdConv2d is no ordinary convolution"):
        DeformableConv2d(ScaledStdConv2d(4, 6, 3))
    with pytest.raises(LikewiseError, match="DeformableConv2d is no ordinary"):
        DeformableConv2d(DeformableConv2d(nn.Conv2d(4, 6, 3)))
    with pytest.raises(LikewiseError, match="offset_groups = 3: expected a divisor of 4 channels"):
        DeformableConv2d(nn.Conv2d(4, 6, 3), offset_groups=3)


def test_places_read_are_those_with_a_gradient(conv):
    made = DeformableConv2d(conv)
    nn.init.normal_(made.offsets.weight, std=0.3)
    x = torch.randn(1, 4, 9, 12, dtype=torch.float64)
    offset, _ = made.field(x)
    unit = (offset.shape[2] // 2, offset.shape[3] // 2)
    made.field = lambda _: (offset.detach(), None)
    made._split = lambda _: (offset.detach(), None)  # the places alone, not what the offsets see
    x.requires_grad_()
    made(x)[0, :, unit[0], unit[1]].sum().backward()
    places, weights = places_read(made, x.detach(), torch.tensor([unit], dtype=torch.float64))
    reached = torch.zeros(9, 12, dtype=torch.bool)
    if conv.padding_mode != "zeros":
        return  # a border that repeats the picture has no place of its own
    for row, column in places[0]:
        for r in (int(row.floor()), int(row.floor()) + 1):
            for c in (int(column.floor()), int(column.floor()) + 1):
                if 0 <= r < 9 and 0 <= c < 12:
                    reached[r, c] = True
    assert torch.equal(x.grad[0].abs().sum(0) > 0, reached)
    assert float(weights.sum()) <= 1 + 1e-9
