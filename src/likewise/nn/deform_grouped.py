"""DCNv3 and DCNv4 as layers: they project their input, read offsets and modulation off it, and aggregate by groups.

Wang et al., "InternImage", CVPR 2023, section 3.1; Xiong et al., "Efficient Deformable ConvNets", CVPR 2024, section 3.
Shapes: B batch, C channels, G groups, K points of the kernel. `likewise.ops.deform.grouped` has the conventions.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.ops.deform.grouped import dcnv3, dcnv4


class DCNv3(nn.Module):
    """Projection, softmax-weighted deformable aggregation, projection; a map keeps its size.

    Offsets and logits are read off the input after a depthwise convolution, a norm over channels and GELU; what reads
    them starts at zero: every group then averages its regular grid of points.

    Args:
        channels: C.
        kernel_size: odd.
        groups: must divide C; the paper's groups have 16 channels.
        dilation: of the kernel.
        offset_scale: factor on offsets and on the kernel's own reach.
        center_feature_scale: mix the projected input back in, by a gate a group that starts at a half.
        remove_center: leave the kernel's middle out.

    Raises:
        LikewiseError: groups that do not divide the channels, or an even kernel.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 3,
        groups: int = 4,
        dilation: int = 1,
        offset_scale: float = 1.0,
        *,
        center_feature_scale: bool = False,
        remove_center: bool = False,
    ) -> None:
        super().__init__()
        points = _points(channels, kernel_size, groups, remove_center=remove_center)
        self.groups, self.kernel_size, self.dilation, self.offset_scale = groups, kernel_size, dilation, offset_scale
        self.remove_center = remove_center
        self.depthwise = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.offset, self.mask = nn.Linear(channels, 2 * groups * points), nn.Linear(channels, groups * points)
        self.gate = nn.Linear(channels, groups) if center_feature_scale else None
        self.input_proj, self.output_proj = _projection(channels), _projection(channels)
        _zero(self.offset, self.mask, self.gate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        read = F.gelu(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        value = self.input_proj(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        out = dcnv3(
            value,
            self.offset(read).permute(0, 3, 1, 2),
            self.mask(read).permute(0, 3, 1, 2),
            self.kernel_size,
            padding=self.dilation * (self.kernel_size - 1) // 2,
            dilation=self.dilation,
            groups=self.groups,
            offset_scale=self.offset_scale,
            remove_center=self.remove_center,
        )
        if self.gate is not None:
            share = self.gate(read).sigmoid().permute(0, 3, 1, 2).repeat_interleave(x.shape[1] // self.groups, 1)
            out = out * (1 - share) + value * share
        return self.output_proj(out.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class DCNv4(nn.Module):
    """Projection, deformable aggregation with weights of any size, projection; a map keeps its size.

    Offsets and weights are read off the input itself by one projection, which starts at zero: so does the aggregate,
    and the layer gives its last projection's bias until it is trained.

    Args:
        channels: C.
        kernel_size: odd.
        groups: must divide C.
        dilation: of the kernel.
        offset_scale: factor on offsets and on the kernel's own reach.
        remove_center: leave the kernel's middle out.

    Raises:
        LikewiseError: as `DCNv3`.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 3,
        groups: int = 4,
        dilation: int = 1,
        offset_scale: float = 1.0,
        *,
        remove_center: bool = False,
    ) -> None:
        super().__init__()
        self.points = _points(channels, kernel_size, groups, remove_center=remove_center)
        self.groups, self.kernel_size, self.dilation, self.offset_scale = groups, kernel_size, dilation, offset_scale
        self.remove_center = remove_center
        self.offset_mask = nn.Linear(channels, 3 * groups * self.points)
        self.value_proj, self.output_proj = _projection(channels), _projection(channels)
        _zero(self.offset_mask)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        rows = x.permute(0, 2, 3, 1)
        # Of each group first the offsets, then the weights, as the paper's memory layout has them.
        offset, mask = self.offset_mask(rows).unflatten(3, (self.groups, -1)).split([2 * self.points, self.points], 4)
        out = dcnv4(
            self.value_proj(rows).permute(0, 3, 1, 2),
            offset.flatten(3).permute(0, 3, 1, 2),
            mask.flatten(3).permute(0, 3, 1, 2),
            self.kernel_size,
            padding=self.dilation * (self.kernel_size - 1) // 2,
            dilation=self.dilation,
            groups=self.groups,
            offset_scale=self.offset_scale,
            remove_center=self.remove_center,
        )
        return self.output_proj(out.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _points(channels: int, kernel_size: int, groups: int, *, remove_center: bool) -> int:
    if groups < 1 or channels % groups:
        raise LikewiseError(f"groups = {groups}: expected a divisor of {channels} channels")
    if kernel_size < 1 or kernel_size % 2 == 0 or (remove_center and kernel_size == 1):
        raise LikewiseError(f"kernel_size = {kernel_size}: expected an odd number, above 1 without its centre")
    return kernel_size**2 - remove_center


def _projection(channels: int) -> nn.Linear:
    layer = nn.Linear(channels, channels)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _zero(*layers: nn.Linear | None) -> None:
    for layer in layers:
        if layer is not None:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
