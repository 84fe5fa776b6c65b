"""The published input of FSC-147's networks: one canvas for pictures of every shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from likewise.boxes import boxes_to_pixels, points_to_pixels
from likewise.data.counting.geometry import moved, to_bytes, to_tensor
from likewise.data.counting.sample import CountSample
from likewise.preprocess.scaled_view import View


class FSC147Canvas:
    """The published 384 x 576 input: the picture squeezed to multiples of 16, centred on black.

    Source: SPDCN (Lin et al., BMVC 2022), training as published. Each side becomes, on its own, the nearest multiple of
    16, at most 384 and 576; see `likewise.preprocess.scaled_view.View.on_canvas`, which is how a counter with
    ``preprocess.canvas`` sees any picture.

    Args:
        size: (height, width) of the canvas.
        multiple: the squeezed picture's sides are multiples of this.
        to_pixels: exemplars and points are brought to whole pixels of the canvas, and of points in one pixel the first
            alone stays, as published; False: they are where the rescaling puts them, and all count.
        exemplars: at most so many of a picture's exemplars stay, the first ones; 0: all.
    """

    def __init__(
        self,
        size: tuple[int, int] = (384, 576),
        multiple: int = 16,
        *,
        to_pixels: bool = False,
        exemplars: int = 0,
    ) -> None:
        self.size = size
        self.multiple = multiple
        self.to_pixels = to_pixels
        self.exemplars = exemplars

    def __call__(self, sample: CountSample, rng: np.random.Generator | None = None) -> CountSample:
        """The picture on its canvas, boxes and points moved with it; `rng` is not used."""
        view = View.on_canvas(to_bytes(sample.image), self.size, self.multiple)
        (rows, columns), (top, left) = view.sides, view.corner
        scale = np.array([columns / sample.size[1], rows / sample.size[0]])
        shown = replace(sample, image=to_tensor(view.cut()), exemplars=sample.exemplars[: self.exemplars or None])
        placed = moved(shown, scale, np.array([left, top], np.float64))
        return _on_pixels(placed) if self.to_pixels else placed


def first_in_pixel(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Which points (N, 2) are the first on their pixel of a picture of this (height, width): their indices, rising."""
    pixels = points_to_pixels(points, (size[1], size[0])).tolist()
    first = {tuple(pixel): index for index, pixel in reversed(list(enumerate(pixels)))}
    return torch.tensor(sorted(first.values()), dtype=torch.int64)


def _on_pixels(sample: CountSample) -> CountSample:
    """Exemplars at whole pixels, and points at the middle of theirs, one each."""
    width_height = (sample.size[1], sample.size[0])
    kept = first_in_pixel(sample.points, sample.size)
    points = points_to_pixels(sample.points[kept], width_height).to(sample.points) + 0.5
    visible, kinds = (None if values is None else values[kept] for values in (sample.visible, sample.kinds))
    exemplars = boxes_to_pixels(sample.exemplars, width_height)
    return replace(sample, points=points, boxes=sample.boxes[kept], exemplars=exemplars, visible=visible, kinds=kinds)
