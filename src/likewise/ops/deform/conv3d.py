"""Deformable convolution of volumes: Dai et al., ICCV 2017, eq. 2, with a third axis and trilinear sampling.

Shapes: B batch, C input channels, E output channels, (D, H, W) volume, N = kd * kh * kw kernel positions, G offset
groups.

Convention
----------
As in `likewise.ops.deform.conv2d`: offsets are in voxels of the input, ordered (z, y, x) per kernel position; voxel
(slice, row, col) sits at the integer place (slice, row, col). Zeros lie outside: a sample in (-1, 0) or (D - 1, D)
is interpolated against them. At exactly integer places the gradient of an offset is the one-sided difference
towards the next voxel (towards larger z, y or x).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from likewise.ops.checks import without_autocast
from likewise.ops.deform.bags import finite, weighted_bags
from likewise.ops.deform.checks import check_floating

Triple = tuple[int, int, int]

#: Numbers held at once for the samples of one part of the output (samples, their indices and shares of voxels) ...
PART_NUMBERS = 1 << 22
#: ... or this many times the volume, if it is more: every part adds to the whole volume's gradient.
PART_VOLUMES = 4


def deform_conv3d(
    input: Tensor,  # noqa: A002  # the name deform_conv2d and torch's convolutions give it
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Triple = 1,
    padding: int | Triple = 0,
    dilation: int | Triple = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Convolve a volume at sampling places moved by ``offset``.

    ``y(p) = sum_n w_n x(p + p_n + offset_n(p)) m_n(p) + b`` with trilinear x, exact on any device. Half precision
    input (under autocast too) is computed in float32 and returned in its own dtype. Large outputs are computed in
    parts whose samples are gathered again in the backward pass instead of being kept.

    Args:
        input: (B, C, D, H, W).
        offset: (B, 3 G N, D', H', W'), (z, y, x) per kernel position, G offset groups of C / G channels each.
        weight: (E, C / groups, kd, kh, kw); the number of groups is read off its shape.
        bias: (E,) or None.
        stride: of the output grid.
        padding: zeros round the input.
        dilation: of the kernel.
        mask: (B, G N, D', H', W') modulation or None.

    Returns:
        (B, E, D', H', W').

    Raises:
        ValueError: shapes that do not belong together; the message names both.

    Example:
        >>> volume, kernel = torch.arange(8.0).view(1, 1, 2, 2, 2), torch.ones(1, 1, 1, 1, 1)
        >>> deeper = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 2, 2)  # each a layer deeper
        >>> deform_conv3d(volume, deeper, kernel)[0, 0]
        tensor([[[4., 5.],
                 [6., 7.]],
                [[0., 0.],
                 [0., 0.]]])
    """
    if input.dim() != 5 or offset.dim() != 5 or weight.dim() != 5:
        shapes = [tuple(t.shape) for t in (input, offset, weight)]
        raise ValueError(f"expected input, offset and weight with five axes, got shapes {shapes}")
    check_floating(input, offset, weight, bias, mask)
    grid = _Grid(_triple(input.shape[2:]), _triple(weight.shape[2:]), *map(_triple, (stride, padding, dilation)))
    if min(*grid.stride, *grid.dilation) < 1 or min(grid.padding) < 0:
        raise ValueError(f"stride {stride}, dilation {dilation}: expected at least 1; padding {padding}: at least 0")
    _check_volume(input, offset, mask, grid)
    _check_channels(input, offset, weight, bias, grid)
    compute = torch.float64 if input.dtype == torch.float64 else torch.float32
    with without_autocast(input.device):
        out = _in_parts(
            input.to(compute),
            offset.to(compute),
            weight.to(compute),
            None if mask is None else mask.to(compute),
            grid,
        )
        out = out if bias is None else out + bias.to(compute)[:, None, None, None]
    return out.to(input.dtype)


class DeformConv3d(nn.Module):
    """Weights for `deform_conv3d`; the offsets (and the mask) come with every call. See :func:`deform_conv3d`.

    Example:
        >>> layer = DeformConv3d(2, 4, kernel_size=3, padding=1)
        >>> layer(torch.rand(1, 2, 4, 8, 8), offset=torch.zeros(1, 81, 4, 8, 8)).shape
        torch.Size([1, 4, 4, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Triple,
        stride: int | Triple = 1,
        padding: int | Triple = 0,
        dilation: int | Triple = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        # The initialisation is an ordinary convolution's: with zero offsets this is one.
        plain = nn.Conv3d(in_channels, out_channels, kernel_size, groups=groups, bias=bias)
        self.weight, self.bias = plain.weight, plain.bias
        self.stride, self.padding, self.dilation = _triple(stride), _triple(padding), _triple(dilation)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: A002
        """See :func:`deform_conv3d`."""
        return deform_conv3d(input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask)


@dataclass(frozen=True)
class _Grid:
    """Where an ordinary convolution of a volume of this size samples."""

    size: Triple
    kernel: Triple
    stride: Triple
    padding: Triple
    dilation: Triple

    @property
    def positions(self) -> int:
        return math.prod(self.kernel)

    @property
    def out(self) -> Triple:
        per_axis = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return _triple([(n + 2 * pad - spread * (k - 1) - 1) // step + 1 for n, k, step, pad, spread in per_axis])


def _in_parts(x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, grid: _Grid) -> Tensor:
    """Cut the output into runs of places whose samples fit in memory together."""
    batch, channels = x.shape[:2]
    places, groups = math.prod(grid.out), offset.shape[1] // (3 * grid.positions)
    table = x.reshape(batch * groups, channels // groups, math.prod(grid.size)).transpose(1, 2)
    table = table.flatten(0, 1).contiguous()  # bags of a transposed table are read many times more slowly
    offset = offset.reshape(batch, groups, grid.positions, 3, places)
    mask = None if mask is None else mask.reshape(batch, groups, grid.positions, places)
    # A sample is C / G numbers read by means of eight 8-byte indices and eight shares.
    per_place = batch * grid.positions * (channels + 24 * groups)
    length = max(1, max(PART_NUMBERS, PART_VOLUMES * table.numel()) // max(1, per_place))
    parts = []
    for start in range(0, places, length):
        run = slice(start, min(start + length, places))
        inputs = (table, offset[..., run], weight, None if mask is None else mask[..., run], run.start, grid)
        once = length >= places or not torch.is_grad_enabled()
        parts.append(_part(*inputs) if once else checkpoint(_part, *inputs, use_reentrant=False))
    return torch.cat(parts, 1).transpose(1, 2).unflatten(2, grid.out)


def _part(table: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, start: int, grid: _Grid) -> Tensor:
    """Outputs (B, P, E) of the P places from ``start`` on: gather the samples, then one matrix product a group."""
    where = _sampling_places(offset, start, grid)
    samples = _trilinear_bags(table, where, None if mask is None else mask.transpose(2, 3), grid.size)
    columns = samples.permute(0, 2, 3, 1, 4).flatten(3)  # B P N C
    groups = columns.shape[3] // weight.shape[1]
    kernels = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], grid.positions)
    return torch.einsum("bpngc,gecn->bpge", columns.unflatten(3, (groups, weight.shape[1])), kernels).flatten(2)


def _sampling_places(offset: Tensor, start: int, grid: _Grid) -> list[Tensor]:
    """Slices, rows and columns, each (B, G, P, N), at which the input is read; ``offset`` is (B, G, N, 3, P)."""
    device, dtype = offset.device, offset.dtype
    place = torch.arange(start, start + offset.shape[4], device=device)
    position = torch.arange(grid.positions, device=device)
    moved = []
    for axis in range(3):
        out = place // math.prod(grid.out[axis + 1 :]) % grid.out[axis]
        tap = position // math.prod(grid.kernel[axis + 1 :]) % grid.kernel[axis]
        regular = (out * grid.stride[axis] - grid.padding[axis])[:, None] + tap * grid.dilation[axis]
        moved.append(offset[:, :, :, axis].transpose(2, 3) + regular.to(dtype))
    return moved


def _trilinear_bags(table: Tensor, where: list[Tensor], mask: Tensor | None, size: Triple) -> Tensor:
    """Read the ``table`` of voxels (B * G * D * H * W, C / G) at places (B, G, P, N): (B, G, P, N, C / G)."""
    shape = where[0].shape
    first = torch.arange(shape[0] * shape[1], device=table.device).view(*shape[:2], 1, 1) * math.prod(size)
    (slices, rows, cols) = (_two_voxels(place, length) for place, length in zip(where, size, strict=True))
    indices, shares = [], []
    for (z, share_z), (y, share_y), (x, share_x) in product(slices, rows, cols):
        share = share_z * share_y * share_x
        indices.append(first + (z * size[1] + y) * size[2] + x)
        shares.append(share if mask is None else share * mask)
    bags = weighted_bags(table, torch.stack(indices, -1).view(-1, 8), torch.stack(shares, -1).view(-1, 8))
    return bags.view(*shape, table.shape[1])


def _two_voxels(place: Tensor, length: int) -> list[tuple[Tensor, Tensor]]:
    """Index and share of the voxels before and after a place on one axis; outside the share is 0 (and the index)."""
    place = finite(place)
    low = place.detach().floor()
    after = place - low
    voxels = []
    for index, share in ((low, 1 - after), (low + 1, after)):
        held = (index >= 0) & (index < length)
        voxels.append((torch.where(held, index, 0).long(), torch.where(held, share, 0)))
    return voxels


def _check_volume(x: Tensor, offset: Tensor, mask: Tensor | None, grid: _Grid) -> None:
    size, positions = grid.out, grid.positions
    if min(size) < 1:
        raise ValueError(
            f"a kernel of {grid.kernel}, dilated by {grid.dilation}, does not fit in a volume of {grid.size} padded by "
            f"{grid.padding}"
        )
    if offset.shape[1] % (3 * positions) or offset.shape[0] != x.shape[0] or tuple(offset.shape[2:]) != size:
        expected = f"({x.shape[0]}, {3 * positions} x offset groups, {size[0]}, {size[1]}, {size[2]})"
        raise ValueError(f"offset has shape {tuple(offset.shape)}; expected {expected}")
    moderated = (x.shape[0], offset.shape[1] // 3, *size)
    if mask is not None and tuple(mask.shape) != moderated:
        raise ValueError(f"mask has shape {tuple(mask.shape)}; expected {moderated}")


def _check_channels(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, grid: _Grid) -> None:
    groups = offset.shape[1] // (3 * grid.positions)
    if groups == 0 or x.shape[1] % groups or x.shape[1] % weight.shape[1]:
        raise ValueError(
            f"{x.shape[1]} input channels cannot be shared by {groups} offset groups and kernels of "
            f"{weight.shape[1]} channels"
        )
    if weight.shape[0] % (x.shape[1] // weight.shape[1]):
        raise ValueError(
            f"{weight.shape[0]} output channels cannot be shared by the {x.shape[1] // weight.shape[1]} groups that "
            f"{x.shape[1]} input channels and kernels of {weight.shape[1]} make"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(f"bias has shape {tuple(bias.shape)}; expected {(weight.shape[0],)}")


def _triple(value: int | Sequence[int]) -> Triple:
    if not isinstance(value, int) and (len(value) != 3 or not all(isinstance(n, int) for n in value)):
        raise ValueError(f"a setting is {value!r}; expected a whole number, or three")
    depth, height, width = (value, value, value) if isinstance(value, int) else value
    return (depth, height, width)
