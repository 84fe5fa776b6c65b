"""Deformable convolution (Dai et al., ICCV 2017, eq. 2; modulated form: Zhu et al., CVPR 2019, eq. 1).

Shapes: B batch, C input channels, D output channels, N = kh * kw kernel positions, G offset groups.

Convention
----------
Offsets are in pixels of the input, ordered (y, x) per kernel position; pixel (row, col) sits at the integer place
(row, col). Zeros lie outside: a sample in (-1, 0) or (H - 1, H) is interpolated against them. At exactly integer
places the gradient of an offset is the one-sided difference towards the next pixel (towards larger y or x), as in
torchvision: zero-initialised offsets start there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, get_args

import torch
import torchvision.ops
from torch import Tensor, nn

from likewise import native
from likewise.ops.checks import without_autocast
from likewise.ops.deform.checks import check_floating, pair
from likewise.ops.deform.conv2d_native import deform_conv2d_native
from likewise.ops.deform.conv2d_torch import deform_conv2d_torch

Backend = Literal["native", "torch", "torchvision"]
BACKEND_VARIABLE = "LIKEWISE_DEFORM_CONV"
#: Offsets of this many pixels lead out of every picture.
FAR_OUTSIDE = 1e7


def active_backend(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Backend:
    """The implementation `deform_conv2d` takes on ``device`` and for ``dtype`` when none is named.

    Torchvision's operator serves CUDA and export to ONNX, the compiled functions of `likewise.native` (where they
    are available) the CPU in all but double precision, and the exact torch path everything else. The environment
    variable ``LIKEWISE_DEFORM_CONV`` names another one; "native" is taken only where it can be.

    Raises:
        ValueError: the variable names no backend.
    """
    chosen = _chosen()
    if chosen != "native":
        return chosen
    # Torchvision's operator is the one that ONNX exporters know as DeformConv.
    if torch.device(device).type == "cuda" or torch.onnx.is_in_onnx_export():
        return "torchvision"
    return "torch" if why_not_native(torch.device(device), dtype) else "native"


def backends(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> tuple[Backend, ...]:
    """The implementations that can be named for ``device`` and ``dtype`` here."""
    return tuple(b for b in get_args(Backend) if b != "native" or not why_not_native(torch.device(device), dtype))


@torch.compiler.assume_constant_result
def _chosen() -> Backend:
    chosen = os.environ.get(BACKEND_VARIABLE, "native")
    for backend in get_args(Backend):
        if chosen == backend:
            return backend
    raise ValueError(f"{BACKEND_VARIABLE}={chosen!r} names no backend; expected one of {get_args(Backend)}")


def deform_conv2d(
    input: Tensor,  # noqa: A002  # torchvision's name: the signature is the same
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    mask: Tensor | None = None,
    *,
    backend: Backend | None = None,
) -> Tensor:
    """Convolve ``input`` at sampling places moved by ``offset``.

    ``y(p) = sum_n w_n x(p + p_n + offset_n(p)) m_n(p) + b`` with bilinear x. Signature and conventions are those
    of `torchvision.ops.deform_conv2d`. Half precision input (under autocast too) is computed in float32 and
    returned in its own dtype.

    Args:
        input: (B, C, H, W).
        offset: (B, 2 G N, H', W'), (y, x) per kernel position, G offset groups of C / G channels each.
        weight: (D, C / groups, kh, kw); the number of groups is read off its shape.
        bias: (D,) or None.
        stride: of the output grid.
        padding: zeros round the input.
        dilation: of the kernel.
        mask: (B, G N, H', W') modulation or None.
        backend: "native" (float32 on the CPU), "torch" (any device and precision), "torchvision", or None for
            `active_backend`. All give the same result to rounding.

    Returns:
        (B, D, H', W').

    Raises:
        ValueError: shapes that do not belong together, the message names both; or "native" where it cannot run.

    Example:
        >>> image, kernel = torch.arange(12.0).view(1, 1, 3, 4), torch.ones(1, 1, 1, 1)
        >>> right = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 3, 4)  # every sample one pixel to the right
        >>> deform_conv2d(image, right, kernel)[0, 0]
        tensor([[ 1.,  2.,  3.,  0.],
                [ 5.,  6.,  7.,  0.],
                [ 9., 10., 11.,  0.]])
    """
    stride, padding = pair(stride, "stride", least=1), pair(padding, "padding", least=0)
    dilation = pair(dilation, "dilation", least=1)
    check_floating(input, offset, weight, bias, mask)
    _check_shapes(input, offset, weight, mask, stride, padding, dilation)
    _check_channels(input, offset, weight, bias)
    compute = torch.float64 if input.dtype == torch.float64 else torch.float32
    run = _implementation(backend or active_backend(input.device, compute), input.device, compute)
    with without_autocast(input.device):
        out = run(
            input.to(compute),
            offset.to(compute),
            weight.to(compute),
            None if bias is None else bias.to(compute),
            None if mask is None else mask.to(compute),
            stride,
            padding,
            dilation,
        )
    return out.to(input.dtype)


class DeformConv2d(nn.Module):
    """Weights for `deform_conv2d`; the offsets (and the mask) come with every call. See :func:`deform_conv2d`.

    Example:
        >>> layer = DeformConv2d(3, 8, kernel_size=3, padding=1)
        >>> layer(torch.rand(1, 3, 16, 16), offset=torch.zeros(1, 18, 16, 16)).shape
        torch.Size([1, 8, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        # The initialisation is an ordinary convolution's: with zero offsets this is one.
        plain = nn.Conv2d(in_channels, out_channels, kernel_size, groups=groups, bias=bias)
        self.weight, self.bias = plain.weight, plain.bias
        self.stride, self.padding = pair(stride, "stride", least=1), pair(padding, "padding", least=0)
        self.dilation = pair(dilation, "dilation", least=1)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: A002
        """See :func:`deform_conv2d`."""
        return deform_conv2d(input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask)


def _implementation(backend: Backend, device: torch.device, dtype: torch.dtype) -> Callable[..., Tensor]:
    if backend == "native":
        reason = why_not_native(device, dtype)
        if reason:
            raise ValueError(f"backend 'native' cannot run here: {reason}; use 'torch', or None for the best there is")
        return deform_conv2d_native
    return _torchvision if backend == "torchvision" else deform_conv2d_torch


def why_not_native(device: torch.device, dtype: torch.dtype) -> str:
    """The reason for which the compiled functions cannot serve a device and a precision; empty where they can."""
    if device.type != "cpu" or dtype == torch.float64:
        return f"it computes in float32 on the CPU, not in {dtype} on {device}"
    return native.why_not()


def _torchvision(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    if not torch.onnx.is_in_onnx_export():
        # Torchvision's operator turns what is not finite, or larger than any integer, into the address of a pixel.
        offset = torch.where(offset.abs() < FAR_OUTSIDE, offset, -FAR_OUTSIDE)
    return torchvision.ops.deform_conv2d(x, offset, weight, bias, stride, padding, dilation, mask)


def _check_shapes(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    if x.dim() != 4 or offset.dim() != 4 or weight.dim() != 4:
        shapes = [tuple(t.shape) for t in (x, offset, weight)]
        raise ValueError(f"expected input, offset and weight with four axes, got shapes {shapes}")
    positions = weight.shape[2] * weight.shape[3]
    size = tuple(
        (x.shape[2 + i] + 2 * padding[i] - dilation[i] * (weight.shape[2 + i] - 1) - 1) // stride[i] + 1
        for i in range(2)
    )
    if min(size) < 1:
        raise ValueError(f"kernel {tuple(weight.shape[2:])} does not fit into an input of {tuple(x.shape[2:])}")
    fits = offset.shape[1] and offset.shape[1] % (2 * positions) == 0
    if not fits or offset.shape[0] != x.shape[0] or tuple(offset.shape[2:]) != size:
        expected = f"({x.shape[0]}, {2 * positions} x offset groups, {size[0]}, {size[1]})"
        raise ValueError(f"offset has shape {tuple(offset.shape)}; expected {expected}")
    groups = offset.shape[1] // (2 * positions)
    if mask is not None and tuple(mask.shape) != (x.shape[0], groups * positions, *size):
        raise ValueError(f"mask has shape {tuple(mask.shape)}; expected {(x.shape[0], groups * positions, *size)}")


def _check_channels(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    channels, (out_channels, group_channels) = x.shape[1], weight.shape[:2]
    offset_groups = offset.shape[1] // (2 * weight.shape[2] * weight.shape[3])
    if channels % offset_groups or group_channels == 0 or channels % group_channels:
        raise ValueError(
            f"{channels} input channels cannot be shared by {offset_groups} offset groups and kernels of "
            f"{group_channels} channels"
        )
    groups = channels // group_channels
    if out_channels % groups:
        raise ValueError(f"{out_channels} output channels cannot be shared by {groups} groups")
    if bias is not None and tuple(bias.shape) != (out_channels,):
        raise ValueError(f"bias has shape {tuple(bias.shape)}; expected ({out_channels},)")
