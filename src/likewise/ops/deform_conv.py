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
from typing import Literal, get_args

import torch
import torch.nn.functional as F
import torchvision.ops
from torch import Tensor, nn

Backend = Literal["torch", "torchvision"]
BACKEND_VARIABLE = "LIKEWISE_DEFORM_CONV"


def active_backend(device: torch.device | str = "cpu") -> Backend:
    """The implementation `deform_conv2d` takes on ``device`` when none is named.

    The environment variable ``LIKEWISE_DEFORM_CONV`` decides where it is set; otherwise torchvision's compiled
    kernel serves CUDA and the exact torch path every other device, where it is the faster of the two.

    Raises:
        ValueError: the variable names no backend.
    """
    chosen = os.environ.get(BACKEND_VARIABLE)
    if chosen is None:
        return "torchvision" if torch.device(device).type == "cuda" else "torch"
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
        backend: "torch" (exact, any device), "torchvision", or None for `active_backend`.

    Returns:
        (B, D, H', W').

    Raises:
        ValueError: shapes that do not belong together; the message names both.
    """
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    _check_shapes(input, offset, weight, mask, stride, padding, dilation)
    compute = torch.float64 if input.dtype == torch.float64 else torch.float32
    run = _torchvision if (backend or active_backend(input.device)) == "torchvision" else _gather_and_multiply
    # Autocast would hand half precision to kernels that have none on the CPU, and round the sampling places.
    with torch.autocast(input.device.type, enabled=False):
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
    """Weights for `deform_conv2d`; the offsets (and the mask) come with every call. See :func:`deform_conv2d`."""

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
        self.stride, self.padding, self.dilation = _pair(stride), _pair(padding), _pair(dilation)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: A002
        """See :func:`deform_conv2d`."""
        return deform_conv2d(input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask)


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
    return torchvision.ops.deform_conv2d(x, offset, weight, bias, stride, padding, dilation, mask)


def _gather_and_multiply(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """Gather every sample as a weighted bag of four pixels (channels last), then one matrix product a group."""
    batch, channels = x.shape[:2]
    out_channels, group_channels, *kernel = weight.shape
    positions, height, width = kernel[0] * kernel[1], *offset.shape[2:]
    offset_groups = offset.shape[1] // (2 * positions)
    rows, cols = _sampling_places(offset, offset_groups, (kernel[0], kernel[1]), stride, padding, dilation)
    if mask is not None:
        mask = mask.view(batch, offset_groups, positions, height, width).permute(0, 1, 3, 4, 2)
    samples = _bilinear_bags(x, rows, cols, mask)  # B G H' W' N C/G
    samples = samples.permute(0, 2, 3, 1, 5, 4)  # B H' W' G C/G N
    groups = channels // group_channels
    columns = samples.reshape(batch * height * width, groups, group_channels * positions)
    kernels = weight.reshape(groups, out_channels // groups, group_channels * positions)
    out = torch.einsum("pgk,gdk->pgd", columns, kernels)
    out = out.reshape(batch, height, width, out_channels).permute(0, 3, 1, 2)
    return out if bias is None else out + bias[:, None, None]


def _sampling_places(
    offset: Tensor,
    offset_groups: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Rows and columns (B, G, H', W', N) at which the input is read."""
    batch, _, height, width = offset.shape
    moved = offset.view(batch, offset_groups, kernel[0] * kernel[1], 2, height, width).permute(3, 0, 1, 4, 5, 2)
    axes = [torch.arange(n, device=offset.device, dtype=offset.dtype) for n in (height, width, kernel[0], kernel[1])]
    rows = (axes[0] * stride[0] - padding[0])[:, None] + (axes[2] * dilation[0]).repeat_interleave(kernel[1])
    cols = (axes[1] * stride[1] - padding[1])[:, None] + (axes[3] * dilation[1]).repeat(kernel[0])
    return moved[0] + rows[:, None, :], moved[1] + cols[None, :, :]


def _bilinear_bags(x: Tensor, rows: Tensor, cols: Tensor, mask: Tensor | None) -> Tensor:
    """Read ``x`` (B, C, H, W) at places (B, G, H', W', N): (B, G, H', W', N, C / G)."""
    batch, channels, height, width = x.shape
    groups = rows.shape[1]
    top, left = rows.detach().floor(), cols.detach().floor()
    down, right = rows - top, cols - left
    table = (
        x.reshape(batch * groups, channels // groups, height * width).transpose(1, 2).reshape(-1, channels // groups)
    )
    first = torch.arange(batch * groups, device=x.device).view(batch, groups, 1, 1, 1) * (height * width)
    indices, weights = [], []
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, col = top + dy, left + dx
        held = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        share = (down if dy else 1 - down) * (right if dx else 1 - right)
        indices.append(first + torch.where(held, row * width + col, 0).long())
        weights.append(torch.where(held, share if mask is None else share * mask, 0))
    bags = F.embedding_bag(
        torch.stack(indices, -1).view(-1, 4), table, mode="sum", per_sample_weights=torch.stack(weights, -1).view(-1, 4)
    )
    return bags.view(*rows.shape, channels // groups)


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
    if offset.shape[1] % (2 * positions) or offset.shape[0] != x.shape[0] or tuple(offset.shape[2:]) != size:
        expected = f"({x.shape[0]}, {2 * positions} x offset groups, {size[0]}, {size[1]})"
        raise ValueError(f"offset has shape {tuple(offset.shape)}; expected {expected}")
    groups = offset.shape[1] // (2 * positions)
    if x.shape[1] % groups or x.shape[1] % weight.shape[1]:
        raise ValueError(
            f"{x.shape[1]} input channels cannot be shared by {groups} offset groups and kernels of "
            f"{weight.shape[1]} channels"
        )
    if mask is not None and tuple(mask.shape) != (x.shape[0], groups * positions, *size):
        raise ValueError(f"mask has shape {tuple(mask.shape)}; expected {(x.shape[0], groups * positions, *size)}")


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
