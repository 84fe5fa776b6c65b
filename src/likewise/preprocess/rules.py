"""How a picture becomes a network's input: the rules that travel with its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from torch import Tensor

#: The largest multiple of pixels that inputs are padded to, and the largest rescaling of a picture.
MAX_MULTIPLE, MAX_SCALE = 1024, 64.0
#: The longest side of a canvas, which is as large for the smallest picture.
MAX_CANVAS = 4096


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes a network's input: part of a method's config, so it travels with the weights.

    Attributes:
        mean: per channel, subtracted from RGB in [0, 1] (inside the model's ``forward``).
        std: per channel, divided by afterwards.
        fit: (height, width) the picture is shrunk to fit into, keeping its aspect; None: no limit.
        canvas: every picture is laid in the middle of a black canvas of the size ``fit``, as SPDCN was published: each
            side becomes, on its own, the nearest multiple of ``multiple``, at most that of the canvas, so that a wide
            picture is squeezed. The canvas is looked at as a whole.
        object_size: the picture is rescaled so that the exemplars' mean sqrt(width x height) is this
            many pixels; None: the exemplars' size is left alone.
        scale_range: smallest and largest rescaling that ``object_size`` may ask for.
        multiple: network inputs are padded to a multiple of this many pixels.
        tile: pictures larger than this many network pixels a side are counted in overlapping tiles; 0: never.

    Raises:
        LikewiseError: a number that cannot be: a file may say anything, and the size of inputs follows from these.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fit: tuple[int, int] | None = None
    canvas: bool = False
    object_size: float | None = None
    scale_range: tuple[float, float] = (0.05, 4.0)
    multiple: int = 16
    tile: int = 1024

    def __post_init__(self) -> None:
        low, high = self.scale_range
        self._check("mean", all(math.isfinite(v) for v in self.mean), "finite numbers")
        self._check("std", all(0 < v < math.inf for v in self.std), "numbers above 0")
        self._check("fit", self.fit is None or all(1 <= v < math.inf for v in self.fit), "two numbers from 1")
        framed = self.fit is not None and self.multiple <= min(self.fit) <= max(self.fit) <= MAX_CANVAS
        sides = f"fit from {self.multiple} to {MAX_CANVAS} and no object_size with it"
        self._check("canvas", not self.canvas or (framed and self.object_size is None), sides)
        sized = self.object_size is None or 0 < self.object_size <= MAX_MULTIPLE
        self._check("object_size", sized, f"above 0 and at most {MAX_MULTIPLE}")
        self._check("scale_range", 0 < low <= high <= MAX_SCALE, f"two rising numbers above 0, at most {MAX_SCALE}")
        self._check("multiple", 1 <= self.multiple <= MAX_MULTIPLE, f"from 1 to {MAX_MULTIPLE}")
        self._check("tile", 0 <= self.tile < math.inf, "at least 0")

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise LikewiseError(f"preprocess: {name} = {getattr(self, name)}, expected {expected}")

    def normalised(self, image: Tensor) -> Tensor:
        """RGB in [0, 1], (..., 3, H, W), as the network takes it: ``mean`` subtracted, divided by ``std``."""
        mean, std = self._colours(image)
        return (image - mean) / std

    def denormalised(self, image: Tensor) -> Tensor:
        """What `normalised` was given, of the ``image`` that it gave."""
        mean, std = self._colours(image)
        return image * std + mean

    def _colours(self, like: Tensor) -> tuple[Tensor, Tensor]:
        # no buffers of a network: they would become bfloat16 with it, and be off by up to a grey value
        mean, std = (like.new_tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return mean, std
