"""A picture at another scale, made piece by piece so that huge ones stay within bounded memory.

Convention
----------
A view of (w, h) pixels spans the whole picture (width, height): x in the picture is x * w / width in the view, with
the centre of the top left pixel at (0.5, 0.5) in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from likewise.preprocess.rules import Preprocess

#: Source pixels that are rescaled in one go.
MAX_SOURCE = 1 << 25


def network_scale(preprocess: Preprocess, side: float | None, width: int, height: int, steps: int = 0) -> float:
    """How much a picture is rescaled for a network.

    Args:
        preprocess: the network's rules.
        side: mean sqrt(width x height) of the exemplars in the picture's pixels; None: not known.
        width: of the picture.
        height: of the picture.
        steps: what the exemplars ask for is rounded to so many steps an octave; 0: it is not.
    """
    scale = 1.0
    if preprocess.object_size is not None and side is not None:
        low, high = preprocess.scale_range
        scale = preprocess.object_size / side
        if steps:
            scale = 2 ** (round(math.log2(scale) * steps) / steps)
        scale = min(max(scale, low), high)
    if preprocess.fit is not None:
        scale = min(scale, preprocess.fit[0] / height, preprocess.fit[1] / width)
    return scale


@dataclass(frozen=True, eq=False)
class View:
    """A picture as seen at another scale.

    Attributes:
        pixels: (H, W, 3) uint8, the picture.
        width: of the view.
        height: of the view.
    """

    pixels: np.ndarray
    width: int
    height: int

    @classmethod
    def of(cls, pixels: np.ndarray, scale: float, multiple: int = 1) -> View:
        """The view at a scale, its sides rounded to a multiple and never empty."""
        height, width = (max(1, round(side * scale / multiple)) * multiple for side in pixels.shape[:2])
        return cls(pixels, width, height)

    @property
    def scale(self) -> float:
        """View pixels a picture pixel: the geometric mean of both directions, which differ by rounding only."""
        return math.sqrt(self.width * self.height / (self.pixels.shape[0] * self.pixels.shape[1]))

    def to_view(self, points: Sequence[Sequence[float]]) -> Tensor:
        """Points (N, 2) or boxes (N, 4) of the picture in the view's pixels, float32."""
        factor = torch.tensor([self.width / self.pixels.shape[1], self.height / self.pixels.shape[0]])
        return (torch.tensor(points, dtype=torch.float64).unflatten(-1, (-1, 2)) * factor).flatten(-2).float()

    def tensor(self, box: tuple[int, int, int, int]) -> Tensor:
        """What the view shows in a box (y0, x0, y1, x1), as (1, 3, h, w) float32 in [0, 1]."""
        # the strides of a transposed picture are neither layout that convolutions know: they take half as long again
        return torch.from_numpy(self.cut(box)).permute(2, 0, 1)[None].contiguous().float() / 255

    def cut(self, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """What the view shows in a box (y0, x0, y1, x1), or the whole view: (h, w, 3) uint8.

        Bilinear with antialiasing. Neighbouring boxes fit without a seam: each pixel is what it would be in the
        whole view.
        """
        y0, x0, y1, x1 = box or (0, 0, self.height, self.width)
        step_y, step_x = self.pixels.shape[0] / self.height, self.pixels.shape[1] / self.width
        if (y1 - y0) * step_y * (x1 - x0) * step_x > MAX_SOURCE and y1 - y0 > 1:
            middle = (y0 + y1) // 2
            return np.concatenate([self.cut((y0, x0, middle, x1)), self.cut((middle, x0, y1, x1))])
        top, bottom, rows = _reach(y0, y1, step_y, self.pixels.shape[0])
        left, right, columns = _reach(x0, x1, step_x, self.pixels.shape[1])
        piece = Image.fromarray(self.pixels[rows, columns])
        if piece.size == (x1 - x0, y1 - y0) and step_x == step_y == 1:
            return np.array(piece)
        size = (x1 - x0, y1 - y0)
        return np.asarray(piece.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))).copy()


def _reach(start: int, end: int, step: float, length: int) -> tuple[float, float, slice]:
    """The stretch of the picture under a stretch of the view, within the slice of pixels that its filter reads."""
    low, high = start * step, min(end * step, float(length))
    margin = math.ceil(max(step, 1.0)) + 1
    first, last = max(0, math.floor(low) - margin), min(length, math.ceil(high) + margin)
    return low - first, high - first, slice(first, last)
