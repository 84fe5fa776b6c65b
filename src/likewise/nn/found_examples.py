"""What a text matches best, looked for again as an example: the picture itself shows what its things look like.

Shapes: B pictures, h w grid of places.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.ops.similarity import cosine_similarity_map

#: The logits' differences are so many times as sharp as the shares of the examples.
SOFTNESS = 2.0


def alike_found(stages: Sequence[Tensor], logits: Tensor) -> Tensor:
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
