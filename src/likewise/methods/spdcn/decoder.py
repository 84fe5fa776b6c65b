"""SPDCN's decoder: convolutions and pixel shuffles, from features of stride 8 to one channel of density.

Before it, `Surroundings` may tell each place what lies around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

#: Distance, in cells, between the taps of each of the convolutions of `Surroundings`: together they see 7 cells far.
DILATIONS = (1, 2, 4)


class Surroundings(nn.Module):
    """What lies round each place, beyond what the decoder sees of it, which is less than a thing.

    A place that looks like an example is a thing where its neighbours look like others, and ground where all of them do.
    Depthwise convolutions further and further apart (Yu & Koltun, "Multi-scale context aggregation by dilated
    convolutions", ICLR 2016), as a residual that is nothing before it is trained. Not in the paper of SPDCN.

    Args:
        channels: of what is decoded.
        width: channels of the residual.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels, width, 1)
        self.steps = nn.ModuleList(_separable(width, dilation) for dilation in DILATIONS)
        self.widen = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(cast(Tensor, self.widen.bias))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        seen = F.relu(self.narrow(x))
        for step in self.steps:
            seen = seen + step(seen)
        added: Tensor = self.widen(seen)
        return x + added


def density_decoder(channels: int, stages: Sequence[tuple[int, int]], std: float | None) -> nn.Sequential:
    """3x3 convolutions, each with ReLU and the pixel shuffle it asks for; the last gives one channel.

    Args:
        channels: of what is decoded.
        stages: (channels, pixel shuffle) of each convolution before the last.
        std: of the weights at the start, with biases at 0; None: He et al.'s, with biases as PyTorch draws them.
    """
    layers = []
    for out, shuffle in stages:
        layers.append(nn.Sequential(_conv3(channels, out, std), nn.ReLU(inplace=True), nn.PixelShuffle(shuffle)))
        channels = out // shuffle**2
    return nn.Sequential(*layers, _conv3(channels, 1, std))


def _separable(width: int, dilation: int) -> nn.Sequential:
    apart = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=width)
    return nn.Sequential(apart, nn.Conv2d(width, width, 1), nn.ReLU())


def _conv3(channels: int, out: int, std: float | None) -> nn.Conv2d:
    conv = nn.Conv2d(channels, out, 3, padding=1)
    if std is None:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    else:
        nn.init.normal_(conv.weight, std=std)
        nn.init.zeros_(cast(Tensor, conv.bias))
    return conv
