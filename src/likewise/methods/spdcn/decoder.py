"""SPDCN's decoder: convolutions and pixel shuffles, from features of stride 8 to one channel of density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn


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


def _conv3(channels: int, out: int, std: float | None) -> nn.Conv2d:
    conv = nn.Conv2d(channels, out, 3, padding=1)
    if std is None:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    else:
        nn.init.normal_(conv.weight, std=std)
        nn.init.zeros_(cast(Tensor, conv.bias))
    return conv
