"""Does a place show what a name says? Losses that teach places and names of things a common space.

Shapes: B pictures, each with its own name; D channels of the common space; h w grid of places.

Convention
----------
Points are (x, y) in pixels; place (row, column) of the grid has its centre at ((column + 0.5) stride, (row + 0.5)
stride).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: A place shows an object if its centre is within this many object sizes (sqrt(width x height)) of its point ...
INSIDE = 0.3
#: ... or if the object is so small that none is, within this share of the stride; it shows none beyond the latter.
OUTSIDE = 0.9


def places_of(points: Tensor, sizes: Tensor, grid: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Which places show an object and which show none; between the two nothing is said.

    Args:
        points: (N, 2) x y.
        sizes: (N,) sqrt(width x height).
        grid: (h, w).
        stride: pixels between two places.

    Returns:
        Two masks (h, w): object, none.
    """
    rows, columns = (torch.arange(n, device=points.device, dtype=points.dtype) + 0.5 for n in grid)
    if not len(points):
        none = torch.ones(grid, dtype=torch.bool, device=points.device)
        return ~none, none
    centres = torch.cartesian_prod(rows, columns).flip(1) * stride
    distance = torch.cdist(centres, points)
    # half a place's diagonal: every object, however small, has a place whose centre is as near
    inside = (INSIDE * sizes).clamp(min=0.71 * stride)
    outside = (OUTSIDE * sizes).clamp(min=1.5 * stride)
    shown = (distance <= inside).any(1).view(grid)
    return shown, (distance > outside).all(1).view(grid)


def matching_loss(
    places: Tensor,
    names: Tensor,
    points: Sequence[Tensor],
    sizes: Sequence[Tensor],
    rivals: Tensor,
    *,
    stride: int,
    scale: Tensor,
    bias: Tensor,
) -> Tensor:
    """Two cross-entropies: places that show the named thing against those that do not, and its name against others.

    Args:
        places: (B, D, h, w) unit vectors.
        names: (B, D) unit vectors, one a picture.
        points: B tensors (N_i, 2), x y of the named things.
        sizes: B tensors (N_i,), sqrt(width x height).
        rivals: (B, B) bool, whether name j is wrong for picture i's things.
        stride: pixels between two places.
        scale: of the cosines, (); how sure of itself a match can be.
        bias: added to them, ().

    Returns:
        (B,) losses: of each picture the first, both sides weighing the same, plus the second.
    """
    losses = []
    compute = torch.promote_types(places.dtype, torch.float32)
    with torch.autocast(places.device.type, enabled=False):
        everything = torch.einsum("bdhw,kd->bhwk", places.to(compute), names.to(compute)) * scale
    for index, logits in enumerate(everything):
        shown, none = places_of(points[index], sizes[index], (logits.shape[0], logits.shape[1]), stride)
        own = logits[..., index] + bias
        sides = [F.softplus(sign * own[mask]).mean() for sign, mask in ((-1, shown), (1, none)) if bool(mask.any())]
        loss = torch.stack(sides).mean() if sides else own.sum() * 0
        wrong = rivals[index].clone()
        wrong[index] = False
        if bool(shown.any()) and bool(wrong.any()):
            chosen = logits[shown]
            others = chosen.masked_fill(~wrong, -torch.inf).logsumexp(1)
            loss = loss + F.softplus(others - chosen[:, index]).mean()
        losses.append(loss)
    return torch.stack(losses)
