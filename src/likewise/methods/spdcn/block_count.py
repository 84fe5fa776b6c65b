"""Errors of counts: over a whole picture, or over each square of a grid laid on it.

Convention: points are (x, y), the centre of the top left pixel is (0.5, 0.5); a square holds its top and left edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.ops.checks import check_finite


def block_counts(density: Tensor, side: int) -> Tensor:
    """Sum a density (B, 1, H, W) over squares of ``side`` pixels: (B, ceil(H / side), ceil(W / side))."""
    padded = F.pad(density, (0, -density.shape[3] % side, 0, -density.shape[2] % side))
    return F.avg_pool2d(padded, side)[:, 0] * side**2


def block_count_error(density: Tensor, points: Sequence[Tensor], side: int | None = None) -> Tensor:
    """Absolute errors of the squares' counts, added up and divided by the picture's true count + 3.

    Relative, as users judge a count; the 3 keeps nearly empty pictures from ruling the mean. Objects and mass in
    different squares do not cancel, so small squares punish mass in the wrong place without saying where in a
    square it belongs.

    Args:
        density: (B, 1, H, W) objects per pixel.
        points: B tensors (N_i, 2), x y inside the picture.
        side: of the squares in pixels; None: the whole picture is one.

    Returns:
        (B,) errors, >= 0.

    Raises:
        LikewiseError: a point that is not finite.
    """
    height, width = density.shape[2:]
    for index, dots in enumerate(points):
        check_finite(f"points[{index}]", dots)
    truth = torch.tensor([len(p) for p in points], dtype=density.dtype, device=density.device)
    if side is None:
        return (density.sum((1, 2, 3)) - truth).abs() / (truth + 3)
    counts = block_counts(density, side)
    expected = torch.zeros_like(counts)
    for row, dots in zip(expected, points, strict=True):
        x, y = dots.to(density).unbind(1)
        cells = (y.clamp(max=height - 1) // side).long() * row.shape[1] + (x.clamp(max=width - 1) // side).long()
        row.view(-1).index_add_(0, cells, torch.ones_like(x))
    return (counts - expected).abs().sum((1, 2)) / (truth + 3)
