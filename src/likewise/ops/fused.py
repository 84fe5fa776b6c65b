"""oneDNN's fused operators: a layer and its activation in one pass, the values still in cache.

torch holds oneDNN but asks it for layers alone, multiplies float32 matrices with the BLAS it was built with, which is
slower on some processors (docs/benchmarks.md), and moves a map through memory once more to clamp it or to put a border
round it: a narrow network on large pictures spends its time there. Results differ from torch's by rounding only.
Where a gradient is wanted, on other devices, when a graph is exported and where torch has no oneDNN, they are torch's
own layer and the activation after it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LinearActivation = Literal["none", "gelu", "silu"]
ConvActivation = Literal["none", "relu", "relu6"]
#: oneDNN's names: the activation, its numbers and its algorithm ("none" is the exact GELU, with erf).
_FUSED: dict[str, tuple[str, list[float], str]] = {
    "none": ("none", [], ""),
    "gelu": ("gelu", [], "none"),
    "silu": ("swish", [], ""),
    "relu": ("relu", [], ""),
    "relu6": ("hardtanh", [0, 6], ""),
}
_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": lambda x: F.relu(x, inplace=True),
    "relu6": lambda x: F.relu6(x, inplace=True),
}


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: LinearActivation = "none") -> Tensor:
    """``activation(x weight^T + bias)``.

    Args:
        x: (..., I).
        weight: (O, I).
        bias: (O,), or None.
        activation: applied to every value: nothing, the exact GELU, or x sigmoid(x).

    Returns:
        (..., O).
    """
    fused = operator("_linear_pointwise")
    if fused is None or not takes(x, weight):
        return _PLAIN[activation](F.linear(x, weight, bias))
    name, numbers, algorithm = _FUSED[activation]
    return fused(x, weight, bias, name, numbers, algorithm)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    activation: ConvActivation = "none",
) -> Tensor:
    """``activation(conv2d(x, weight, bias))``, with the arguments of `torch.nn.functional.conv2d`.

    Args:
        x: (B, C, H, W).
        weight: (O, C / groups, kh, kw).
        bias: (O,), or None.
        stride: down, across.
        padding: zeros above and below, left and right.
        dilation: down, across.
        groups: of channels.
        activation: applied to every value: nothing, max(x, 0), or that and min(x, 6).

    Returns:
        (B, O, h, w).
    """
    fused = operator("_convolution_pointwise")
    if fused is None or not takes(x, weight):
        return _PLAIN[activation](F.conv2d(x, weight, bias, tuple(stride), tuple(padding), tuple(dilation), groups))
    name, numbers, algorithm = _FUSED[activation]
    return fused(x, weight, bias, list(padding), list(stride), list(dilation), groups, name, numbers, algorithm)


def same_padding(weight: Tensor, size: Sequence[int], stride: Sequence[int]) -> tuple[Tensor, tuple[int, int]]:
    """A kernel and a padding that give what ``weight`` gives with TensorFlow's "same" padding.

    That padding makes ceil(n / stride) places of n, and where it needs an odd number of zeros, the far side has one
    more. torch pads both sides alike; so the kernel gets a first row or column of zeros, which meets the one zero too
    many on the near side.

    Args:
        weight: (O, C, kh, kw), not dilated.
        size: (H, W) of what it is laid over.
        stride: down, across.

    Returns:
        the weight (O, C, kh or kh + 1, kw or kw + 1) and the padding (down, across).
    """
    sides = zip(size, stride, weight.shape[2:], strict=True)
    down, across = (max((math.ceil(n / s) - 1) * s + k - n, 0) for n, s, k in sides)
    if down % 2 or across % 2:
        weight = F.pad(weight, (across % 2, 0, down % 2, 0))
    return weight, ((down + 1) // 2, (across + 1) // 2)


@functools.cache
def operator(name: Literal["_linear_pointwise", "_convolution_pointwise"]) -> Callable[..., Tensor] | None:
    """The fused operator that torch has under this name; None: it has no oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return None
    found: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, name, None)
    return found


def takes(x: Tensor, weight: Tensor) -> bool:
    """Whether the operators take these tensors and nobody has to look behind them."""
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return False
    if torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export() or torch.is_autocast_enabled("cpu"):
        return False
    if x.numel() == 0 or x.device.type != "cpu":
        return False
    return x.dtype == weight.dtype and x.dtype in _precisions()


@functools.cache
def _precisions() -> tuple[torch.dtype, ...]:
    """Those that it computes in on this processor; others, which it refuses, are left to torch's own operators."""
    halved = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return (torch.float32, torch.bfloat16) if halved is not None and halved() else (torch.float32,)
