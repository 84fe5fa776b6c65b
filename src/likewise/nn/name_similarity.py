"""Where in a picture is what a text names: features of places and vectors of texts in one space.

Shapes: B batch, C channels, h w grid.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Match(NamedTuple):
    """Unit vectors of places (B, C, h, w) and of texts (B, C), and what their cosine is scaled and shifted by."""

    places: Tensor
    texts: Tensor
    scale: Tensor
    bias: Tensor

    def logits(self) -> Tensor:
        """(B, 1, h, w): how sure it is that each place shows what its picture's text says."""
        with torch.autocast(self.places.device.type, enabled=False):
            cosine = torch.einsum("bchw,bc->bhw", self.places, self.texts)[:, None]
        return cosine * self.scale + self.bias


class Similarity(nn.Module):
    """Places and texts in one space."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Conv2d(width, width, 1)
        self.text = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.tensor(12.0))
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def forward(self, features: Tensor, text: Tensor) -> Match:
        """Features (B, C, h, w) and texts (B, C); cosines are float32 under autocast too."""
        places, texts = self.place(features).float(), self.text(text).float()
        return Match(F.normalize(places, dim=1), F.normalize(texts, dim=1), self.scale, self.bias)
