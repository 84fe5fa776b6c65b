"""Rank-aware contrastive loss: a similarity map is to rise with the density (Kang et al., AAAI 2024, VLCounter)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from likewise.ops.similarity import nearest_cells

#: The normalised density is cut here.
RANKS = (1.0, 0.8, 0.6, 0.4)


def rank_loss(
    similarity: Tensor,
    density: Tensor,
    form: Literal["reference", "clean"] = "reference",
    temperature: float = 1.0,
) -> Tensor:
    """The rank-aware contrastive loss: where there is more of the thing, the similarity is to be higher.

    At each step from one rank to the next, cells of a density between the two are positive, cells below both
    negative; the loss is -log of the positives' share of exp(similarity), summed over the steps.

    Args:
        similarity: (B, 1, g, g).
        density: (B, 1, H, W) true density in any unit; sampled at (g, g), nearest, and brought to 0 .. 1.
        form: "reference": cells on a rank belong to neither set, 0 .. 1 is over the batch, and every cell outside a set
            adds exp(0) to its sum; "clean": the lower rank belongs to the positives and so does 1, 0 .. 1 is
            over each picture, and the sums are over the sets only, of similarity / ``temperature``; a step
            without positives costs nothing.
        temperature: of the clean form.

    Returns:
        (B,).
    """
    cells = nearest_cells(density.to(similarity), (similarity.shape[2], similarity.shape[3])).flatten(1)
    if not len(cells):
        return similarity.flatten(1).sum(1)
    scores, reference = similarity.flatten(1), form == "reference"
    low, high = cells.aminmax(dim=None if reference else 1, keepdim=not reference)
    cells = (cells - low) / (high - low).clamp(min=1e-12)
    total = scores.new_zeros(len(scores))
    for upper, lower in pairwise(RANKS):
        if reference:
            sums = [(scores * part).logsumexp(1) for part in ((cells < upper) & (cells > lower), cells < lower)]
            total = total - (sums[0] - torch.logaddexp(*sums))
        else:
            positive = (cells >= lower) & ((cells < upper) | (upper == RANKS[0]))
            total = total + _clean_step(scores / temperature, positive, cells < lower)
    return total


def _clean_step(scores: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    least = torch.finfo(scores.dtype).min
    some = positive.any(1)
    above, both = (scores.masked_fill(~part, least).logsumexp(1) for part in (positive, positive | negative))
    return torch.where(some, both - above, 0.0)
