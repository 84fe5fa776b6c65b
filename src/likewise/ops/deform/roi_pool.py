"""Deformable RoI pooling, plain and position-sensitive (Dai et al., ICCV 2017, section 2.2, eq. 5 and 6).

Shapes: B batch, C channels, (H, W) feature map, R regions of interest, (kh, kw) bins.

Convention
----------
Feature (row, col) sits at the integer place (row, col). A region x0, y0, x1, y1 in pixels of the picture spans
``round(x0) * scale - 0.5 .. (round(x1) + 1) * scale - 0.5`` on the feature map (halves are rounded away from zero)
and is at least 0.1 wide and high. Each bin is cut into ``samples_per_part``^2 equal cells and sampled at their
centres, so that a linear ramp pools to its value at the bin's centre; ``sample_at="corner"`` samples the cells at
their corner of least x and y, half a cell before, as implementations do with which networks were published.

A sample outside ``-0.5 .. W - 0.5`` is left out of the bin's mean; one between there and the outermost features takes
their value. A bin without samples is 0. Offsets are ordered (x, y), as regions are (`deform_conv2d` has (y, x)).
At exactly integer places an offset's gradient is the one-sided difference towards larger x or y; that samples are
left out or come in as a bin moves over the map's edge has no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

SampleAt = Literal["centre", "corner"]

#: Least extent of a region on the feature map.
LEAST_SIZE = 0.1
#: Indices and shares of features held at once: regions are pooled in parts of at most so many.
PART_NUMBERS = 1 << 24


def deform_roi_pool(
    features: Tensor,
    rois: Tensor | Sequence[Tensor],
    offset: Tensor | None,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    samples_per_part: int = 4,
    gamma: float = 0.1,
    *,
    position_sensitive: bool = False,
    sample_at: SampleAt = "centre",
) -> Tensor:
    """Average the features in every bin of every region, each bin moved by its offset.

    Bin (i, j) is moved by ``gamma * offset[:, :, i, j] * (region width, region height)``. The result is
    differentiable in ``features`` and ``offset``; regions carry no gradient (their corners are rounded). Half
    precision features (under autocast too) are pooled in float32 and returned in their own dtype.

    Args:
        features: (B, C, H, W).
        rois: (R, 5): index in the batch, x0, y0, x1, y1; or B tensors (R_b, 4), as for torchvision's operators.
        offset: (R, 2, kh, kw) normalised, (x, y); None for plain pooling.
        output_size: number of bins (kh, kw), or one number for both.
        spatial_scale: features per pixel of the picture, 1 / stride.
        samples_per_part: samples a bin and axis.
        gamma: share of the region's size that an offset of 1 stands for.
        position_sensitive: bin (i, j) of output channel c reads only feature map (c * kh + i) * kw + j
            (torchvision's order), so that C is a multiple of kh * kw; otherwise every bin reads every map.
        sample_at: where in its cell a sample lies, "centre" or "corner" (see Convention).

    Returns:
        (R, C, kh, kw), or (R, C / (kh * kw), kh, kw) if position-sensitive.

    Raises:
        ValueError: shapes that do not belong together, a region of a picture that is not in the batch, or a setting
            that is not positive.
    """
    grid = _Bins(_pair(output_size), spatial_scale, samples_per_part, gamma, position_sensitive, sample_at)
    rois = _one_table(rois, features)
    _check(features, rois, offset, grid)
    compute = torch.float64 if features.dtype == torch.float64 else torch.float32
    # Autocast would hand half precision to kernels that have none on the CPU, and round the sampling places.
    with torch.autocast(features.device.type, enabled=False):
        moved = None if offset is None else offset.to(compute)
        out = _in_parts(features.to(compute), rois.detach().to(compute), moved, grid)
    return out.to(features.dtype)


class DeformRoIPool(nn.Module):
    """Plain pooling, a fully connected layer that reads offsets off it, and deformable pooling (the paper's fig. 3).

    The layer starts at zero: until it is trained this is plain pooling. See :func:`deform_roi_pool`.
    """

    def __init__(
        self,
        channels: int,
        output_size: int | tuple[int, int] = 7,
        spatial_scale: float = 1.0,
        samples_per_part: int = 4,
        gamma: float = 0.1,
    ) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = _pair(output_size), spatial_scale
        self.samples_per_part, self.gamma = samples_per_part, gamma
        bins = self.output_size[0] * self.output_size[1]
        self.offset = nn.Linear(channels * bins, 2 * bins)
        _zero(self.offset)

    def forward(self, features: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """Pool ``features`` (B, C, H, W) in ``rois``: (R, C, kh, kw)."""
        settings = (self.output_size, self.spatial_scale, self.samples_per_part, self.gamma)
        plain = deform_roi_pool(features, rois, None, *settings)
        offset = self.offset(plain.flatten(1)).view(-1, 2, *self.output_size)
        return deform_roi_pool(features, rois, offset, *settings)


class DeformPSRoIPool(nn.Module):
    """Position-sensitive score maps, fields of offsets, and deformable pooling of the first (the paper's fig. 4).

    One 1x1 convolution makes ``out_channels * kh * kw`` score maps, another, which starts at zero, ``2 * kh * kw``
    fields. Pooled position-sensitively themselves, the fields give every bin its offset, the same for all output
    channels (the paper also has one for every class). Until it is trained this is plain position-sensitive pooling.
    See :func:`deform_roi_pool`.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        output_size: int | tuple[int, int] = 7,
        spatial_scale: float = 1.0,
        samples_per_part: int = 4,
        gamma: float = 0.1,
    ) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = _pair(output_size), spatial_scale
        self.samples_per_part, self.gamma = samples_per_part, gamma
        bins = self.output_size[0] * self.output_size[1]
        self.score = nn.Conv2d(channels, out_channels * bins, 1)
        self.offset = nn.Conv2d(channels, 2 * bins, 1)
        _zero(self.offset)

    def forward(self, features: Tensor, rois: Tensor | Sequence[Tensor]) -> Tensor:
        """Score ``features`` (B, C, H, W) and pool the scores in ``rois``: (R, out_channels, kh, kw)."""
        settings = (self.output_size, self.spatial_scale, self.samples_per_part, self.gamma)
        offset = deform_roi_pool(self.offset(features), rois, None, *settings, position_sensitive=True)
        return deform_roi_pool(self.score(features), rois, offset, *settings, position_sensitive=True)


@dataclass(frozen=True)
class _Bins:
    """How a region is divided and sampled."""

    shape: tuple[int, int]
    scale: float
    samples: int
    gamma: float
    position_sensitive: bool
    sample_at: SampleAt

    @property
    def count(self) -> int:
        return self.shape[0] * self.shape[1]


def _in_parts(features: Tensor, rois: Tensor, offset: Tensor | None, grid: _Bins) -> Tensor:
    """Pool as many regions at a time as the indices of their samples fit in memory."""
    batch, channels, height, width = features.shape
    maps = grid.count if grid.position_sensitive else 1
    table = features.reshape(batch, channels // maps, maps, height * width).permute(0, 2, 3, 1)
    # Bags of a transposed table (which a single picture's would stay) are read many times more slowly.
    table = table.reshape(batch * maps * height * width, channels // maps).contiguous()
    # A bin's mean is one bag of (2 s)^2 features, each an 8-byte index and a share.
    length = max(1, PART_NUMBERS // (12 * grid.count * grid.samples**2))
    parts = []
    for start in range(0, max(1, len(rois)), length):
        run = slice(start, start + length)
        inputs = (table, rois[run], None if offset is None else offset[run], (height, width), grid)
        once = length >= len(rois) or not torch.is_grad_enabled()
        # Indices and shares are worked out again in the backward pass instead of being kept.
        parts.append(_part(*inputs) if once else checkpoint(_part, *inputs, use_reentrant=False))
    return torch.cat(parts).permute(0, 3, 1, 2)


def _part(table: Tensor, rois: Tensor, offset: Tensor | None, size: tuple[int, int], grid: _Bins) -> Tensor:
    """Pool regions (R, 5): (R, kh, kw, table's channels)."""
    xs, ys = _sampling_places(rois, offset, grid)
    rows, row_shares = _features_of_axis(ys, size[0])
    cols, col_shares = _features_of_axis(xs, size[1])
    first = rois[:, 0].long().view(-1, 1, 1)
    if grid.position_sensitive:
        first = first * grid.count + torch.arange(grid.count, device=rois.device).view(grid.shape)
    places = (first[..., None] * size[0] + rows)[..., :, None] * size[1] + cols[..., None, :]
    # The samples of a bin are the product of its rows and columns: so is their mean.
    shares = row_shares[..., :, None] * col_shares[..., None, :]
    bag = (2 * grid.samples) ** 2
    pooled = F.embedding_bag(
        places.reshape(-1, bag), table, mode="sum", per_sample_weights=shares.expand_as(places).reshape(-1, bag)
    )
    return pooled.view(len(rois), *grid.shape, table.shape[1])


def _sampling_places(rois: Tensor, offset: Tensor | None, grid: _Bins) -> list[Tensor]:
    """Columns and rows at which each bin is sampled: two of (R, kh, kw, samples)."""
    low = _rounded(rois[:, 1:3]) * grid.scale - 0.5
    size = ((_rounded(rois[:, 3:5]) + 1) * grid.scale - 0.5 - low).clamp(min=LEAST_SIZE)
    within = 0.5 if grid.sample_at == "centre" else 0.0
    cell = (torch.arange(grid.samples, device=rois.device, dtype=rois.dtype) + within) / grid.samples
    places = []
    for axis, bins in enumerate(grid.shape[::-1]):
        start = torch.arange(bins, device=rois.device, dtype=rois.dtype)
        share = (start[:, None] + cell) / bins  # of the region's width or height
        share = (share[None, :] if axis == 0 else share[:, None]).expand(len(rois), *grid.shape, -1)
        if offset is not None:
            share = share + grid.gamma * offset[:, axis, :, :, None]
        places.append(low[:, axis, None, None, None] + share * size[:, axis, None, None, None])
    return places


def _features_of_axis(place: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Indices and shares (R, kh, kw, 2 samples) on one axis that make the mean of the samples inside the map."""
    inside = (place >= -0.5) & (place <= length - 0.5)
    # Not `clamp`, which may or may not pass on the gradient at its bound; past the last feature both indices are its.
    place = torch.where(inside & (place >= 0), place, 0)
    low = place.detach().floor()
    after = place - low
    indices = torch.cat([low, (low + 1).clamp(max=length - 1)], -1).long()
    used = inside.to(place.dtype) / inside.sum(-1, keepdim=True).clamp(min=1)
    return indices, torch.cat([(1 - after) * used, after * used], -1)


def _rounded(x: Tensor) -> Tensor:
    """Nearest integer, halves away from zero (`torch.round` takes them to the even one)."""
    size = x.abs()
    low = size.floor()
    return torch.copysign(low + (size - low >= 0.5), x)


def _one_table(rois: Tensor | Sequence[Tensor], features: Tensor) -> Tensor:
    """Regions as one tensor (R, 5)."""
    if isinstance(rois, Tensor):
        if rois.dim() != 2 or rois.shape[1] != 5:
            raise ValueError(
                f"rois have shape {tuple(rois.shape)}; expected (R, 5): index in the batch, x0, y0, x1, y1"
            )
        return rois
    if len(rois) != len(features):
        raise ValueError(f"rois of {len(rois)} pictures for a batch of {len(features)}; expected one tensor a picture")
    shapes = [tuple(r.shape) for r in rois]
    if any(len(shape) != 2 or shape[1] != 4 for shape in shapes):
        raise ValueError(f"rois have shapes {shapes}; expected (R, 4) each: x0, y0, x1, y1")
    if not rois:
        return features.new_zeros(0, 5)
    return torch.cat([F.pad(r, (1, 0), value=float(index)) for index, r in enumerate(rois)])


def _check(features: Tensor, rois: Tensor, offset: Tensor | None, grid: _Bins) -> None:
    if features.dim() != 4 or min(features.shape[1:]) < 1:
        raise ValueError(f"features have shape {tuple(features.shape)}; expected (B, C, H, W)")
    if min(grid.shape) < 1 or grid.samples < 1 or grid.scale <= 0:
        raise ValueError(
            f"output_size {grid.shape}, samples_per_part {grid.samples} and spatial_scale {grid.scale} must be positive"
        )
    if grid.sample_at not in get_args(SampleAt):
        raise ValueError(f"sample_at is {grid.sample_at!r}; expected one of {get_args(SampleAt)}")
    if grid.position_sensitive and features.shape[1] % grid.count:
        raise ValueError(
            f"{features.shape[1]} channels cannot be shared by {grid.shape[0]} x {grid.shape[1]} bins; "
            f"expected a multiple of {grid.count}"
        )
    if offset is not None and tuple(offset.shape) != (len(rois), 2, *grid.shape):
        raise ValueError(f"offset has shape {tuple(offset.shape)}; expected {(len(rois), 2, *grid.shape)}")
    # Reading values would break a compiled graph in two.
    if not torch.compiler.is_compiling():
        _check_pictures(rois[:, 0], len(features))


def _check_pictures(index: Tensor, batch: int) -> None:
    strange = index[~((index >= 0) & (index < batch))]
    if len(strange):
        raise ValueError(f"a region is of picture {strange[0].item():g}; expected an index from 0 to {batch - 1}")


def _zero(layer: nn.Linear | nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
