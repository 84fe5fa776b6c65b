"""A convolution with its activation in one pass, by oneDNN; and TensorFlow's "same" padding without a copy.

A narrow network on large pictures spends its time moving maps through memory. Clamping a map is one such trip, and so
is putting a border round it; both can be left to the convolution. Where a gradient is wanted, on other devices, when a
graph is exported and where torch has no oneDNN, it is `torch.nn.functional.conv2d` and the activation after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from likewise.ops import onednn

Activation = Literal["none", "relu", "relu6"]

#: oneDNN's names: the activation and its numbers.
_FUSED: dict[str, tuple[str, list[float]]] = {"none": ("none", []), "relu": ("relu", []), "relu6": ("hardtanh", [0, 6])}
_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": lambda x: F.relu(x, inplace=True),
    "relu6": lambda x: F.relu6(x, inplace=True),
}


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    activation: Activation = "none",
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
    fused = onednn.operator("_convolution_pointwise")
    if fused is None or not onednn.takes(x, weight):
        return _PLAIN[activation](F.conv2d(x, weight, bias, tuple(stride), tuple(padding), tuple(dilation), groups))
    name, numbers = _FUSED[activation]
    return fused(x, weight, bias, list(padding), list(stride), list(dilation), groups, name, numbers, "")


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
