"""What stands on FWB's frozen trunk, trained by itself: every picture goes through the trunk once, not once a step.

Pictures are seen whole, as the trunk sees them, and nothing changes them but a mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from likewise.data.fewshot.episodes import Episodes
from likewise.data.fewshot.labelled import Labelled
from likewise.methods.fwb import FWB
from likewise.methods.fwb.support import Levels
from likewise.preprocess.scaled_view import View, network_scale
from likewise.types import SegmentBatch, SupportBatch

#: Pictures of each set, and every how manyth place of them, that the projection's start is computed from.
SAMPLED, SPACING = 100, 7
Coins = NDArray[np.bool_]


class CachedFeatures:
    """Labelled pictures as a frozen trunk sees them, kept in half precision, and their masks at the network's size.

    Args:
        labelled: where the pictures are.
        model: whose trunk looks.
        progress: whether to show how far it is.
    """

    def __init__(self, labelled: Labelled, model: FWB, *, progress: bool = True) -> None:
        self.labelled, self.model = labelled, model
        first = {i: kind for kind, indices in labelled.pictures.items() for i in indices}
        self._levels: dict[int, Levels] = {}
        self._masks: dict[tuple[int, int], Tensor] = {}
        for index, kind in track(first.items(), "looking", disable=not progress, transient=True):
            self._levels[index] = self._look(labelled.read(index, kind)[0])

    def labelled_by(self, labelled: Labelled) -> CachedFeatures:
        """The same pictures, not looked at again, with other classes or labels."""
        other = copy(self)
        other.labelled, other._masks = labelled, {}
        return other

    def some(self, count: int) -> list[int]:
        """The numbers of about so many pictures, evenly among all."""
        return list(self._levels)[:: max(1, len(self._levels) // count)]

    def levels(self, index: int) -> Levels:
        """A picture as seen, in float32."""
        seen = self._levels[index]
        return Levels(seen.early.float(), seen.late.float(), seen.size)

    def mask(self, index: int, kind: int) -> Tensor:
        """Where it shows a class, (h, w) uint8 at the network's size: 1, 0, 255."""
        if (index, kind) not in self._masks:
            mask = self.labelled.read(index, kind)[1]
            small = F.interpolate(mask[None, None].float(), self._levels[index].size, mode="nearest-exact")
            self._masks[index, kind] = small[0, 0].to(torch.uint8)
        return self._masks[index, kind]

    @torch.no_grad()
    def _look(self, image: Tensor) -> Levels:
        pixels, rules = image.permute(1, 2, 0).numpy(), self.model.config.preprocess
        view = View.of(pixels, network_scale(rules, None, pixels.shape[1], pixels.shape[0]), rules.multiple)
        (seen,) = self.model.look(list(view.tensor((0, 0, view.height, view.width))))
        return Levels(seen.early.half(), seen.late.half(), seen.size)


@torch.no_grad()
def start_projection(model: FWB, sets: Sequence[CachedFeatures]) -> None:
    """Let the projection begin as the leading principal components of what the trunk sees, about their mean.

    Uncentred features are alike everywhere: nearly all that a cosine sees is what all pictures have in common.
    """
    if model.projection is None:
        return
    some = [pictures.levels(i).late.flatten(1)[:, ::SPACING] for pictures in sets for i in pictures.some(SAMPLED)]
    places = torch.cat(some, dim=1)
    mean = places.mean(1)
    values, vectors = torch.linalg.eigh(torch.cov(places))
    leading = vectors[:, values.argsort(descending=True)[: model.config.projection]].T
    model.projection.weight.copy_(leading[:, :, None, None])
    model.projection.bias.copy_(-leading @ mean)  # type: ignore[union-attr]  # it has one


class CachedEpisodes:
    """One-shot episodes of cached pictures, in turn from several sets; what is drawn depends on the seed alone.

    Args:
        model: what is trained on them; its trunk is the one that looked.
        sets: pictures as seen, labelled with the classes that may be trained on.
        seed: of what is drawn.
    """

    def __init__(self, model: FWB, sets: Sequence[CachedFeatures], seed: int) -> None:
        self.model, self.seed = model, seed
        self.streams = [(pictures, Episodes(pictures.labelled, seed=seed)) for pictures in sets]

    def loss(self, place: int) -> Tensor:
        """The model's loss of episode ``place``, query and example each mirrored or not."""
        pictures, episodes = self.streams[place % len(self.streams)]
        drawn = episodes.drawn(place // len(self.streams))
        query, *support = (
            _turned(pictures.levels(i), pictures.mask(i, drawn.kind), bool(flip))
            for i, flip in zip((drawn.query, *drawn.support), _coins(self.seed, place), strict=True)
        )
        prototype = self.model.prototype([(levels, mask == 1) for levels, mask in support])
        logits = self.model.answer(query[0], prototype)[None]
        batch = SegmentBatch(logits, SupportBatch((), ()), query[1][None].long())
        return self.model.loss(logits, batch)["total"].mean()


def _turned(levels: Levels, mask: Tensor, mirrored: bool) -> tuple[Levels, Tensor]:
    """A picture and its mask, or both mirrored; of what the trunk saw the mirror image is near what it would see."""
    if not mirrored:
        return levels, mask
    return Levels(levels.early.flip(2), levels.late.flip(2), levels.size), mask.flip(1)


def _coins(seed: int, place: int) -> Coins:
    return np.random.default_rng((seed, place, 2)).random(2) < 0.5
