"""A density decoder that doubles its grid between convolutions, as CounTR and CounTX have it.

Shapes: B batch, C channels, h w grid.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

#: A decoder without norms gives about this much before it is trained.
START = 0.5


class DoublingDecoder(nn.Module):
    """3x3 convolutions, each with twice as many places a side as the one before, and one channel in the end.

    Args:
        channels: C of the features.
        widths: channels of the convolutions.
        normed: whether GroupNorm(8) follows each.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], *, normed: bool) -> None:
        super().__init__()
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for out in widths:
            conv = nn.Conv2d(channels, out, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            self.convs.append(conv)
            self.norms.append(nn.GroupNorm(8, out) if normed else nn.Identity())
            channels = out
        self.last = nn.Conv2d(channels, 1, 1)
        if not normed:  # nothing then keeps a fresh network's output from being negative everywhere, where it may stay
            nn.init.constant_(self.last.bias, START)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 1, 2^(n - 1) h, 2^(n - 1) w) with n convolutions."""
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(doubled(x) if index else x)))
        density: Tensor = self.last(x)
        return density


def doubled(x: Tensor) -> Tensor:
    """Twice as many places a side, bilinear, corners not aligned."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")
