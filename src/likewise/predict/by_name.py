"""What a name finds in a picture: examples to count by, and where things go by the name.

A counter by example is more exact than one by name, but for the examples. So a name only looks for those: its best
matches are shown to the other counter, whose density counts where it goes by the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms

from likewise.data.view import View
from likewise.predict.densities import Look
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

    def over(self, density: Tensor) -> Tensor:
        """What goes by the name of a density (H, W) on any grid over the whole picture."""
        down, across = ((torch.arange(n) + 0.5) / n for n in density.shape)
        y, x = down * 2 * self.reach[0] / self.fit.shape[0] - 1, across * 2 * self.reach[1] / self.fit.shape[1] - 1
        at = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None].to(self.fit)
        fit = F.grid_sample(self.fit[None, None], at, padding_mode="border", align_corners=False)
        return density * fit[0, 0].to(density)

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
    inside = [torch.arange(n) + 0.5 < far for n, far in zip(logits.shape, reach, strict=True)]
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
