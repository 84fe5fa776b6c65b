"""The layer by oneDNN against torch's own, on every path."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from likewise.ops import onednn
from likewise.ops.linear import linear

PLAIN = {"none": lambda x: x, "gelu": F.gelu, "silu": F.silu}


@pytest.mark.parametrize("activation", PLAIN)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 5, 7), (0, 7), (2, 1, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_torchs_layer(activation, bias, shape, dtype):
    x, weight = torch.randn(shape, dtype=dtype), torch.randn(4, 7, dtype=dtype)
    b = torch.randn(4, dtype=dtype) if bias else None
    with torch.inference_mode():
        found = linear(x, weight, b, activation)
    torch.testing.assert_close(found, PLAIN[activation](F.linear(x, weight, b)))


def test_views_and_parts_of_weights_are_read_rightly():
    x, weight, bias = torch.randn(5, 3, 8).transpose(0, 1), torch.randn(12, 8), torch.randn(12)
    with torch.no_grad():
        torch.testing.assert_close(linear(x, weight[4:], bias[4:]), F.linear(x, weight[4:], bias[4:]))
        torch.testing.assert_close(linear(x[:, :, ::2], weight[:, :4]), F.linear(x[:, :, ::2], weight[:, :4]))


@pytest.mark.parametrize("activation", PLAIN)
def test_gradients_are_torchs(activation):
    leaves = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((3, 5), (4, 5), (4,))]
    assert torch.autograd.gradcheck(lambda *t: linear(*t, activation), leaves)


def test_where_torch_has_no_onednn_it_is_torchs_layer(monkeypatch):
    monkeypatch.setattr(onednn, "operator", lambda name: None)
    x, weight = torch.randn(3, 5), torch.randn(4, 5)
    with torch.no_grad():
        assert torch.equal(linear(x, weight, None, "silu"), F.silu(F.linear(x, weight)))
