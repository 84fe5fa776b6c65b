"""The square of a picture that a recogniser looks at.

Convention
----------
Boxes are x0, y0, x1, y1 in float pixels, the centre of the top left pixel at (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.errors import LikewiseError
from likewise.types import Box

Bytes = NDArray[np.uint8]
#: Pixels a side that a network may ask for: a config that asks for more is none.
LARGEST = 4096


@dataclass(frozen=True)
class SquareView:
    """What a network sees of any picture: part of a method's config, so it travels with the weights.

    Attributes:
        size: pixels a side.
        share: so much of the picture's middle is seen, of its width and of its height; 0: all of it, squeezed.
        squeezed: the picture is brought to a square of size / share, whatever its shape, before the middle is cut out.
            False: its shorter side is brought to that, so that what is seen is a square of the picture, of ``share``
            of its shorter side.

    Raises:
        LikewiseError: a size below 1 or above `LARGEST`, or a share outside [0, 1].
    """

    size: int = 448
    share: float = 448 / 600
    squeezed: bool = field(default=True, metadata={"absent": False})

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST or not 0 <= self.share <= 1:
            raise LikewiseError(
                f"size = {self.size}, share = {self.share:g}: expected a size from 1 to {LARGEST}, a share in [0, 1]"
            )

    def box(self, width: int, height: int) -> Box:
        """The part of a picture that is seen."""
        if not self.share:
            return 0.0, 0.0, float(width), float(height)
        sides = (width, height) if self.squeezed else (min(width, height),) * 2
        x, y = (self.share * side / 2 for side in sides)
        return width / 2 - x, height / 2 - y, width / 2 + x, height / 2 + y

    def of(self, pixels: Bytes) -> Bytes:
        """What is seen of a picture (H, W, 3): (size, size, 3) uint8."""
        return resized(pixels, self.box(pixels.shape[1], pixels.shape[0]), self.size)


@dataclass(frozen=True)
class SquareCrop:
    """What of a picture is seen in training.

    Attributes:
        size: pixels a side.
        area: least and largest share of the picture's area ...
        aspect: ... and width / height of the box that becomes the square; log-uniform.
        flip: probability of mirroring left and right.
    """

    size: int = 448
    area: tuple[float, float] = (0.5, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5

    def of(self, pixels: Bytes, rng: np.random.Generator) -> Bytes:
        """A box of a picture (H, W, 3) drawn at random, as (size, size, 3) uint8."""
        seen = resized(pixels, self.draw(pixels.shape[1], pixels.shape[0], rng), self.size)
        return seen[:, ::-1] if rng.random() < self.flip else seen

    def draw(self, width: int, height: int, rng: np.random.Generator) -> Box:
        """The box; the largest of an allowed shape in the middle where ten draws do not fit into the picture."""
        low, high = math.log(self.aspect[0]), math.log(self.aspect[1])
        for _ in range(10):
            area = width * height * rng.uniform(*self.area)
            aspect = math.exp(rng.uniform(low, high))
            w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
            if w <= width and h <= height:
                x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
                return x, y, x + w, y + h
        w = min(width, height * self.aspect[1])
        h = min(height, width / self.aspect[0])
        return (width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2


def resized(pixels: Bytes, box: Box, size: int) -> Bytes:
    """A box of a picture (H, W, 3) as (size, size, 3) uint8: bilinear, with antialiasing."""
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box=_inside(box, picture.size)))


def _inside(box: Box, size: tuple[int, int]) -> Box:
    """The box without what rounding puts outside the picture, which Pillow would refuse."""
    x0, y0, x1, y1 = box
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(size[0])), min(y1, float(size[1]))
