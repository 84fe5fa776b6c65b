"""What photographs show, by name: a classifier tells each place of a picture, and objects found there are examples.

The classifier knows names, but not where a thing ends; the network that finds boxes knows that, whatever a thing is
called. A picture is looked at in several sizes, since what is small is known by what is round it and what is large
only by all of it, and every class that was not asked for competes for each place.

Shapes: h w grid of places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.predict.prepared_image import PreparedImage
from likewise.predict.protocols import PlaceNamer
from likewise.preprocess.scaled_view import View

#: The shorter sides to which a picture is brought, pixels ...
SIDES = (192, 320, 512)
#: ... unless its longer side were longer than this.
LONGEST = 768
#: Pixels a side of the namer's places.
STRIDE = 32
#: Logarithm of the share of what is known to be none of the classes.
LEAST = -20.0
#: What is asked for has at least so many times the share of the best other class, on the whole.
NARROWLY = 0.85
#: What is looked at of a box to see whether it is one: its middle, and points so far from it, in its sides.
_OFFSET = 0.25


class Namer:
    """Says where a picture shows what a name asks for.

    Args:
        model: a classifier of places; it is put in eval mode and on the device.
        device: where it runs.
    """

    def __init__(self, model: PlaceNamer, device: torch.device) -> None:
        self.device = device
        self.model = model.to(device).eval()

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every name it knows."""
        return self.model.names.names

    def knows(self, text: str) -> bool:
        """Whether it knows a name."""
        return bool(self.model.names.classes(text))

    def shares(self, image: PreparedImage, text: str) -> Shares:
        """How much of each place of a picture a known name asks for, and how much all else does."""
        looks = [logits.log_softmax(0) for logits in self._looks(image)]
        finest = looks[-1].shape[1:]
        resized = [F.interpolate(each[None], finest, mode="bilinear")[0] for each in looks]
        asked = torch.zeros(len(looks[0]), dtype=torch.bool)
        asked[list(self.model.names.classes(text))] = True
        return Shares(torch.stack(resized).mean(0), asked)

    def _looks(self, image: PreparedImage) -> list[Tensor]:
        """Logits (C, h, w) of the picture in each size, the finest last."""
        short, long = sorted((image.width, image.height))
        scales = dict.fromkeys(min(side / short, LONGEST / long) for side in SIDES)
        views = [View.of(image.pixels, scale, STRIDE) for scale in scales]
        boxes = [(0, 0, view.height, view.width) for view in views]
        looks = (image.tile(self.model, v, b, self.device) for v, b in zip(views, boxes, strict=True))
        return [cast(Tensor, look)[0].float().cpu() for look in looks]


@dataclass(frozen=True, eq=False)
class Shares:
    """The share of every class in the places of a picture, the geometric mean of several sizes of it.

    Attributes:
        logs: (C, h, w) logarithms, on a grid over the whole picture.
        asked: (C,) bool, what a name asks for.
    """

    logs: Tensor
    asked: Tensor

    def odds(self) -> Tensor:
        """Log odds (h, w) of what is asked for against all else together."""
        return self._own() - self._others().logsumexp(0)

    def lead(self) -> Tensor:
        """By how much the logarithm (h, w) of what is asked for exceeds that of the best other class."""
        return self._own() - self._others().amax(0)

    def at(self, points: Tensor, size: tuple[int, int]) -> Shares:
        """The same at N points of a picture of a (width, height): ``logs`` (C, 1, N)."""
        where = (points / torch.tensor(size) * 2 - 1)[None, None]
        logs = F.grid_sample(self.logs[None], where, padding_mode="border", align_corners=False)[0]
        return Shares(logs, self.asked)

    def wins(self, places: Tensor) -> bool:
        """Whether, on the whole, some places (h, w) show what is asked for rather than any one other class."""
        mean = self.logs[:, places].exp().mean(1)
        best = mean.masked_fill(self.asked, 0.0).amax()
        return bool(places.any()) and bool(mean[self.asked].sum() >= NARROWLY * best)

    def _own(self) -> Tensor:
        return self.logs[self.asked].logsumexp(0)

    def _others(self) -> Tensor:
        nothing = torch.full_like(self.logs[:1], LEAST)  # where everything there is was asked for
        return torch.cat([self.logs[~self.asked], nothing])


def agreement(boxes: Tensor, stride: int) -> Tensor:
    """How much places agree on the box of what they show: near 1 in the middle of a thing, little between things.

    A box is compared with those that the places tell at five points of it; the mean of the intersections over unions.

    Args:
        boxes: (h, w, 4) xyxy in pixels, what each place tells.
        stride: pixels between two places.

    Returns:
        (h, w) from 0 to 1.
    """
    height, width = boxes.shape[:2]
    low, high = boxes[..., :2], boxes[..., 2:]
    middle, size = (low + high) / 2, high - low
    found = boxes.new_zeros(height, width)
    points = ((0.0, 0.0), (_OFFSET, 0.0), (-_OFFSET, 0.0), (0.0, _OFFSET), (0.0, -_OFFSET))
    for point in points:
        column, row = ((middle + size * boxes.new_tensor(point)) / stride).long().unbind(-1)
        others = boxes[row.clamp(0, height - 1), column.clamp(0, width - 1)]
        shared = (torch.minimum(high, others[..., 2:]) - torch.maximum(low, others[..., :2])).clamp(min=0).prod(-1)
        union = size.prod(-1) + (others[..., 2:] - others[..., :2]).prod(-1) - shared
        found += shared / union.clamp(min=math.ulp(1.0))
    return found / len(points)
