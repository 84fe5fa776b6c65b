"""Grouped deformable aggregation in plain torch: exact on any device and in any precision.

`likewise.ops.deform.grouped.dcnv4` says what is computed and checks the shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.ops.deform.bags import finite, weighted_bags


def deform_grouped_torch(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    points_x: Sequence[float],
    points_y: Sequence[float],
    stride: Sequence[int],
    padding: Sequence[int],
    groups: int,
    scale: float,
) -> Tensor:
    """See `likewise.ops.deform.grouped.dcnv4`; every output is one weighted bag of 4 K pixels, channels last.

    ``points_x`` and ``points_y`` are the K points' places, from the output's times the stride and less the padding.
    """
    batch, channels, height, width = x.shape
    out_height, out_width = offset.shape[2:]
    moved = offset.reshape(batch, groups, len(points_x), 2, out_height, out_width)
    own_x, own_y = (offset.new_tensor(p)[:, None, None] for p in (points_x, points_y))
    axes = [torch.arange(n, device=x.device, dtype=x.dtype) for n in (out_height, out_width)]
    rows = (axes[0] * stride[0] - padding[0])[:, None] + own_y + scale * moved[:, :, :, 1]
    cols = axes[1] * stride[1] - padding[1] + own_x + scale * moved[:, :, :, 0]
    indices, weights = _four_pixels(finite(rows), finite(cols), mask.reshape(rows.shape), (height, width))
    table = x.reshape(batch * groups, channels // groups, height * width).transpose(1, 2)
    # The last row is a pixel of zeros, which stands for all outside.
    bags = weighted_bags(F.pad(table.flatten(0, 1), (0, 0, 0, 1)), indices, weights)
    return bags.view(batch, groups, out_height, out_width, channels // groups).permute(0, 1, 4, 2, 3).flatten(1, 2)


def _four_pixels(rows: Tensor, cols: Tensor, mask: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows of the table (B G H W) that places (B, G, K, H', W') read, and shares: both (B G H' W', 4 K)."""
    batch, groups, points = rows.shape[:3]
    first = torch.arange(batch * groups, device=rows.device).view(batch, groups, 1, 1, 1) * (size[0] * size[1])
    outside = batch * groups * size[0] * size[1]
    top, left = rows.detach().floor(), cols.detach().floor()
    down, right = rows - top, cols - left
    indices, weights = [], []
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, col = top + dy, left + dx
        held = (row >= 0) & (row < size[0]) & (col >= 0) & (col < size[1])
        share = (down if dy else 1 - down) * (right if dx else 1 - right) * mask
        indices.append(torch.where(held, first + row.long() * size[1] + col.long(), outside))
        weights.append(torch.where(held, share, 0))
    bags = [torch.stack(t, -1).permute(0, 1, 3, 4, 2, 5).reshape(-1, 4 * points) for t in (indices, weights)]
    return bags[0], bags[1]
