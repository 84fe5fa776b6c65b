"""What a name finds in a picture: examples to count by, and where things go by the name.

A counter by example is more exact than one by name, but for the examples. So a name looks for those: its best matches
are shown to the other counter. What that one finds too and the name does not fit at all is then shown to it as
look-alikes, and of all that it finds those count that the name fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms

from likewise.predict.densities import Look
from likewise.predict.points import CLEAR
from likewise.preprocess.scaled_view import View
from likewise.types import Box

#: So many matches are examples, at most.
EXAMPLES = 3
#: A box that overlaps (IoU) a better match's by more is of the same thing, or of a part of it.
OVERLAP = 0.2
#: The best matches, of which examples are chosen by how well their sizes agree.
CANDIDATES = 7
#: A match whose logit is worse than the best one's by more is no example.
WORSE = 2.0
#: Examples are at least so many pixels wide and high.
LEAST = 2.0
#: What is found counts if the name fits it at least so well ...
SURE = 0.75
#: ... and is shown as a look-alike if it fits worse than this.
UNFIT = 0.25


@dataclass(frozen=True, eq=False)
class Named:
    """What goes by a name.

    Attributes:
        boxes: examples, in the picture's pixels, the best match first.
        fit: (h, w) in [0, 1], how sure it is that each place shows a thing of that name.
        reach: (height, width) of the picture in places; the last may lie in part outside.
    """

    boxes: tuple[Box, ...]
    fit: Tensor
    reach: tuple[float, float]

    def at(self, points: Tensor, grid: tuple[int, int]) -> Tensor:
        """How well the name fits (N,) at points (N, 2) on a grid (H, W) over the whole picture."""
        places = points * torch.tensor([self.reach[1] / grid[1], self.reach[0] / grid[0]])
        where = places * 2 / torch.tensor([float(self.fit.shape[1]), float(self.fit.shape[0])]) - 1
        fit = F.grid_sample(self.fit[None, None], where.view(1, 1, -1, 2), padding_mode="border", align_corners=False)
        return fit.flatten()

    def others(self, points: Tensor, scores: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Box, ...]:
        """Boxes, in the picture's pixels, of found things that the name fits least, if it hardly fits them.

        Args:
            points: (N, 2) of what looks like the examples, on a grid.
            scores: (N,) the density round each.
            grid: (H, W) of the grid.
            size: (width, height) of the picture.
        """
        fit = self.at(points, grid)
        unfit = ((fit < UNFIT) & (scores >= CLEAR)).nonzero()[:, 0]
        worst = points[unfit[fit[unfit].argsort(stable=True)[:EXAMPLES]]]
        middles = worst * torch.tensor([size[0] / grid[1], size[1] / grid[0]])
        examples = torch.tensor(self.boxes)
        half = (examples[:, 2:] - examples[:, :2]).mean(0) / 2
        low, high = (middles - half).clamp(min=0), torch.minimum(middles + half, torch.tensor(size))
        return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in torch.cat([low, high], dim=1).tolist())

    def mirrored(self) -> Named:
        """The same in the picture's mirror image, but for the examples."""
        columns = round(self.reach[1])
        return Named(self.boxes, self.fit[:, :columns].flip(1), (self.reach[0], float(columns)))


def look_for(model: Any, look: Look, text: str) -> Named:
    """Look for what a text names, with a model that has ``find`` and ``encode``, as CounTX does."""
    view = look.view
    places = model.find(look.tile((0, 0, view.height, view.width)), model.encode((text,)))
    reach = (view.height / places.stride, view.width / places.stride)
    logits = places.logits[0, 0].float().cpu()
    inside = [torch.arange(n) < far for n, far in zip(logits.shape, reach, strict=True)]
    seen = inside[0][:, None] & inside[1]
    boxes = best_boxes(logits[seen], _clipped(places.boxes[0].float().cpu()[seen], view))
    return Named(boxes, logits.sigmoid(), reach)


def best_boxes(logits: Tensor, boxes: Tensor) -> tuple[Box, ...]:
    """The boxes of the best matches that are of different things and of about one size: 1 to `EXAMPLES`, best first.

    Args:
        logits: (N,), N >= 1.
        boxes: (N, 4) xyxy.
    """
    best = nms(boxes, logits, OVERLAP)[:CANDIDATES]
    best = best[logits[best] >= logits[best[0]] - WORSE]
    sizes = (boxes[best, 2:] - boxes[best, :2]).log().mean(1)
    usual = (sizes - sizes.median()).abs().argsort(stable=True)[:EXAMPLES].sort().values
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes[best[usual]].tolist())


def _clipped(boxes: Tensor, view: View) -> Tensor:
    """Boxes in a view's pixels as boxes in the picture's, inside it, none of them empty."""
    height, width = view.pixels.shape[:2]
    corners = boxes.view(-1, 2, 2) * torch.tensor([width / view.width, height / view.height])
    far = torch.tensor([float(width), float(height)])
    low = torch.minimum(corners[:, 0].clamp(min=0), (far - LEAST).clamp(min=0))
    high = torch.minimum(torch.maximum(corners[:, 1], low + LEAST), far)
    return torch.cat([low, high], dim=1)
