"""VLCounter's density decoder and its segment-aware skip connections (Kang et al., AAAI 2024).

Shapes: N windows, g patches a side, D decoder channels, C channels of the image tower.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Stage(nn.Module):
    """Convolution, GroupNorm(8), GELU, then ``scale`` times as many pixels a side."""

    def __init__(self, channels: int, out: int, kernel: int, scale: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2)
        self.gn = nn.GroupNorm(8, out)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, out, scale h, scale w)."""
        return _larger(F.gelu(self.gn(self.conv(x))), self.scale)


class Decoder(nn.Module):
    """Similarity and features of g x g patches to density, four times doubled; with SaSC, past the similarity.

    Args:
        channels: D of the features and of all stages.
        skip_width: C of the intermediate maps that skip connections bring in; None: there are none.
    """

    def __init__(self, channels: int, skip_width: int | None) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(channels + (k == 0), channels, 3, 2) for k in range(4))
        self.last = nn.Conv2d(channels, 1, 1)
        self.skips = nn.ModuleList()
        if skip_width is not None:
            self.skips.extend(Stage(skip_width, channels, 1, scale) for scale in (2, 4, 8))

    def forward(self, features: Tensor, similarity: Tensor, maps: list[Tensor]) -> Tensor:
        """(N, 1, 16 g, 16 g) from (N, D, g, g), (N, 1, g, g) and a map (N, C, g, g) a skip."""
        x = self.stages[0](torch.cat([features, similarity], dim=1))
        for k, stage in enumerate(list(self.stages)[1:]):
            if len(self.skips):
                skip = self.skips[k](maps[k])
                x = x + skip * F.interpolate(similarity, skip.shape[-2:], mode="nearest")
            x = stage(x) if k < 2 else self._end(stage, x)
        return x

    def _end(self, stage: nn.Module, x: Tensor) -> Tensor:
        """The fourth stage with the fifth's one-channel convolution moved before its interpolation."""
        return _larger(self.last(F.gelu(stage.gn(stage.conv(x)))), 2)  # type: ignore[operator]  # a Stage


def _larger(x: Tensor, scale: int) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=True)
