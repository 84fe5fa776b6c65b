"""Deformable RoI pooling, plain and position-sensitive (Dai et al., ICCV 2017, section 2.2, eq. 5 and 6).

Modulated: Zhu et al., CVPR 2019, eq. 2. `likewise.nn.deform_roi` has the layers.

Shapes: B batch, C channels, (H, W) feature map, R regions of interest, (kh, kw) bins, n classes.

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
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from likewise.ops.checks import without_autocast
from likewise.ops.deform.bags import weighted_bags
from likewise.ops.deform.checks import check_floating, pair

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
    mask: Tensor | None = None,
) -> Tensor:
    """Average the features in every bin of every region, each bin moved by its offset.

    Bin (i, j) is moved by ``gamma * offset[:, :, i, j] * (region width, region height)``. Every class may have offsets
    and modulation of its own: the output channels are then cut into as many equal parts, one after the other. The
    result is differentiable in ``features``, ``offset`` and ``mask``; regions carry no gradient (their corners are
    rounded). Half precision features (under autocast too) are pooled in float32 and returned in their own dtype.

    Args:
        features: (B, C, H, W).
        rois: (R, 5): index in the batch, x0, y0, x1, y1; or B tensors (R_b, 4), as for torchvision's operators.
        offset: (R, 2 n, kh, kw) normalised, (x, y) of each class, n dividing the output channels (1: the same for
            all); None for plain pooling.
        output_size: number of bins (kh, kw), or one number for both.
        spatial_scale: features per pixel of the picture, 1 / stride.
        samples_per_part: samples a bin and axis.
        gamma: share of the region's size that an offset of 1 stands for.
        position_sensitive: bin (i, j) of output channel c reads only feature map (c * kh + i) * kw + j
            (torchvision's order), so that C is a multiple of kh * kw; otherwise every bin reads every map.
        sample_at: where in its cell a sample lies, "centre" or "corner" (see Convention).
        mask: (R, n, kh, kw), by which every bin's mean is multiplied, n as of the offset (or 1 without); None for 1.

    Returns:
        (R, C, kh, kw), or (R, C / (kh * kw), kh, kw) if position-sensitive.

    Raises:
        ValueError: shapes that do not belong together, a region of a picture that is not in the batch, or a setting
            that is not positive.

    Example:
        >>> features = torch.arange(8.0).expand(1, 1, 8, 8)  # each is the number of its column
        >>> region = torch.tensor([[0.0, 2.0, 2.0, 5.0, 5.0]])
        >>> deform_roi_pool(features, region, None, output_size=2, samples_per_part=1)[0, 0]
        tensor([[2.5000, 4.5000],
                [2.5000, 4.5000]])
    """
    shape = pair(output_size, "output_size", least=1)
    grid = _Bins(shape, spatial_scale, samples_per_part, gamma, position_sensitive, sample_at)
    rois = _one_table(rois, features)
    check_floating(features, offset, mask)
    _check(features, rois, grid)
    classes = _check_fields(features, rois, offset, mask, grid)
    compute = torch.float64 if features.dtype == torch.float64 else torch.float32
    # Autocast would hand half precision to kernels that have none on the CPU, and round the sampling places.
    with without_autocast(features.device):
        moved = None if offset is None else offset.to(compute)
        out = _each_class(features.to(compute), rois.detach().to(compute), moved, grid, classes)
        if mask is not None:
            out = (out.unflatten(1, (classes, -1)) * mask.to(compute)[:, :, None]).flatten(1, 2)
    return out.to(features.dtype)


def _each_class(features: Tensor, rois: Tensor, offset: Tensor | None, grid: _Bins, classes: int) -> Tensor:
    """Pool each class's channels with its own offsets: as a picture, and a region, of its own."""
    if classes == 1 or offset is None:
        return _in_parts(features, rois, offset, grid)
    batch, channels = features.shape[:2]
    parts = features.reshape(batch * classes, channels // classes, *features.shape[2:])
    own = rois[:, None].repeat(1, classes, 1)
    own[..., 0] = own[..., 0] * classes + torch.arange(classes, device=rois.device)
    out = _in_parts(parts, own.flatten(0, 1), offset.reshape(-1, 2, *grid.shape), grid)
    return out.reshape(len(rois), classes * out.shape[1], *grid.shape)


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
    pooled = weighted_bags(table, places.reshape(-1, bag), shares.expand_as(places).reshape(-1, bag))
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


def _check(features: Tensor, rois: Tensor, grid: _Bins) -> None:
    if features.dim() != 4 or min(features.shape[1:]) < 1:
        raise ValueError(f"features have shape {tuple(features.shape)}; expected (B, C, H, W)")
    if grid.samples < 1 or not grid.scale > 0:
        raise ValueError(f"samples_per_part {grid.samples} and spatial_scale {grid.scale} must be positive")
    if grid.sample_at not in get_args(SampleAt):
        raise ValueError(f"sample_at is {grid.sample_at!r}; expected one of {get_args(SampleAt)}")
    if grid.position_sensitive and features.shape[1] % grid.count:
        raise ValueError(
            f"{features.shape[1]} channels cannot be shared by {grid.shape[0]} x {grid.shape[1]} bins; "
            f"expected a multiple of {grid.count}"
        )
    # Reading values would break a compiled graph in two.
    if not torch.compiler.is_compiling() and not rois.is_meta:
        _check_regions(rois, len(features))


def _check_fields(features: Tensor, rois: Tensor, offset: Tensor | None, mask: Tensor | None, grid: _Bins) -> int:
    """How many classes have offsets or modulation of their own."""
    out_channels = features.shape[1] // (grid.count if grid.position_sensitive else 1)
    classes = 1 if offset is None or offset.dim() != 4 else max(1, offset.shape[1] // 2)
    if offset is None and mask is not None and mask.dim() == 4:
        classes = max(1, mask.shape[1])
    for name, field, times in (("offset", offset, 2), ("mask", mask, 1)):
        expected = (len(rois), times * classes, *grid.shape)
        if field is not None and tuple(field.shape) != expected:
            raise ValueError(f"{name} has shape {tuple(field.shape)}; expected {expected}")
    if out_channels % classes:
        raise ValueError(f"{out_channels} output channels cannot be shared by {classes} classes")
    return classes


def _check_regions(rois: Tensor, batch: int) -> None:
    if not bool(rois.isfinite().all()):
        raise ValueError("a region is not finite; expected the index of a picture and four numbers")
    strange = rois[:, 0][~((rois[:, 0] >= 0) & (rois[:, 0] < batch))]
    if len(strange):
        raise ValueError(f"a region is of picture {strange[0].item():g}; expected an index from 0 to {batch - 1}")
