"""Pooling of examples into vectors, and maps of where a picture resembles them.

Shapes: B batch, K examples, C channels, h w feature map.

Convention
----------
Boxes are xyxy in pixels of the network's input; ``scale`` turns them into feature cells (1 / stride).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align


def pool_boxes(
    features: Tensor, boxes: Sequence[Tensor], *, size: int, scale: float, aligned: bool = True
) -> tuple[Tensor, ...]:
    """Crop and resize each box out of its picture's features (RoIAlign, He et al., ICCV 2017).

    Args:
        features: (B, C, h, w).
        boxes: B tensors (K_i, 4).
        size: of the crop, in samples a side.
        scale: feature cells per pixel.
        aligned: half a cell of shift, so that cell centres and pixel centres agree; False is the older rule.

    Returns:
        B tensors (K_i, C, size, size), in float32.

    Example:
        >>> features = torch.rand(1, 16, 8, 8)  # of a picture of 64 x 64 pixels
        >>> (crops,) = pool_boxes(features, [torch.tensor([[8.0, 8.0, 24.0, 24.0]])], size=3, scale=1 / 8)
        >>> crops.shape
        torch.Size([1, 16, 3, 3])
    """
    counts = [len(b) for b in boxes]
    # RoIAlign has no half-precision CPU kernel, and coordinates deserve float32 anyway.
    rois = [b.to(features.device, torch.promote_types(features.dtype, torch.float32)) for b in boxes]
    with torch.autocast(features.device.type, enabled=False):
        crops = roi_align(features.to(rois[0].dtype), rois, size, scale, aligned=aligned)
    return crops.split(counts)


def masked_pool(features: Tensor, mask: Tensor) -> Tensor:
    """Average features where a mask is set: (B, C, h, w), (B, 1, H, W) -> (B, C).

    The mask is brought to the features' grid by nearest neighbour; a mask that is empty there pools to zero.

    Example:
        >>> features = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
        >>> masked_pool(features, torch.tensor([[[[1, 1], [0, 0]]]]))
        tensor([[2.]])
    """
    small = F.interpolate(mask.to(features.dtype), features.shape[-2:], mode="nearest")
    return (features * small).sum((2, 3)) / small.sum((2, 3)).clamp_min(1)


def cosine_similarity_map(features: Tensor, vectors: Tensor, eps: float = 1e-8) -> Tensor:
    """Cosine of every place with every vector: (B, C, h, w), (B, K, C) -> (B, K, h, w), within [-1, 1].

    A place or a vector of zero length has similarity 0. Computed in float32 at least, under autocast too: half
    precision has three digits, too few to rank near-twins.

    Example:
        >>> features = torch.tensor([[3.0, 0.0], [4.0, 2.0]]).view(1, 2, 1, 2)  # two places with two channels
        >>> cosine_similarity_map(features, torch.tensor([[[0.0, 1.0]]]))
        tensor([[[[0.8000, 1.0000]]]])
    """
    compute = torch.promote_types(features.dtype, torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        places = F.normalize(features.to(compute), dim=1, eps=eps)
        return torch.einsum("bchw,bkc->bkhw", places, F.normalize(vectors.to(compute), dim=2, eps=eps))


def similarity_to_examples(
    features: Tensor, examples: Sequence[Tensor], negatives: Sequence[Tensor] | None = None
) -> Tensor:
    """Mean and maximum, over each picture's own examples, of the cosine with every place.

    Args:
        features: (B, C, h, w).
        examples: B tensors (K_i, C), K_i >= 1.
        negatives: B tensors (N_i, C) of what is not wanted, N_i >= 0; None: not looked at.

    Returns:
        (B, 2, h, w): mean, maximum; with negatives (B, 4, h, w): then the maximum over the negatives, and how much
        larger the examples' maximum is. These two are 0 where a picture has no negatives.

    Example:
        >>> features, examples = torch.rand(1, 16, 8, 8), [torch.rand(3, 16)]
        >>> similarity_to_examples(features, examples).shape
        torch.Size([1, 2, 8, 8])
    """
    against = [v[:0] for v in examples] if negatives is None else negatives
    both = [torch.cat([v, n]) for v, n in zip(examples, against, strict=True)]
    maps = [cosine_similarity_map(f[None], v[None]) for f, v in zip(features, both, strict=True)]
    shown = [_compared(m[:, : len(v)], m[:, len(v) :]) for m, v in zip(maps, examples, strict=True)]
    return torch.cat(shown if negatives is not None else [m[:, :2] for m in shown])


def _compared(wanted: Tensor, unwanted: Tensor) -> Tensor:
    """Cosines (1, K, h, w) and (1, N, h, w) as mean, maximum, the other maximum and the maxima's difference."""
    nearest = wanted.amax(1, keepdim=True)
    if not unwanted.shape[1]:
        return torch.cat([wanted.mean(1, keepdim=True), nearest, *2 * [torch.zeros_like(nearest)]], dim=1)
    other = unwanted.amax(1, keepdim=True)
    return torch.cat([wanted.mean(1, keepdim=True), nearest, other, nearest - other], dim=1)


def correlate_kernels(features: Tensor, kernels: Tensor) -> Tensor:
    """Slide each picture's own kernel over it, channel by channel: (B, C, h, w), (B, C, k, k), k odd -> (B, C, h, w).

    The depth-wise cross-correlation of tracking (SiamRPN++, Li et al., CVPR 2019), with zeros outside.

    Example:
        >>> kernel = torch.zeros(1, 1, 3, 3)
        >>> kernel[0, 0, 1, 1] = 2.0
        >>> correlate_kernels(torch.tensor([[[[1.0, 3.0]]]]), kernel)
        tensor([[[[2., 6.]]]])
    """
    batch, channels, height, width = features.shape
    flat = features.reshape(1, batch * channels, height, width)
    weight = kernels.reshape(batch * channels, 1, *kernels.shape[2:])
    out = F.conv2d(flat, weight, padding=kernels.shape[-1] // 2, groups=batch * channels)
    return out.view(batch, channels, height, width)
