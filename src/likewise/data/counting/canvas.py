"""The published input of FSC-147's networks: one canvas for pictures of every shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from likewise.data.counting.geometry import moved, resized, to_bytes, to_tensor
from likewise.data.counting.sample import CountSample


class FSC147Canvas:
    """The published 384 x 576 input: the picture shrunk to fit, to multiples of 16, centred on black.

    Source: SPDCN (Lin et al., BMVC 2022), training as published. A picture smaller than the canvas keeps its size
    but for the rounding down to multiples.

    Args:
        size: (height, width) of the canvas.
        multiple: the shrunk picture's sides are multiples of this.
    """

    def __init__(self, size: tuple[int, int] = (384, 576), multiple: int = 16) -> None:
        self.size = size
        self.multiple = multiple

    def __call__(self, sample: CountSample, rng: np.random.Generator | None = None) -> CountSample:
        """The picture on its canvas, boxes and points moved with it; `rng` is not used."""
        shrink = min(1.0, *(c / s for c, s in zip(self.size, sample.size, strict=True)))
        sides = [max(int(s * shrink / self.multiple + 1e-6), 1) * self.multiple for s in sample.size]
        (height, width), (rows, columns) = self.size, sides
        top, left = (height - rows) // 2, (width - columns) // 2
        picture = resized(to_bytes(sample.image), (0.0, 0.0, sample.size[1], sample.size[0]), (columns, rows))
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[top : top + rows, left : left + columns] = picture
        scale = np.array([columns / sample.size[1], rows / sample.size[0]])
        return moved(replace(sample, image=to_tensor(canvas)), scale, np.array([left, top], np.float64))
