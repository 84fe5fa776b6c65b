"""Groups of neighbouring points: tiles to work on together, and single points that stand for many.

Convention: places are (M, d) in units in which the cost is a distance; nothing is assumed about their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Rows of a tile, about: few enough to lie close together, enough to share one search for what is near.
TILE = 256


@dataclass(frozen=True, eq=False)
class Tiles:
    """Points in groups that are compact in space.

    Attributes:
        order: (M,) indices, tile after tile.
        starts: (T + 1,) where each tile starts in ``order``, and M.
    """

    order: Tensor
    starts: Tensor

    @classmethod
    def of(cls, places: Tensor, size: int = TILE) -> Tiles:
        """Cut (M, d) places into cubes that hold about ``size`` of them where they are evenly spread."""
        count = len(places)
        if count <= size:
            return cls(torch.arange(count, device=places.device), torch.tensor([0, count], device=places.device))
        low, extent = _extent(places)
        long = extent[extent > 0]
        side = (long.log().mean().exp() * (size / count) ** (1 / max(len(long), 1))).item() if len(long) else 1.0
        side = max(side, extent.max().item() * size / count)
        cells, _ = _cells(places, low, extent, side)
        parts = ((places - low) * (2 / side)).long() % 2  # halves of the cubes, so that runs of a tile are compact too
        inside = (parts << torch.arange(parts.shape[1], device=parts.device)).sum(1)
        order = (cells << parts.shape[1] | inside).argsort(stable=True)
        _, counts = torch.unique_consecutive(cells[order], return_counts=True)
        return cls(order, torch.cat([counts.new_zeros(1), counts.cumsum(0)]))


def centroids(places: Tensor, weights: Tensor, side: float) -> tuple[Tensor, Tensor] | None:
    """One point for each cube of a grid that holds weight: its centre of mass.

    Args:
        places: (M, d).
        weights: (M,) >= 0.
        side: of the cubes.

    Returns:
        Places (m, d) and weights (m,); None where m would be more than half of M.
    """
    low, extent = _extent(places)
    cells, total = _cells(places, low, extent, side)
    if total > len(places) / 2:
        return None
    mass = weights.new_zeros(total).index_add_(0, cells, weights)
    moment = places.new_zeros(total, places.shape[1]).index_add_(0, cells, (places - low) * weights[:, None])
    held = mass > 0
    return low + moment[held] / mass[held, None], mass[held]


def _extent(places: Tensor) -> tuple[Tensor, Tensor]:
    low, high = places.aminmax(dim=0)
    return low, high - low


def _cells(places: Tensor, low: Tensor, extent: Tensor, side: float) -> tuple[Tensor, int]:
    """The number of each point's cube, and how many numbers there are."""
    sizes = [int(length / side) + 1 for length in extent.tolist()]
    index = ((places - low) / side).long()
    cell = index[:, 0]
    total = sizes[0]
    for axis, size in enumerate(sizes[1:], 1):
        cell, total = cell * size + index[:, axis], total * size
    return cell, total
