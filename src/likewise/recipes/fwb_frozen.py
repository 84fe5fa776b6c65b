"""Training what stands on FWB's frozen trunk: every picture goes through the trunk once, not once a step.

Other than `likewise.engine`, which trains whole networks on crops of pictures: here pictures are seen whole, as the
trunk sees them, and nothing changes them but a mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from safetensors.torch import load_file
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from likewise.data.fewshot.episodes import Episodes
from likewise.data.fewshot.labelled import Labelled
from likewise.engine.config import TrainConfig
from likewise.errors import LikewiseError
from likewise.methods.fwb import FWB, Levels
from likewise.preprocess.scaled_view import View, network_scale
from likewise.types import SegmentBatch, SupportBatch

#: The fields of the engine's settings that mean something here.
USED = {"steps", "batch_size", "seed", "optimizer", "lr", "weight_decay", "momentum", "beta2", "progress"}
#: ... and those of the learning rate's schedule.
SCHEDULE = {"warmup", "schedule", "final", "decay", "decay_every"}
#: Pictures of each set, and every how manyth place of them, that the projection's start is computed from.
SAMPLED, SPACING = 100, 7
Coins = NDArray[np.bool_]


def check_settings(name: str, config: TrainConfig) -> None:
    """See that no setting of the engine is asked for that this training does not know.

    Raises:
        LikewiseError: one is.
    """
    standard = {f.name: f.default for f in fields(TrainConfig) if f.name not in USED | SCHEDULE}
    changed = [each for each, value in standard.items() if getattr(config, each) != value]
    if changed:
        raise LikewiseError(f"{name} trains on a frozen trunk in a loop of its own, which has no {', '.join(changed)}")


def load_imagenet(model: FWB, data: Path) -> FWB:
    """Start the trunk from the MobileNetV2 of the development data."""
    model.load_trunk(load_file(data / "weights" / "mobilenetv2_100.safetensors"))
    return model


class SeenPictures:
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

    def labelled_by(self, labelled: Labelled) -> SeenPictures:
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
def start_projection(model: FWB, seen: Sequence[SeenPictures]) -> None:
    """Let the projection begin as the leading principal components of what the trunk sees, about their mean.

    Uncentred features are alike everywhere: nearly all that a cosine sees is what all pictures have in common.
    """
    if model.projection is None:
        return
    some = [pictures.levels(i).late.flatten(1)[:, ::SPACING] for pictures in seen for i in pictures.some(SAMPLED)]
    places = torch.cat(some, dim=1)
    mean = places.mean(1)
    values, vectors = torch.linalg.eigh(torch.cov(places))
    leading = vectors[:, values.argsort(descending=True)[: model.config.projection]].T
    model.projection.weight.copy_(leading[:, :, None, None])
    model.projection.bias.copy_(-leading @ mean)  # type: ignore[union-attr]  # it has one


def train_on_seen(model: FWB, sets: Sequence[SeenPictures], config: TrainConfig, name: str) -> FWB:
    """Train all but the trunk on one-shot episodes, in turn from several sets; what is drawn depends on the seed alone.

    Args:
        model: changed in place; its trunk is the one that looked.
        sets: pictures as seen, labelled with the classes that may be trained on.
        config: settings.
        name: of the run, for the progress bar.
    """
    start_projection(model, sets)
    streams = [(seen, Episodes(seen.labelled, seed=config.seed)) for seen in sets]
    optimizer = config.optimizer_for(model.parameter_groups(config.lr))
    schedule = LambdaLR(optimizer, config.rate)
    model.train()
    for step in track(range(config.steps), name, disable=not config.progress, transient=True):
        optimizer.zero_grad()
        for place in range(step * config.batch_size, (step + 1) * config.batch_size):
            seen, episodes = streams[place % len(streams)]
            loss = _loss(model, seen, episodes, place // len(streams), mirrored=_coins(config.seed, place))
            (loss / config.batch_size).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def _loss(model: FWB, seen: SeenPictures, episodes: Episodes, number: int, mirrored: Coins) -> Tensor:
    drawn = episodes.drawn(number)
    query, *support = (
        _turned(seen.levels(i), seen.mask(i, drawn.kind), bool(flip))
        for i, flip in zip((drawn.query, *drawn.support), mirrored, strict=True)
    )
    guide = model.guide([(levels, mask == 1) for levels, mask in support])
    logits = model.answer(query[0], guide)[None]
    batch = SegmentBatch(logits, SupportBatch((), ()), query[1][None].long())
    return model.loss(logits, batch)["total"].mean()


def _turned(levels: Levels, mask: Tensor, mirrored: bool) -> tuple[Levels, Tensor]:
    """A picture and its mask, or both mirrored; of what the trunk saw the mirror image is near what it would see."""
    if not mirrored:
        return levels, mask
    return Levels(levels.early.flip(2), levels.late.flip(2), levels.size), mask.flip(1)


def _coins(seed: int, place: int) -> Coins:
    return np.random.default_rng((seed, place, 2)).random(2) < 0.5
