"""Class response maps and their peaks: where a classifier by pooled features finds what it answers.

Source: Ding et al., "Selective Sparse Sampling for Fine-Grained Image Recognition", ICCV 2019, section 3.1.

Shapes: B pictures, C classes, D channels, h w grid of features, H W grid of the response.

Convention
----------
The corner cells of a response map lie on the corner cells of the features (``align_corners``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.ops.checks import without_autocast

#: A response whose values span less than this share of their size is flat: what is left is rounding.
FLAT = 1e-6


def response_means(features: Tensor, weight: Tensor, bias: Tensor, size: tuple[int, int]) -> Tensor:
    """The mean of each class's response map, as `class_response` makes them of one class each, before they are scaled.

    Other than the logits of pooled features: corners on corners, a map's border cells count less than those inside.

    Args:
        features: (B, D, h, w).
        weight: (C, D) of the classifier.
        bias: (C,) of the classifier, which is added at every place.
        size: (H, W) of the maps.

    Returns:
        (B, C).
    """
    compute = torch.promote_types(features.dtype, torch.float32)
    with without_autocast(features.device):
        rows, columns = (_shares(features.shape[2 + axis], size[axis], features, compute) for axis in (0, 1))
        pooled = torch.einsum("bdhw,h,w->bd", features.to(compute), rows, columns)  # no map a class is made
        return F.linear(pooled, weight.to(compute), bias.to(compute))


def _shares(side: int, cells: int, like: Tensor, dtype: torch.dtype) -> Tensor:
    """(side,): the part that each place has in the mean of what is interpolated to so many cells."""
    unit = torch.eye(side, device=like.device, dtype=dtype)[None]
    return F.interpolate(unit, cells, mode="linear", align_corners=True).mean(2)[0]


def entropy_gate(logits: Tensor, *, top: int = 5, threshold: float = -0.2) -> Tensor:
    """What share each class has in a picture's response map.

    With p the probabilities of the ``top`` most probable classes, sum(p log p) > threshold says that the classifier
    is sure: the most probable class alone counts. Otherwise these classes count equally. A probability of 0 adds 0.

    Args:
        logits: (B, C) of which the softmax is how probable the classes are.
        top: classes that are asked; all of them where there are fewer.
        threshold: of the sum, which is 0 for a sure classifier and negative for any other.

    Returns:
        (B, C) shares that sum to one; NaN where logits are not finite.
    """
    found = logits.float().softmax(1).topk(min(top, logits.shape[1]), dim=1)
    sure = -torch.special.entr(found.values).sum(1, keepdim=True) > threshold
    first = torch.zeros_like(found.values)
    first[:, 0] = 1.0
    shares = torch.where(sure, first, torch.full_like(first, 1 / found.values.shape[1]))
    shares = shares.masked_fill(found.values.isnan().any(1, keepdim=True), torch.nan)
    return torch.zeros_like(logits, dtype=shares.dtype).scatter(1, found.indices, shares)


def class_response(features: Tensor, weight: Tensor, shares: Tensor, size: tuple[int, int]) -> Tensor:
    """The response of a picture's classes at every place, from 0 to 1.

    Args:
        features: (B, D, h, w), pooled by their mean before the classifier.
        weight: (C, D) of the classifier.
        shares: (B, C) of the classes in the map, as from `entropy_gate`.
        size: (H, W) of the map.

    Returns:
        (B, H, W), lowest place 0 and highest 1; a map that is flat is 0 everywhere.
    """
    compute = torch.promote_types(features.dtype, torch.float32)
    with without_autocast(features.device):
        # mixing weights first: one map a picture is made, not one a class
        mixed = shares.to(compute) @ weight.to(compute)
        maps = torch.einsum("bdhw,bd->bhw", features.to(compute), mixed)
        maps = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=True)[:, 0]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    flat = (span <= FLAT * torch.maximum(high.abs(), low.abs())) & span.isfinite()
    return torch.where(flat, 0.0, (maps - low) / torch.where(flat, 1.0, span))


def response_peaks(response: Tensor) -> Tensor:
    """Cells that none of their eight neighbours exceeds and that are at least the mean of their map, and above 0.

    Args:
        response: (B, H, W) from 0 to 1.

    Returns:
        (B, H, W) bool; a flat map of zeros has no peak, nor has one that is not finite, any other at least its
        highest cell.
    """
    highest = F.max_pool2d(response[:, None], 3, stride=1, padding=1)[:, 0]
    return (response == highest) & (response >= response.mean((1, 2), keepdim=True)) & (response > 0)
