"""Deformable convolution in plain torch: exact on any device and in any precision, differentiable any number of times.

`likewise.ops.deform.conv2d.deform_conv2d` says what is computed and checks the shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.ops.deform.bags import finite, weighted_bags


def deform_conv2d_torch(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """See `likewise.ops.deform.conv2d.deform_conv2d`; every sample is a weighted bag of four pixels, channels last."""
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
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Rows and columns (B, G, H', W', N) at which the input is read."""
    batch, _, height, width = offset.shape
    moved = offset.view(batch, offset_groups, kernel[0] * kernel[1], 2, height, width).permute(3, 0, 1, 4, 5, 2)
    axes = [torch.arange(n, device=offset.device, dtype=offset.dtype) for n in (height, width, kernel[0], kernel[1])]
    rows = (axes[0] * stride[0] - padding[0])[:, None] + (axes[2] * dilation[0]).repeat_interleave(kernel[1])
    cols = (axes[1] * stride[1] - padding[1])[:, None] + (axes[3] * dilation[1]).repeat(kernel[0])
    return finite(moved[0] + rows[:, None, :]), finite(moved[1] + cols[None, :, :])


def _bilinear_bags(x: Tensor, rows: Tensor, cols: Tensor, mask: Tensor | None) -> Tensor:
    """Read ``x`` (B, C, H, W) at places (B, G, H', W', N): (B, G, H', W', N, C / G)."""
    batch, channels, height, width = x.shape
    groups = rows.shape[1]
    top, left = rows.detach().floor(), cols.detach().floor()
    down, right = rows - top, cols - left
    table = (
        x.reshape(batch * groups, channels // groups, height * width).transpose(1, 2).reshape(-1, channels // groups)
    )
    table = F.pad(table, (0, 0, 0, 1))  # a pixel of zeros, which stands for all outside
    outside = table.shape[0] - 1  # not len(): it would fix the size in an exported graph
    first = torch.arange(batch * groups, device=x.device).view(batch, groups, 1, 1, 1) * (height * width)
    indices, weights = [], []
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, col = top + dy, left + dx
        held = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        share = (down if dy else 1 - down) * (right if dx else 1 - right)
        indices.append(torch.where(held, first + row.long() * width + col.long(), outside))
        weights.append(torch.where(held, share if mask is None else share * mask, 0))
    bags = weighted_bags(table, torch.stack(indices, -1).view(-1, 4), torch.stack(weights, -1).view(-1, 4))
    return bags.view(*rows.shape, channels // groups)
