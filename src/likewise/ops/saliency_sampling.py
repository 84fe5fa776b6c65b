"""Sampling a picture by saliency: magnified where it is salient, the rest kept as context.

Source: the sampler is that of Recasens et al., "Learning to Zoom: a Saliency-Based Sampling Layer for Neural
Networks", ECCV 2018; the attention bumps are those of Ding et al., "Selective Sparse Sampling for Fine-Grained Image
Recognition", ICCV 2019, section 3.2.

Shapes: B pictures, H W grid of the saliency.

Convention
----------
A saliency map spans the picture from corner to corner: cell (i, j) of H x W stands at y = i / (H - 1) and
x = j / (W - 1) of it. Grids are ``(x, y)`` in [-1, 1], as torch's `grid_sample` reads them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.checks import without_autocast


def attention_bumps(cells: Tensor, weight: Tensor, width: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Gaussian bumps round cells, added up for each picture.

    A bump is the product of one factor a row and one a column.

    Args:
        cells: (N, 3) picture, row and column of the bumps' centres, int64.
        weight: (N,) the bumps' heights.
        width: (N,) their standard deviations, in cells; a bump without a width is a single cell.
        shape: (B, H, W) of the result.

    Returns:
        (B, H, W): at each place the sum over its picture's cells of weight x exp(-distance^2 / (2 width^2)).

    Example:
        >>> bumps = attention_bumps(torch.tensor([[0, 1, 2]]), torch.tensor([0.5]), torch.tensor([1.0]), (1, 4, 5))
        >>> bumps.shape, bumps[0, 1, 2].item(), bool(bumps.argmax() == 7)
        (torch.Size([1, 4, 5]), 0.5, True)
    """
    # the least width is far below a cell, and its square far above what a float can hold
    halved = 0.5 / width.clamp_min(1e-3).square()
    along, across = (
        torch.exp(-(cells[:, axis, None] - torch.arange(shape[axis], device=cells.device)).square() * halved[:, None])
        for axis in (1, 2)
    )
    bumps = (weight[:, None] * along)[:, :, None] * across[:, None, :]
    return torch.zeros(shape, dtype=bumps.dtype, device=bumps.device).index_add(0, cells[:, 0], bumps)


def saliency_grid(saliency: Tensor, *, reach: int = 30, fwhm: float = 13.0) -> Tensor:
    """From where each place of the sampled picture is taken.

    The place of a cell is the mean of the places round it, weighted by their saliency and a Gaussian of their
    distance: u = sum(S k x) / sum(S k), equations 3 and 4 of Learning to Zoom. Outside the map the saliency is that of
    its border. The kernel is separable, and border and places go into two small matrices a side.

    Args:
        saliency: (B, H, W), positive.
        reach: cells to which the kernel reaches: it is 2 reach + 1 wide, and so much border is added.
        fwhm: the kernel's full width at half its maximum, in cells.

    Returns:
        (B, H, W, 2) x and y in [-1, 1]; the same saliency everywhere gives evenly spaced places.

    Example:
        >>> grid = saliency_grid(torch.ones(1, 3, 3))  # alike everywhere: evenly spaced
        >>> torch.allclose(grid[0, 1, :, 0], torch.tensor([-1.0, 0.0, 1.0]), atol=1e-5)
        True
    """
    rows, rows_placed = _kernels(saliency.shape[1], reach, fwhm, saliency)
    columns, columns_placed = _kernels(saliency.shape[2], reach, fwhm, saliency)
    along = rows @ saliency
    mass = (along @ columns.T).clamp_min(torch.finfo(saliency.dtype).tiny)
    x = (along @ columns_placed.T) / mass
    y = (rows_placed @ saliency @ columns.T) / mass
    return (2 * torch.stack([x, y], dim=-1) - 1).clamp(-1.0, 1.0)


def sample_by_saliency(
    image: Tensor,
    saliency: Tensor,
    *,
    size: tuple[int, int] | None = None,
    reach: int = 30,
    fwhm: float = 13.0,
    aligned: bool = True,
) -> Tensor:
    """Look at pictures through a lens that is strongest where they are salient.

    Differentiable with respect to the picture and the saliency. Computed in float32 at least, under autocast too:
    half precision does not tell neighbouring pixels apart.

    Args:
        image: (B, C, h, w).
        saliency: (B, H, W), positive; its values matter relative to each other only.
        size: (height, width) of the result; None: the picture's.
        reach: see `saliency_grid`.
        fwhm: see `saliency_grid`.
        aligned: the grid's corners are the centres of the corner pixels, so that a flat saliency leaves the picture
            as it is. False: they are the corners of the picture, half a pixel outside, where half of what is seen is
            black: what PyTorch since 1.3 makes of a call that does not say.

    Returns:
        (B, C, height, width), in the picture's type; NaN where the saliency is not finite.

    Raises:
        LikewiseError: shapes that do not fit.

    Example:
        >>> image = torch.rand(1, 3, 32, 32)
        >>> torch.allclose(sample_by_saliency(image, torch.ones(1, 7, 7)), image, atol=1e-3)
        True
    """
    if image.ndim != 4 or saliency.ndim != 3 or len(image) != len(saliency):
        raise LikewiseError(
            f"expected (B, C, h, w) and (B, H, W), got {tuple(image.shape)} and {tuple(saliency.shape)}"
        )
    compute = torch.promote_types(image.dtype, torch.float32)
    size = size or (image.shape[2], image.shape[3])
    with without_autocast(image.device):
        coarse = saliency_grid(saliency.to(compute), reach=reach, fwhm=fwhm).permute(0, 3, 1, 2).contiguous()
        lost = ~coarse.isfinite().all(3).all(2).all(1)[:, None, None, None]  # a place that is NaN would look black
        coarse = coarse.masked_fill(lost, 0.0)
        grid = F.interpolate(coarse, size, mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
        seen = F.grid_sample(image.to(compute), grid, mode="bilinear", padding_mode="zeros", align_corners=aligned)
    return seen.masked_fill(lost, torch.nan).to(image.dtype)


def _kernels(side: int, reach: int, fwhm: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """(side, side) each: what every cell adds to the sum of k at every place, and to that of k x.

    The cells of the border stand for those outside as well, each at its own place.
    """
    inside = torch.arange(side, device=like.device)
    around = torch.arange(-reach, side + reach, device=like.device)
    distance = around - inside[:, None]
    kernel = torch.exp(-4 * math.log(2) * (distance.to(like.dtype) / fwhm).square()) * (distance.abs() <= reach)
    cell = F.one_hot(around.clamp(0, side - 1), side).to(like.dtype)
    place = around.to(like.dtype) / max(side - 1, 1)
    return kernel @ cell, (kernel * place) @ cell
