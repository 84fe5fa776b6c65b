"""How a picture becomes a network's input: the rules that travel with its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes a network's input: part of a method's config, so it travels with the weights.

    Attributes:
        mean: per channel, subtracted from RGB in [0, 1] (inside the model's ``forward``).
        std: per channel, divided by afterwards.
        fit: (height, width) the picture is shrunk to fit into, keeping its aspect; None: no limit.
        object_size: the picture is rescaled so that the exemplars' mean sqrt(width x height) is this
            many pixels; None: the exemplars' size is left alone.
        scale_range: smallest and largest rescaling that ``object_size`` may ask for.
        multiple: network inputs are padded to a multiple of this many pixels.
        tile: pictures larger than this many network pixels a side are counted in overlapping tiles; 0: never.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fit: tuple[int, int] | None = None
    object_size: float | None = None
    scale_range: tuple[float, float] = (0.05, 4.0)
    multiple: int = 16
    tile: int = 1024

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
