"""Which peaks of a response map make which saliency map.

Source: Ding et al., "Selective Sparse Sampling for Fine-Grained Image Recognition", ICCV 2019, section 3.2.

Shapes: B pictures, M M cells of their response maps, N peaks of all of them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

#: Which peaks make which map: "every" peak both, each peak "drawn" for one of them, the two "extremes".
Selection = Literal["every", "drawn", "extremes"]


class Chosen(NamedTuple):
    """Peaks of a map: (N, 3) picture, row, column; (N,) the weight of each; (N,) its response."""

    cells: Tensor
    weight: Tensor
    response: Tensor


def selected(response: Tensor, peaks: Tensor, selection: Selection) -> dict[str, Chosen]:
    """Which peaks make which map: a peak weighs its response in the discriminative map, 1 / response in the other."""
    if selection == "extremes":
        return _extremes(response, peaks)
    cells = peaks.nonzero()
    height = response[peaks]
    ones = torch.ones_like(height)
    kept = (height > torch.rand_like(height)).to(height) if selection == "drawn" else ones
    left = 1 - kept if selection == "drawn" else ones
    return {
        "discriminative": Chosen(cells, kept * height, height),
        "complementary": Chosen(cells, left / height, height),
    }


def _extremes(response: Tensor, peaks: Tensor) -> dict[str, Chosen]:
    """The highest peak of each picture and the lowest; a picture without peaks gets bumps of no weight."""
    some = peaks.any(2).any(1).to(response)
    found = {}
    for name, best in (
        ("discriminative", response.where(peaks, -torch.inf).flatten(1).argmax(1)),
        ("complementary", response.where(peaks, torch.inf).flatten(1).argmin(1)),
    ):
        picture = torch.arange(len(best), device=best.device)
        row, column = best // response.shape[2], best % response.shape[2]
        height = response[picture, row, column]
        weight = some * (height if name == "discriminative" else 1 / height.where(some > 0, 1.0))
        found[name] = Chosen(torch.stack([picture, row, column], dim=1), weight, height)
    return found
