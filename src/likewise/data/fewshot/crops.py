"""Episodes for training on pictures: square crops of the query and the examples, all of one size.

Convention
----------
An `EpisodeCrops` sample is in network pixels; what a crop has beyond its picture is of one colour, labelled 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from likewise.data.fewshot.episodes import Episode, Episodes
from likewise.data.fewshot.labelled import IGNORED
from likewise.types import SegmentBatch, SupportBatch

#: Places tried for an example's crop before it is put on the middle of the thing.
TRIES = 8


@dataclass(frozen=True)
class EpisodeCrop:
    """How crops are cut.

    Attributes:
        size: side of the square crops, network pixels.
        scale: the picture's longer side becomes so many times ``size``, drawn from this range; None: pictures keep
            their size.
        mirror: whether half of the crops are mirrored.
        least: an example's crop shows at least this share of the thing, and at least one pixel.
        outside: the colour beyond the picture.
        centred: whether a picture that is smaller than the crop lies in its middle, or anywhere.
    """

    size: int = 512
    scale: tuple[float, float] | None = (1.0, 1.5)
    mirror: bool = True
    least: float = 0.25
    outside: tuple[int, int, int] = (0, 0, 0)
    centred: bool = False


class EpisodeCrops(Dataset[Episode]):
    """Crops of episodes; position i is the same every time.

    Args:
        episodes: what to crop; several take turns.
        crop: how.
    """

    def __init__(self, episodes: Sequence[Episodes], crop: EpisodeCrop) -> None:
        self.episodes, self.crop = tuple(episodes), crop

    def __len__(self) -> int:
        return min(len(each) for each in self.episodes) * len(self.episodes)

    def __getitem__(self, index: int) -> Episode:
        number, turn = divmod(index, len(self.episodes))
        source = self.episodes[turn]
        episode, rng = source[number], np.random.default_rng((source.seed, index, 1))
        image, mask = cropped(episode.image, episode.mask, self.crop, rng, example=False)
        support = tuple(cropped(picture, each, self.crop, rng, example=True) for picture, each in episode.support)
        return replace(episode, image=image, mask=mask, support=support)


def cropped(
    image: Tensor, mask: Tensor, crop: EpisodeCrop, rng: np.random.Generator, *, example: bool
) -> tuple[Tensor, Tensor]:
    """A crop of a picture (3, H, W) uint8 and its mask (H, W) uint8; an example's shows enough of the thing."""
    if crop.scale is not None:
        image, mask = _scaled(image, mask, crop.size * rng.uniform(*crop.scale) / max(image.shape[1:]))
    corner = _corner(mask, crop, rng, example=example)
    picture, label = _window(image, *corner, crop.size, crop.outside), _label(mask, *corner, crop.size, IGNORED)
    if crop.mirror and rng.random() < 0.5:
        return picture.flip(2), label.flip(1)
    return picture, label


def _scaled(image: Tensor, mask: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    size = [max(1, round(side * factor)) for side in image.shape[1:]]
    scaled = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().to(torch.uint8)
    return scaled, F.interpolate(mask[None, None].float(), size, mode="nearest-exact")[0, 0].to(torch.uint8)


def _corner(mask: Tensor, crop: EpisodeCrop, rng: np.random.Generator, *, example: bool) -> tuple[int, int]:
    """Row and column of the crop's first pixel; a picture narrower than the crop lies anywhere in it."""
    spans = [sorted((0, side - crop.size)) for side in mask.shape]
    if crop.centred:
        spans = [[(low + high) // 2] * 2 if low < 0 else [low, high] for low, high in spans]
    wanted = max(1.0, crop.least * float((mask == 1).sum()))
    corners = [(int(rng.integers(*_ends(spans[0]))), int(rng.integers(*_ends(spans[1])))) for _ in range(TRIES)]
    rows, columns = torch.nonzero(mask == 1, as_tuple=True)
    if not example or not len(rows):
        return corners[0]
    for top, left in corners:
        if float((_label(mask, top, left, crop.size, 0) == 1).sum()) >= wanted:
            return top, left
    middle = int(rng.integers(len(rows)))
    pair = (int(rows[middle]), int(columns[middle]))
    top, left = (min(max(c - crop.size // 2, low), high) for c, (low, high) in zip(pair, spans, strict=True))
    return top, left


def _ends(span: list[int]) -> tuple[int, int]:
    return span[0], span[1] + 1


def _label(mask: Tensor, top: int, left: int, size: int, outside: int) -> Tensor:
    """A square (size, size) of a mask (H, W)."""
    return _window(mask[None], top, left, size, (outside,))[0]


def _window(values: Tensor, top: int, left: int, size: int, outside: tuple[int, ...]) -> Tensor:
    """A square (C, size, size) of (C, H, W) that may reach beyond it, where it has a value a channel."""
    window = values.new_tensor(outside)[:, None, None].repeat(1, size, size)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + size, values.shape[1]), min(left + size, values.shape[2])
    window[:, y0 - top : y1 - top, x0 - left : x1 - left] = values[:, y0:y1, x0:x1]
    return window


def collate_episodes(samples: list[Episode]) -> SegmentBatch:
    """Episodes of one size as a batch."""
    return SegmentBatch(
        image=torch.stack([sample.image for sample in samples]).float() / 255,
        support=SupportBatch(
            images=tuple(tuple(picture.float() / 255 for picture, _ in sample.support) for sample in samples),
            masks=tuple(tuple(mask == 1 for _, mask in sample.support) for sample in samples),
        ),
        mask=torch.stack([sample.mask for sample in samples]).long(),
        names=tuple(sample.names[0] for sample in samples),
    )
