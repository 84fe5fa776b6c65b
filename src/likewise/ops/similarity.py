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

from likewise.errors import LikewiseError
from likewise.ops.checks import check_finite, has_values, without_autocast

#: A box is at most so many times the longer side of the map that it is cut out of.
LARGEST = 16


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
        B tensors (K_i, C, size, size), in float32 at least. Where a box that is not finite, or is huge, cannot be
        refused, which is on an accelerator that is not waited for, its crop is NaN, without a gradient.

    Raises:
        LikewiseError: shapes that do not fit together, or (boxes on the CPU) a box that is not finite, or has
            more than `LARGEST` times the map's longer side, which would be sampled without end.

    Example:
        >>> features = torch.rand(1, 16, 8, 8)  # of a picture of 64 x 64 pixels
        >>> (crops,) = pool_boxes(features, [torch.tensor([[8.0, 8.0, 24.0, 24.0]])], size=3, scale=1 / 8)
        >>> crops.shape
        torch.Size([1, 16, 3, 3])
    """
    _check_boxes(features, boxes, scale)
    counts = [len(b) for b in boxes]
    # RoIAlign has no half-precision CPU kernel, and coordinates deserve float32 anyway.
    compute = torch.promote_types(features.dtype, torch.float32)
    rois = [b.to(features.device, compute) for b in boxes]
    if not sum(counts):
        empty = features.to(compute).sum() * features.new_zeros(0, features.shape[1], size, size, dtype=compute)
        return empty.split(counts)
    bad = _bad_boxes(torch.cat(rois), features, scale)[:, None]
    rois = [torch.where(own, 0.0, b) for own, b in zip(bad.split(counts), rois, strict=True)]
    with without_autocast(features.device):
        crops = roi_align(features.to(compute), rois, size, scale, aligned=aligned)
    return crops.masked_fill(bad[:, :, None, None], torch.nan).split(counts)


def _bad_boxes(boxes: Tensor, features: Tensor, scale: float) -> Tensor:
    """Which boxes (K, 4) are not finite or too large: (K,) bool."""
    return ~((boxes[:, 2:] - boxes[:, :2]).abs() <= LARGEST * max(*features.shape[2:], 1) / scale).all(1)


def _check_boxes(features: Tensor, boxes: Sequence[Tensor], scale: float) -> None:
    if features.ndim != 4 or len(boxes) != len(features):
        raise LikewiseError(
            f"features {tuple(features.shape)}, {len(boxes)} sets of boxes: expected (B, C, h, w) and B of them"
        )
    for index, own in enumerate(boxes):
        if own.ndim != 2 or own.shape[1] != 4:
            raise LikewiseError(f"boxes[{index}] {tuple(own.shape)}: expected (K, 4), xyxy")
        if own.device.type == "cpu":
            check_finite(f"boxes[{index}]", own)
            if has_values(own) and bool(_bad_boxes(own, features, scale).any()):
                raise LikewiseError(f"boxes[{index}] hold one of more than {LARGEST} times the map's side")


def masked_pool(features: Tensor, mask: Tensor) -> Tensor:
    """Average features where a mask is set: (B, C, h, w), (B, 1, H, W) -> (B, C).

    The mask is brought to the features' grid by nearest neighbour; a mask that is empty there pools to zero. Features
    that the mask leaves out do not count, whatever they are. Summed in float32 at least.

    Example:
        >>> features = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
        >>> masked_pool(features, torch.tensor([[[[1, 1], [0, 0]]]]))
        tensor([[2.]])
    """
    compute = torch.promote_types(features.dtype, torch.float32)
    small = nearest_cells(mask.to(compute), (features.shape[2], features.shape[3]))
    seen = torch.where(small != 0, features.to(compute), 0.0)
    return ((seen * small).sum((2, 3)) / small.sum((2, 3)).clamp_min(1)).to(features.dtype)


def nearest_cells(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, C, H, W) at the places of a grid (h, w), by nearest neighbour; of no picture too."""
    return F.interpolate(maps, size, mode="nearest") if len(maps) else maps.new_zeros(0, maps.shape[1], *size)


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
    with without_autocast(features.device):
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

    Raises:
        LikewiseError: a picture without examples, or not as many sets of them as pictures.

    Example:
        >>> features, examples = torch.rand(1, 16, 8, 8), [torch.rand(3, 16)]
        >>> similarity_to_examples(features, examples).shape
        torch.Size([1, 2, 8, 8])
    """
    if len(examples) != len(features) or not all(len(v) for v in examples):
        raise LikewiseError(
            f"{[len(v) for v in examples]} examples for {len(features)} pictures: expected some for each"
        )
    against = [v[:0] for v in examples] if negatives is None else negatives
    if not len(features):
        return features.new_zeros(0, 2 if negatives is None else 4, *features.shape[2:]).float()
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

    Raises:
        LikewiseError: shapes or precisions that do not fit together, or a kernel of an even side.

    Example:
        >>> kernel = torch.zeros(1, 1, 3, 3)
        >>> kernel[0, 0, 1, 1] = 2.0
        >>> correlate_kernels(torch.tensor([[[[1.0, 3.0]]]]), kernel)
        tensor([[[[2., 6.]]]])
    """
    fits = features.shape[:2] == kernels.shape[:2] and features.ndim == kernels.ndim == 4
    if not fits or features.dtype != kernels.dtype or kernels.shape[2] % 2 == 0 or kernels.shape[2] != kernels.shape[3]:
        raise LikewiseError(
            f"features {tuple(features.shape)} {features.dtype}, kernels {tuple(kernels.shape)} {kernels.dtype}: "
            "expected (B, C, h, w) and (B, C, k, k) of one type, k odd"
        )
    batch, channels, height, width = features.shape
    if not features.numel():
        return features * 1
    flat = features.reshape(1, batch * channels, height, width)
    weight = kernels.reshape(batch * channels, 1, *kernels.shape[2:])
    out = F.conv2d(flat, weight, padding=kernels.shape[-1] // 2, groups=batch * channels)
    return out.view(batch, channels, height, width)
