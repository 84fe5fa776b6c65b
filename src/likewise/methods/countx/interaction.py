"""Image tokens that take in a text: CounTX's feature interaction (Amini-Naieni et al., BMVC 2023, section 3.2).

The text is one token. Attention to a single key gives its value whatever the query, so the published cross-attention
adds one vector, the same at every place, and what looks at the picture and the text together is the MLP after it.
Queries, keys and the norm before them change nothing and are not computed.

Shapes: B batch, N = h w tokens row by row, C channels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: How places see each other: every one every other, or their neighbourhood.
Mixing = Literal["attention", "convolution"]
EPS = 1e-6


class SelfAttention(nn.Module):
    """Every place looks at every other, with fused multi-head attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        parts = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*parts.unbind(0))
        mixed: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return mixed


class Neighbourhood(nn.Module):
    """Every place looks at the 7 x 7 round it, channel by channel: linear in the picture's size, alike in all sizes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, N, C) on a grid (h, w) -> (B, N, C)."""
        # tokens are a map stored channels last: nothing is copied
        around = self.conv(x.transpose(1, 2).unflatten(2, grid))
        mixed: Tensor = self.proj(around.flatten(2).transpose(1, 2))
        return mixed


class InteractionLayer(nn.Module):
    """Mixing over places, the text added, MLP; each a residual behind a LayerNorm.

    Args:
        width: channels C of tokens and text.
        heads: of the self-attention.
        mixing: how places see each other.
        texted: whether a text is taken in at all.
        gated: the text also scales the MLP's hidden units (not in the paper), so that it decides what passes.
        expansion: of the MLP.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mixing: Mixing = "attention",
        texted: bool = True,
        gated: bool = False,
        expansion: int = 4,
    ) -> None:
        super().__init__()
        self.norm_mix = nn.LayerNorm(width, eps=EPS)
        self.mix = SelfAttention(width, heads) if mixing == "attention" else Neighbourhood(width)
        self.value = nn.Linear(width, width) if texted else None
        self.proj = nn.Linear(width, width) if texted else None
        self.norm_mlp = nn.LayerNorm(width, eps=EPS)
        self.fc1 = nn.Linear(width, expansion * width)
        self.fc2 = nn.Linear(expansion * width, width)
        self.gate = nn.Linear(width, expansion * width) if gated else None

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Let tokens pass as they are until training finds better."""
        for layer in (self.mix.proj, self.proj, self.fc2):
            if layer is not None:
                layer.weight.zero_()
                layer.bias.zero_()

    def forward(self, x: Tensor, text: Tensor | None, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, N, C) on a grid (h, w) and texts (B, C) -> tokens (B, N, C)."""
        x = x + self.mix(self.norm_mix(x), grid)
        if self.value is not None and self.proj is not None:
            x = x + self.proj(self.value(text))[:, None]
        hidden = F.gelu(self.fc1(self.norm_mlp(x)))
        if self.gate is not None:
            hidden = hidden * (1 + self.gate(text))[:, None]
        summed: Tensor = x + self.fc2(hidden)
        return summed


@lru_cache(maxsize=32)
def sincos_positions(height: int, width: int, channels: int) -> Tensor:
    """Fixed 2-d positions of a grid, (h w, C), row by row (Masked Autoencoders, He et al., CVPR 2022).

    The first half of the channels tells the column, the second the row; of each half, the first half is sines and the
    second cosines of C / 4 frequencies from 1 down to nearly 1 / 10000.

    Args:
        height: h of the grid.
        width: w of the grid.
        channels: C, a multiple of 4.
    """
    with torch.inference_mode(mode=False):  # what is kept may be used in training later
        rate = 10000.0 ** -(torch.arange(channels // 4, dtype=torch.float64) / (channels // 4))
        angles = [torch.arange(length, dtype=torch.float64)[:, None] * rate for length in (width, height)]
        column, row = (torch.cat([a.sin(), a.cos()], dim=1).float() for a in angles)
        halves = column[None].expand(height, -1, -1), row[:, None].expand(-1, width, -1)
        return torch.cat(halves, dim=2).flatten(0, 1)
