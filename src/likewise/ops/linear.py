"""A fully connected layer with its activation in one pass, by oneDNN where torch would take a slower library.

On a CPU torch multiplies float32 matrices with the BLAS it was built with; oneDNN, which torch holds too, does it
faster on some processors (docs/benchmarks.md) and applies the activation to values still in cache. The result differs
by rounding only. Where a gradient is wanted, on other devices, when a graph is exported and where torch has no
oneDNN, it is `torch.nn.functional.linear`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from likewise.ops import onednn

Activation = Literal["none", "gelu", "silu"]
#: oneDNN's names: the activation and its algorithm ("none" is the exact GELU, with erf).
_FUSED = {"none": ("none", ""), "gelu": ("gelu", "none"), "silu": ("swish", "")}
_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "gelu": F.gelu, "silu": F.silu}


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none") -> Tensor:
    """``activation(x weight^T + bias)``.

    Args:
        x: (..., I).
        weight: (O, I).
        bias: (O,), or None.
        activation: applied to every value: nothing, the exact GELU, or x sigmoid(x).

    Returns:
        (..., O).
    """
    fused = onednn.operator("_linear_pointwise")
    if fused is None or not onednn.takes(x, weight):
        return _PLAIN[activation](F.linear(x, weight, bias))
    name, algorithm = _FUSED[activation]
    return fused(x, weight, bias, name, [], algorithm)
