"""Pictures as the trunk sees them, and what a support has been made into.

Shapes: K shots, E experts, C channels of deep features, H W picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.types import SupportBatch


@dataclass(frozen=True, eq=False)
class Levels:
    """One picture as the trunk sees it; worked out once, used in any number of roles.

    Attributes:
        early: (C_early, h, w) features at stride 4.
        late: (C, h', w') features at stride 8.
        size: (height, width) of the picture.
    """

    early: Tensor
    late: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Prototype:
    """What the support of one query has been made into; it serves for any number of queries.

    Attributes:
        experts: (E, C) class vectors, channels weighted; (K E, C), shot by shot, where each shot answers alone.
        weights: (E,) or (K E,) of their votes; those of a shot sum to one where each answers alone.
        relevance: (C,) of the channels; (K, C) where each shot answers alone.
        features: (C_early, h, w) where ``Config.last_shot_features`` asks for them.
    """

    experts: Tensor
    weights: Tensor
    relevance: Tensor
    features: Tensor | None = None

    def parts(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Experts (E, C), weights (E,) and relevance (C,) that belong together, one a shot that answers alone."""
        rows = self.relevance[None] if self.relevance.ndim == 1 else self.relevance
        yield from zip(self.experts.chunk(len(rows)), self.weights.chunk(len(rows)), rows, strict=True)


def joined(prototypes: list[Prototype]) -> Prototype:
    """The guides of single shots as one in which each answers alone, and counts as much as any other."""
    weights = [each.weights / each.weights.sum() for each in prototypes]
    experts, relevance = [each.experts for each in prototypes], [each.relevance for each in prototypes]
    return Prototype(torch.cat(experts), torch.cat(weights), torch.stack(relevance))


def check_support(support: SupportBatch) -> None:
    """See that each query has examples, and each of them a mask of its size that is not empty.

    Raises:
        LikewiseError: one has not.
    """
    for images, masks in zip(support.images, support.masks, strict=True):
        if not images or len(images) != len(masks):
            raise LikewiseError(
                f"a query came with {len(images)} support pictures and {len(masks)} masks; expected one or more of each"
            )
        for image, mask in zip(images, masks, strict=True):
            if mask.shape != image.shape[1:]:
                raise LikewiseError(
                    f"a support mask is {tuple(mask.shape)}, its picture {tuple(image.shape[1:])} (height, width)"
                )
            if not bool(mask.any()):
                raise LikewiseError("a support mask is empty; it must cover the thing to be found")
