"""Layers by oneDNN against torch's own, on every path, and "same" padding against TensorFlow's rule as timm has it."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import conv2d_same

from likewise.ops import fused
from likewise.ops.fused import conv2d, linear, same_padding

PLAIN = {"none": lambda x: x, "relu": F.relu, "relu6": F.relu6}
KINDS = {
    "a pixel": {"kernel": 1},
    "three": {"kernel": 3, "padding": (1, 1)},
    "strided": {"kernel": 3, "stride": (2, 2), "padding": (1, 1)},
    "depthwise": {"kernel": 3, "groups": 8, "padding": (1, 1)},
    "groups, uneven": {"kernel": 3, "groups": 2, "stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)},
}


@pytest.mark.parametrize("activation", PLAIN)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_torchs_convolution_and_the_activation_after_it(activation, kind, layout, dtype):
    settings = dict(KINDS[kind])
    side, groups = settings.pop("kernel"), settings.get("groups", 1)
    x = 4 * torch.randn(2, 8, 9, 11, dtype=dtype).contiguous(memory_format=layout)
    weight, bias = torch.randn(16, 8 // groups, side, side, dtype=dtype), torch.randn(16, dtype=dtype)
    for b in (bias, None):
        with torch.inference_mode():
            found = conv2d(x, weight, b, activation=activation, **settings)
        expected = PLAIN[activation](F.conv2d(x, weight, b, **settings))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert expected.min() < 0 or activation != "none"
        assert (expected == 6).any() or activation != "relu6"


def test_what_it_is_given_stays_as_it_was():
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 1, 1)
    before = x.clone()
    with torch.no_grad():
        conv2d(x, weight, activation="relu6")
    assert torch.equal(x, before)


@pytest.mark.parametrize("activation", PLAIN)
def test_gradients_are_torchs(activation):
    leaves = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((1, 2, 5, 4), (3, 2, 3, 3), (3,))]
    assert torch.autograd.gradcheck(lambda *t: conv2d(*t, stride=(2, 1), activation=activation), leaves)


def test_where_torch_has_no_fused_it_is_torchs_convolution(monkeypatch):
    monkeypatch.setattr(fused, "operator", lambda name: None)
    x, weight = torch.randn(1, 3, 5, 5), torch.randn(4, 3, 3, 3)
    with torch.no_grad():
        assert torch.equal(conv2d(x, weight, activation="relu"), F.relu(F.conv2d(x, weight)))


@pytest.mark.parametrize("halved", [True, False])
def test_half_precision_is_taken_where_the_processor_has_it(monkeypatch, halved):
    asked = []
    operator = fused.operator("_convolution_pointwise")
    if operator is None or (halved and torch.bfloat16 not in fused._precisions()):
        pytest.skip("oneDNN does not compute in bfloat16 here")
    monkeypatch.setattr(fused, "operator", lambda name: lambda *args: asked.append(name) or operator(*args))
    monkeypatch.setattr(fused, "_precisions", lambda: (torch.float32, torch.bfloat16) if halved else (torch.float32,))
    x, weight = torch.randn(1, 8, 9, 9).bfloat16(), torch.randn(16, 8, 3, 3).bfloat16()
    with torch.no_grad():
        found = conv2d(x, weight, activation="relu")
    assert len(asked) == halved
    torch.testing.assert_close(found.float(), F.relu(F.conv2d(x.float(), weight.float())), rtol=2e-2, atol=2e-2)


def test_mixed_precision_is_left_to_torch():
    x, weight = torch.randn(1, 3, 5, 5), torch.randn(4, 3, 3, 3)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv2d(x, weight).dtype == torch.bfloat16


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 2)])
def test_same_padding_is_tensorflows(kernel, stride):
    weight = torch.randn(4, 3, kernel, kernel, dtype=torch.float64)
    for size in itertools.product((6, 7, 8, 9), (5, 10)):
        x = torch.randn(1, 3, *size, dtype=torch.float64)
        grown, padding = same_padding(weight, size, stride)
        torch.testing.assert_close(F.conv2d(x, grown, None, stride, padding), conv2d_same(x, weight, None, stride))


LINEAR = {"none": lambda x: x, "gelu": F.gelu, "silu": F.silu}


@pytest.mark.parametrize("activation", LINEAR)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 5, 7), (0, 7), (2, 1, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_torchs_layer(activation, bias, shape, dtype):
    x, weight = torch.randn(shape, dtype=dtype), torch.randn(4, 7, dtype=dtype)
    b = torch.randn(4, dtype=dtype) if bias else None
    with torch.inference_mode():
        found = linear(x, weight, b, activation)
    torch.testing.assert_close(found, LINEAR[activation](F.linear(x, weight, b)))


def test_views_and_parts_of_weights_are_read_rightly():
    x, weight, bias = torch.randn(5, 3, 8).transpose(0, 1), torch.randn(12, 8), torch.randn(12)
    with torch.no_grad():
        torch.testing.assert_close(linear(x, weight[4:], bias[4:]), F.linear(x, weight[4:], bias[4:]))
        torch.testing.assert_close(linear(x[:, :, ::2], weight[:, :4]), F.linear(x[:, :, ::2], weight[:, :4]))


@pytest.mark.parametrize("activation", LINEAR)
def test_gradients_of_the_layer_are_torchs(activation):
    leaves = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((3, 5), (4, 5), (4,))]
    assert torch.autograd.gradcheck(lambda *t: linear(*t, activation), leaves)


def test_where_torch_has_no_fused_it_is_torchs_layer(monkeypatch):
    monkeypatch.setattr(fused, "operator", lambda name: None)
    x, weight = torch.randn(3, 5), torch.randn(4, 5)
    with torch.no_grad():
        assert torch.equal(linear(x, weight, None, "silu"), F.silu(F.linear(x, weight)))
