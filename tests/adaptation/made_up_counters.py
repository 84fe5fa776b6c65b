"""Counters whose answers are known: they see dark dots on white, and may be off by a factor or learn not to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.inference import InferenceConfig
from likewise.preprocess.rules import Preprocess
from likewise.types import CountBatch, PromptBatch

SIDE = 64
INFERENCE = InferenceConfig(Preprocess(object_size=None, tile=0, multiple=4))


def dots(places: Sequence[tuple[int, int]], side: int = SIDE) -> np.ndarray:
    """A white picture with a black pixel at each (x, y)."""
    picture = np.full((side, side, 3), 255, np.uint8)
    for x, y in places:
        picture[y, x] = 0
    return picture


def scattered(count: int, seed: int, side: int = SIDE) -> list[tuple[int, int]]:
    """Places 8 pixels apart, for dots."""
    cells = np.random.default_rng(seed).permutation((side // 8) ** 2)[:count]
    return [(int(c % (side // 8)) * 8 + 3, int(c // (side // 8)) * 8 + 3) for c in cells]


@dataclass(frozen=True)
class MadeUpConfig:
    inference: InferenceConfig = INFERENCE


@dataclass(frozen=True)
class MadeUpFeatures:
    """Remembers what it was made of, so that a test can see which examples are shown."""

    sizes: Tensor
    negatives: int = 0

    def mean_cosine(self) -> float | None:
        return None

    def to_tensors(self) -> dict[str, Tensor]:
        return {"sizes": self.sizes}

    @staticmethod
    def merge(parts: Sequence[MadeUpFeatures]) -> MadeUpFeatures:
        return MadeUpFeatures(torch.cat([p.sizes for p in parts]), sum(p.negatives for p in parts))


class DotCounter(nn.Module):
    """Gives each black pixel a density of ``mass``: its counts are off by that factor."""

    method, task, prompts, protocols, cell = "made-up", "count", ("exemplars", "negatives"), {}, 1

    def __init__(self, mass: float = 1.0) -> None:
        super().__init__()
        self.config = MadeUpConfig()
        self.mass = nn.Parameter(torch.tensor(mass), requires_grad=False)
        self.asked: list[MadeUpFeatures] = []

    def prepare(self, image: Tensor) -> Tensor:
        return image

    def encode_exemplars(
        self, image: Tensor, prompt: PromptBatch, size: Tensor | None = None
    ) -> tuple[MadeUpFeatures, ...]:
        boxes = prompt.exemplars[0]
        against = 0 if prompt.negatives is None else len(prompt.negatives[0])
        return (MadeUpFeatures((boxes[:, 2:] - boxes[:, :2]).flip(1), against),)

    def answer(self, image: Tensor, prompt: PromptBatch) -> tuple[Tensor, tuple[MadeUpFeatures, ...]]:
        described = self.encode_exemplars(image, prompt)
        return self.count_like(image, described), described

    def features_of(self, tensors: dict[str, Tensor]) -> MadeUpFeatures:
        return MadeUpFeatures(tensors["sizes"])

    def count_like(self, image: Tensor, exemplar_features: Sequence[MadeUpFeatures]) -> Tensor:
        self.asked += exemplar_features
        return (image.mean(1, keepdim=True) < 0.5).float() * self.mass


@dataclass(eq=False)
class Calls:
    """How often something was done."""

    features: int = 0
    losses: list[float] = field(default_factory=list)


class LearningDotCounter(DotCounter):
    """The same with a decoder on sums over 2 x 2 pixels: at first it gives ``mass`` a dot, and can learn to give 1.

    White dots are other things; it gives them ``mass`` too, and a factor cannot tell them from black ones.
    """

    stride, cell = 2, 2

    def __init__(self, mass: float = 1.0) -> None:
        super().__init__(mass)
        first, last = nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 1, 1, bias=False)
        first.weight.data = torch.eye(2)[:, :, None, None].clone()
        last.weight.data = torch.full((1, 2, 1, 1), mass)
        self.decoder = nn.Sequential(first, last)
        self.decoder.requires_grad_(requires_grad=False)
        self.calls = Calls()

    def count_like(self, image: Tensor, exemplar_features: Sequence[MadeUpFeatures]) -> Tensor:
        return self.decode(self.decoder_input(image, exemplar_features), image.shape)

    def decoder_input(self, image: Tensor, exemplar_features: Sequence[MadeUpFeatures]) -> Tensor:
        self.calls.features += 1
        grey = image.mean(1, keepdim=True)
        kinds = torch.cat([(grey < 0.25).float(), ((grey >= 0.25) & (grey < 0.75)).float()], dim=1)
        return F.avg_pool2d(kinds, 2, divisor_override=1)

    def decode(self, compared: Tensor, shape: torch.Size, first: int = 0) -> Tensor:
        cells = F.relu(self.decoder[first:](compared))
        return (cells.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4)[:, :, : shape[2], : shape[3]]

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        cells = F.avg_pool2d(density, 2, divisor_override=1)[:, 0]
        truth = torch.zeros_like(cells)
        for x, y in batch.points[0].long().tolist():
            truth[0, y // 2, x // 2] += 1
        total = (cells - truth).square().sum((1, 2))
        self.calls.losses.append(float(total.detach()))
        return {"total": total}
