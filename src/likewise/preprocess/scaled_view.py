"""A picture at another scale, made piece by piece so that huge ones stay within bounded memory.

Convention
----------
A view of (w, h) pixels spans the whole picture (width, height): x in the picture is x * w / width in the view, with
the centre of the top left pixel at (0.5, 0.5) in both. On a canvas that holds of the part of the view where the picture
lies, and the rest of the view is black.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.preprocess.rules import Preprocess

#: Source pixels that are rescaled in one go.
MAX_SOURCE = 1 << 25


class Pixels(Protocol):
    """Colours that need not be in memory: an array (H, W, 3) uint8, or what is read where it is cut."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""

    def __getitem__(self, part: tuple[slice, slice], /) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 of some rows and columns."""


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
        pixels: (H, W, 3) uint8, the picture, in memory or not.
        width: of the view.
        height: of the view.
        corner: (y, x) of the view where the picture's top left corner lies ...
        shown: ... and the (height, width) that it has there; None: all of the view.
    """

    pixels: Pixels
    width: int
    height: int
    corner: tuple[int, int] = (0, 0)
    shown: tuple[int, int] | None = None

    @classmethod
    def of(cls, pixels: Pixels, scale: float, multiple: int = 1) -> View:
        """The view at a scale, its sides rounded to a multiple and never empty."""
        height, width = (max(1, round(side * scale / multiple)) * multiple for side in pixels.shape[:2])
        return cls(pixels, width, height)

    @classmethod
    def on_canvas(
        cls, pixels: Pixels, canvas: tuple[int, int], multiple: int, *, zoom: float = 1.0, cell: int = 1
    ) -> View:
        """The picture in the middle of a black canvas, as SPDCN was published (Lin et al., BMVC 2022).

        Args:
            pixels: (H, W, 3) uint8.
            canvas: (height, width).
            multiple: each side of the picture becomes, on its own, the nearest multiple of this that the canvas holds.
            zoom: both sides are this many times as long.
            cell: the picture's corner lies on a multiple of this.
        """
        multiple = math.lcm(multiple, cell)
        lengths = [min(side, most) * zoom for side, most in zip(pixels.shape[:2], canvas, strict=True)]
        rows, columns = (
            min(max(1, round(length / multiple)), max(1, most // multiple)) * multiple
            for length, most in zip(lengths, canvas, strict=True)
        )
        top, left = (canvas[0] - rows) // 2 // cell * cell, (canvas[1] - columns) // 2 // cell * cell
        return cls(pixels, canvas[1], canvas[0], (top, left), (rows, columns))

    @property
    def part(self) -> tuple[int, int, int, int]:
        """(y0, x0, y1, x1) of the view where the picture lies."""
        (top, left), (height, width) = self.corner, self.sides
        return top, left, top + height, left + width

    @property
    def sides(self) -> tuple[int, int]:
        """(height, width) that the picture has in the view."""
        return self.shown or (self.height, self.width)

    @property
    def scale(self) -> float:
        """View pixels a picture pixel: the geometric mean of both directions, which differ off a canvas by rounding."""
        return math.sqrt(math.prod(self.sides) / (self.pixels.shape[0] * self.pixels.shape[1]))

    def to_view(self, points: Sequence[Sequence[float]]) -> Tensor:
        """Points (N, 2) or boxes (N, 4) of the picture in the view's pixels, float32."""
        (height, width), corner = self.sides, torch.tensor(self.corner[::-1])
        factor = torch.tensor([width / self.pixels.shape[1], height / self.pixels.shape[0]])
        return (torch.tensor(points, dtype=torch.float64).unflatten(-1, (-1, 2)) * factor + corner).flatten(-2).float()

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
        if self.shown is None:
            return self._rescaled(y0, x0, y1, x1)
        top, left, bottom, right = self.part
        seen = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        upper, lower, first, last = max(y0, top), min(y1, bottom), max(x0, left), min(x1, right)
        if upper < lower and first < last:
            picture = self._rescaled(upper - top, first - left, lower - top, last - left)
            seen[upper - y0 : lower - y0, first - x0 : last - x0] = picture
        return seen

    def _rescaled(self, y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
        """A box of the rescaled picture."""
        step_y, step_x = (there / here for there, here in zip(self.pixels.shape, self.sides, strict=False))
        if (y1 - y0) * step_y * (x1 - x0) * step_x > MAX_SOURCE and y1 - y0 > 1:
            middle = (y0 + y1) // 2
            return np.concatenate([self._rescaled(y0, x0, middle, x1), self._rescaled(middle, x0, y1, x1)])
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
