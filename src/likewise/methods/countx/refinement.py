"""What a text matches best, looked for again as an example: the picture itself shows what its things look like.

Shapes: B pictures, h w grid of places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.ops.similarity import cosine_similarity_map

#: The logits' differences are so many times as sharp as the shares of the examples.
SOFTNESS = 1.0
#: What logits are divided by where a network reads them.
UNIT = 8.0


class TextProposals(NamedTuple):
    """What a name finds, place by place.

    ``logits`` (B, 1, h, w): how sure it is that each place shows a thing of that name; ``boxes`` (B, h, w, 4) xyxy in
    pixels of what it shows, whatever its name; ``stride``: pixels between two places.
    """

    logits: Tensor
    boxes: Tensor
    stride: int


class RefinementHead(nn.Module):
    """How sure each place's match is, judged again by the picture itself.

    A name that fits its things loosely fits them all alike, so what is told apart best is told by comparison: with
    the places that fit best, and with how alike the rest of the picture is to those.

    Args:
        stages: S features of a place that examples are compared by.
        hidden: units that read a place's comparisons.
    """

    def __init__(self, stages: int, hidden: int = 32) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Conv2d(2 * stages + 2, hidden, 1), nn.GELU(), nn.Conv2d(hidden, 1, 1))

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Let the first look's logits pass as they are until training finds better."""
        for parameter in self.read[2].parameters():
            parameter.zero_()

    def forward(self, similarity_maps: Tensor, logits: Tensor) -> Tensor:
        """Maps (B, S, h, w) of `similarity_to_matches` and the first logits (B, 1, h, w) -> (B, 1, h, w)."""
        mean, spread = similarity_maps.mean((2, 3), keepdim=True), similarity_maps.std((2, 3), keepdim=True)
        against_the_rest = (similarity_maps - mean) / (spread + 0.01)
        best = logits.amax((2, 3), keepdim=True).expand_as(logits)
        seen = torch.cat([logits / UNIT, best / UNIT, similarity_maps, against_the_rest / 2], dim=1)
        added: Tensor = self.read(seen)
        return logits + UNIT * added.float()


class BoxHead(nn.Sequential):
    """What each place tells of the box of what it shows: see `likewise.methods.countx.matching_losses`.

    Args:
        channels: of the features (B, C, h, w) that it reads; it gives (B, 4, h, w).
        hidden: units.
    """

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__(
            nn.Conv2d(channels, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(hidden, 4, 1),
        )


def similarity_to_matches(stages: Sequence[Tensor], logits: Tensor) -> Tensor:
    """How alike each place is to those that match best, stage by stage.

    Whatever way a name is confused with another, things in one picture look like each other; the idea is that of
    "Zero-shot Object Counting" (Xu et al., CVPR 2023), which counts by the patches that fit a name best.

    Args:
        stages: S features of places (B, C_s, h, w), on one grid.
        logits: (B, 1, h, w), how sure each place's match is; no gradient passes through them.

    Returns:
        (B, S, h, w) cosines.
    """
    share = F.softmax(logits.detach().float().flatten(1) / SOFTNESS, dim=1).view_as(logits)
    examples = [(stage.float() * share).sum((2, 3))[:, None] for stage in stages]
    return torch.cat([cosine_similarity_map(s, e) for s, e in zip(stages, examples, strict=True)], dim=1)
