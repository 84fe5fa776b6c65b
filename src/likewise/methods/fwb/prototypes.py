"""A class as a vector: what its mask covers, what it leaves, and which channels tell the two apart.

Source: Nguyen & Todorovic, "Feature Weighting and Boosting for Few-Shot Segmentation", ICCV 2019, section 3.2.

Shapes: B batch, C channels, h w feature map, H W mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.ops.checks import has_values
from likewise.ops.similarity import nearest_cells


def mask_on_grid(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring masks (B, 1, H, W) of 0 and 1 to a grid (h, w) by nearest neighbour, as published.

    A thing so small that every sample misses it is kept as the share of each cell that it covers.
    """
    near = nearest_cells(mask, size)
    missed = (near.sum((1, 2, 3)) == 0) & (mask.sum((1, 2, 3)) > 0)
    if has_values(mask) and not bool(missed.any()):
        return near
    return torch.where(missed.view(-1, 1, 1, 1), F.adaptive_avg_pool2d(mask, size), near)


def inside_and_outside(features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Average features over a mask, and how far that is from their average over the rest.

    Args:
        features: (B, C, h, w).
        mask: (B, 1, H, W) of 0 and 1, not empty.

    Returns:
        The class vectors (B, C), and their differences from the background's (B, C); zero where the mask leaves no
        background on the grid.
    """
    small = mask_on_grid(mask.to(features.dtype), (features.shape[2], features.shape[3]))
    rest = 1 - small
    # what a mask leaves out is set to 0 before it is weighed by 0: it may not be finite
    held, outer = (torch.where(share > 0, features, 0.0) for share in (small, rest))
    inside = (held * small).sum((2, 3)) / small.sum((2, 3)).clamp_min(torch.finfo(features.dtype).tiny)
    left = rest.sum((2, 3))
    outside = (outer * rest).sum((2, 3)) / left.clamp_min(1)
    return inside, torch.where(left > 0, inside - outside, 0.0)


def relevance(difference: Tensor) -> Tensor:
    """The unit vector r that makes phi^T r greatest (equation 4): phi / ||phi||, for phi (B, C).

    Where nothing is known of the background, phi = 0, every channel is as relevant as any other.
    """
    even = torch.full_like(difference, difference.shape[1] ** -0.5)
    known = difference.abs().amax(1, keepdim=True) > 0
    return torch.where(known, F.normalize(torch.where(known, difference, even), dim=1), even)


def directions(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Features (B, C, h, w), their channels scaled by weights (C,), at unit length; what is zero stays zero."""
    scaled = features if weights is None else features * weights[:, None, None]
    return F.normalize(scaled, dim=1)


def resemblance(places: Tensor, vectors: Tensor, size: tuple[int, int]) -> Tensor:
    """How much each place is like each vector: the cosine, without its negative part, against the best place's.

    Args:
        places: (B, C, h, w) features of unit length, as `directions` makes them.
        vectors: (B, E, C), of any length.
        size: (h', w') of the result, interpolated bilinearly, corners on corners.

    Returns:
        (B, E, h', w') in [0, 1]; the greatest value of a map is 1, or 0 where nothing is alike.
    """
    alike = torch.einsum("bchw,bec->behw", places, F.normalize(vectors, dim=2)).relu()
    alike = F.interpolate(alike, size, mode="bilinear", align_corners=True)
    return alike / alike.amax((2, 3), keepdim=True).clamp_min(1e-8)
