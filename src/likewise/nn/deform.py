"""A convolution that learns where to look: it carries the offset branch that `ops.deform_conv2d` is given from outside.

Dai et al., "Deformable Convolutional Networks", ICCV 2017, section 2.1; modulation: Zhu et al., CVPR 2019, eq. 1.

Shapes: B batch, C input channels, G offset groups, N kernel positions.

Convention
----------
Places are (row, column) on a grid whose first cell's centre is (0, 0), as in `likewise.ops.deform.conv2d`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.ops.deform.conv2d import deform_conv2d


class DeformableConv2d(nn.Conv2d):
    """An ordinary convolution made deformable: the same parameters, and a zero-initialised convolution for offsets.

    Its output is the ordinary convolution's until it is trained: offsets start at 0, modulation (by default) at 1.
    Weight and bias are the given convolution's own Parameters under their old names; the branch is ``offsets``.

    Args:
        conv: of any stride, padding, dilation and groups.
        modulated: also learn how much each sample counts (DCNv2).
        offset_groups: groups of input channels with offsets of their own; must divide the input channels.
        modulation_scale: what the modulation's sigmoid is multiplied by: 2 lets it start at 1, as DCNv2's example
            network does, and change nothing; 1 is the paper's, which starts at a half, and what other libraries'
            checkpoints were trained with.

    Raises:
        LikewiseError: a subclass with a computation of its own, which cannot be reproduced here.

    Example:
        >>> conv = nn.Conv2d(3, 8, kernel_size=3, padding=1)
        >>> layer, image = DeformableConv2d(conv), torch.rand(1, 3, 16, 16)
        >>> torch.allclose(layer(image), conv(image), atol=1e-5)  # until it is trained
        True
    """

    def __init__(
        self, conv: nn.Conv2d, *, modulated: bool = False, offset_groups: int = 1, modulation_scale: float = 2.0
    ) -> None:
        if type(conv) not in (nn.Conv2d, Conv2dSame):
            kind = type(conv).__name__
            raise LikewiseError(f"{kind} is no ordinary convolution; expected torch.nn.Conv2d or timm's Conv2dSame")
        if offset_groups < 1 or conv.in_channels % offset_groups:
            raise LikewiseError(f"offset_groups = {offset_groups}: expected a divisor of {conv.in_channels} channels")
        kernel, stride, dilation = _two(conv.kernel_size), _two(conv.stride), _two(conv.dilation)
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            kernel,
            stride,
            dilation=dilation,
            groups=conv.groups,
            bias=conv.bias is not None,
            padding_mode=conv.padding_mode,
            device="meta",  # only until the given parameters are put in
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.offset_groups, self.modulated, self.modulation_scale = offset_groups, modulated, modulation_scale
        self.same = isinstance(conv, Conv2dSame)
        left, right, top, bottom = conv._reversed_padding_repeated_twice
        self.border = (left, right, top, bottom)
        symmetric = left == right and top == bottom and conv.padding_mode == "zeros" and not self.same
        # The operator pads with zeros, alike on both sides; other borders are put round the input before it.
        self.padding = (top, left) if symmetric else (0, 0)
        self.offsets = nn.Conv2d(
            conv.in_channels,
            (3 if modulated else 2) * offset_groups * kernel[0] * kernel[1],
            kernel,
            stride,
            self.padding,
            dilation,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        for parameter in self.offsets.parameters():
            nn.init.zeros_(parameter)
        self.train(conv.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Conv2d's name
        """(B, C, H, W) -> (B, D, H', W')."""
        x = self._bordered(input)
        offset, mask = self._split(self.offsets(x))
        padding = (int(self.padding[0]), int(self.padding[1]))
        return deform_conv2d(x, offset, self.weight, self.bias, _two(self.stride), padding, _two(self.dilation), mask)

    def field(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Offsets (B, 2 G N, H', W'), (y, x) per position, and modulation (B, G N, H', W') for an input."""
        return self._split(self.offsets(self._bordered(x)))

    @property
    def samples(self) -> int:
        """Places that a unit reads: G N."""
        return self.offset_groups * self.kernel_size[0] * self.kernel_size[1]

    def margins(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(left, right, top, bottom): cells put round an input of that size, by whichever way."""
        if not self.same:
            return self.border
        kernel, stride, dilation = _two(self.kernel_size), _two(self.stride), _two(self.dilation)
        (top, bottom), (left, right) = (
            _same_margins(n, kernel[i], stride[i], dilation[i]) for i, n in enumerate((height, width))
        )
        return left, right, top, bottom

    def _bordered(self, x: Tensor) -> Tensor:
        margins = self.margins(x.shape[-2], x.shape[-1])
        if any(self.padding) or not any(margins):
            return x
        return F.pad(x, margins, mode="constant" if self.padding_mode == "zeros" else self.padding_mode)

    def _split(self, out: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.modulated:
            return out, None
        samples = out.shape[1] // 3
        return out[:, : 2 * samples], self.modulation_scale * out[:, 2 * samples :].sigmoid()


def places_read(layer: DeformableConv2d, x: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """Where, on its input, a deformable layer reads for some units of its output.

    A unit between four cells reads where the bilinear mean of their offsets points; so places compose through layers.

    Args:
        layer: the layer.
        x: (1, C, H, W) its input.
        units: (M, 2) row and column on the output's grid, also fractional.

    Returns:
        (M, G N, 2) rows and columns on the input's grid and (M, G N) weights: the share of the kernel position in
        the norm of the kernel, times the modulation, times how far the place lies inside the input (1 or, in the
        interpolated border, less; 0 outside).
    """
    size = x.new_tensor(x.shape[-2:], dtype=torch.float64)
    left, _, top, _ = layer.margins(x.shape[-2], x.shape[-1])
    with torch.no_grad():
        offset, mask = layer.field(x)
    moved = _interpolated(offset[0].double(), units).unflatten(1, (-1, 2))
    corner = units[:, None] * units.new_tensor(layer.stride) - units.new_tensor([top, left])
    places = corner + _kernel_grid(layer).to(units).repeat(layer.offset_groups, 1) + moved
    norms = layer.weight.detach().double().norm(dim=(0, 1)).flatten().repeat(layer.offset_groups)
    weights = norms / norms.sum().clamp(min=torch.finfo(norms.dtype).tiny)
    if mask is not None:
        weights = weights * _interpolated(mask[0].double(), units)
    return places, weights * (1 - torch.maximum(-places, places - (size - 1)).clamp(0, 1)).prod(-1)


def _kernel_grid(layer: DeformableConv2d) -> Tensor:
    """(N, 2) rows and columns of the kernel's positions from its first."""
    axes = [torch.arange(n) * d for n, d in zip(_two(layer.kernel_size), _two(layer.dilation), strict=True)]
    return torch.cartesian_prod(*axes)


def _interpolated(field: Tensor, units: Tensor) -> Tensor:
    """A field (K, H, W) read bilinearly at units (M, 2); beyond the border stands what the border holds: (M, K)."""
    last = units.new_tensor(field.shape[1:]) - 1
    units = units.clamp(min=0).minimum(last)
    first = units.floor().long()
    after = (first + 1).minimum(last.long())
    down, across = (units - first).unbind(1)
    upper = field[:, first[:, 0], first[:, 1]] * (1 - across) + field[:, first[:, 0], after[:, 1]] * across
    lower = field[:, after[:, 0], first[:, 1]] * (1 - across) + field[:, after[:, 0], after[:, 1]] * across
    return (upper * (1 - down) + lower * down).T


def _same_margins(cells: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's padding: as little as gives ceil(cells / stride) outputs, the odd one behind."""
    needed = max((-(-cells // stride) - 1) * stride + (kernel - 1) * dilation + 1 - cells, 0)
    return needed // 2, needed - needed // 2


def _two(values: tuple[int, ...]) -> tuple[int, int]:
    return values[0], values[1]
