"""oneDNN's fused operators: a layer and its activation in one pass, the values still in cache.

torch holds oneDNN but asks it for layers alone. Results differ from torch's by rounding only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor


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
