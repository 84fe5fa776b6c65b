"""A small image tower for dense use: a mobile trunk whose stages are joined on one grid.

Shapes: B batch, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.methods.countx.interaction import InteractionLayer
from likewise.nn.trunks import at_grid, channels_at_stride, load_mobilenetv2, mobilenetv2_stages

#: Pixels a side of a place of the joined features, and of the trunk's deepest.
STRIDE, DEEPEST = 8, 32


class SmallTower(nn.Module):
    """MobileNetV2 to stride 32, its stages from stride 4 on joined at stride 8, and one layer that looks around."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.stages, infos = mobilenetv2_stages(deep=True)
        self.widths = [channels_at_stride(info, STRIDE) for info in infos[1:]]
        self.join = nn.Conv2d(sum(self.widths), width, 1)
        self.around = InteractionLayer(width, 1, mixing="convolution", texted=False, expansion=expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures (B, 3, H, W) -> (B, C, h, w), on the grid of `stacked`."""
        return self.joined(self.stacked(x))

    def joined(self, stacked: Tensor) -> Tensor:
        """The features (B, C, h, w) that are made of stages (B, D, h, w)."""
        joined = self.join(stacked)
        grid, tokens = (joined.shape[2], joined.shape[3]), joined.flatten(2).transpose(1, 2)
        return self.around(tokens, None, grid).transpose(1, 2).unflatten(2, grid)

    def stacked(self, x: Tensor) -> Tensor:
        """The stages side by side, not yet joined: (B, D, h, w).

        Pictures are padded with the mean colour to multiples of 32 first: h w are an eighth of that.
        """
        x = F.pad(x, (0, -x.shape[3] % DEEPEST, 0, -x.shape[2] % DEEPEST))
        grid, seen = (x.shape[2] // STRIDE, x.shape[3] // STRIDE), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index:
                seen.append(at_grid(x, grid))
        return torch.cat(seen, dim=1)

    @torch.no_grad()
    def start_from(self, mean: Tensor, directions: Tensor) -> None:
        """Let the features be where the stacked stages lie along some directions (D, C), counted from a mean (D,)."""
        self.join.weight.copy_(directions.T[:, :, None, None])
        self.join.bias.copy_(-mean @ directions)  # type: ignore[union-attr]  # it has one
        self.around.start_as_identity()

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Start the trunk from ImageNet weights under timm's names for ``mobilenetv2_100``."""
        load_mobilenetv2(self.stages, state)
