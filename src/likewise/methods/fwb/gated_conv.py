"""A 3x3 convolution of one picture's features, scaled by many different maps.

conv(L * s) at p is the sum over the nine offsets n of s(p + n) (W_n L)(p + n). The products W_n L do not depend on s:
made once, they leave nine multiplications a place and output channel for every further s, instead of nine times C.

Shapes: C input channels, O output channels, E maps, h w grid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: From so many input channels on, reading the products takes less time than convolving again.
WORTHWHILE = 64


class GatedConv:
    """The convolution of ``features * gate`` for gate after gate, padded with zeros.

    Args:
        features: (C, h, w).
        weight: (O, C, 3, 3).
        bias: (O,).
        products: whether to make the products; None: where that is the faster way.
    """

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor, *, products: bool | None = None) -> None:
        self.features, self.weight, self.bias = features, weight, bias
        wanted = len(features) >= WORTHWHILE if products is None else products
        self.products = _products(features, weight) if wanted else None

    def __call__(self, gate: Tensor) -> Tensor:
        """(h, w) -> (O, h, w); gradients flow to the gate."""
        if self.products is None:
            return F.conv2d((self.features * gate)[None], self.weight, self.bias, padding=1)[0]
        shifted = F.unfold(gate[None, None], 3, padding=1)[0].unflatten(1, gate.shape)
        out = self.bias.view(-1, 1, 1).expand_as(self.products[0])
        for product, part in zip(self.products, shifted, strict=True):
            out = torch.addcmul(out, product, part)
        return out


def _products(features: Tensor, weight: Tensor) -> Tensor:
    """(9, O, h, w): each offset's share of the convolution, where it is used."""
    height, width = features.shape[1:]
    padded = F.pad(features, (1, 1, 1, 1))
    parts = [padded[:, i : i + height, j : j + width].flatten(1) for i in range(3) for j in range(3)]
    rows = weight.flatten(2).unbind(2)
    return torch.stack([row @ part for row, part in zip(rows, parts, strict=True)]).unflatten(2, (height, width))
