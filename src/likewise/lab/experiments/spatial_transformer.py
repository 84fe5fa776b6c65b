"""A spatial transformer before any classifier: Jaderberg et al., "Spatial Transformer Networks", NeurIPS 2015."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Channels of the localisation network's convolutions, side of the map it reads the transformation off, and units.
CHANNELS = 16
CELLS = 7
UNITS = 32


class SpatialTransformer(nn.Module):
    """Brings the whole picture upright by one affine map that a small network reads off it, then classifies it.

    The localisation network's last layer starts as the identity, whatever the picture, as in the paper: until it is
    trained this is the classifier alone. All of the picture moves as one, where deformable convolution moves every
    sample on its own.

    Args:
        classifier: takes (B, C, S, S).
        channels: C.
    """

    def __init__(self, classifier: nn.Module, channels: int = 1) -> None:
        super().__init__()
        self.classifier = classifier
        widths = (channels, CHANNELS, CHANNELS, CHANNELS)
        convolutions = [nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths)]
        parts = [layer for conv in convolutions for layer in (conv, nn.ReLU())]
        self.localisation = nn.Sequential(
            *parts, nn.AdaptiveAvgPool2d(CELLS), nn.Flatten(), nn.Linear(CHANNELS * CELLS**2, UNITS), nn.ReLU()
        )
        self.affine = nn.Linear(UNITS, 6)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def transformation(self, x: Tensor) -> Tensor:
        """(B, 2, 3): from a place of the picture that is classified, x and y from -1 to 1, to where ``x`` is read."""
        return self.affine(self.localisation(x)).view(-1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> what the classifier gives."""
        grid = F.affine_grid(self.transformation(x), list(x.shape), align_corners=False)
        return self.classifier(F.grid_sample(x, grid, align_corners=False))
