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

from likewise.boxes import box_centres, box_sides, box_sizes, centred_boxes
from likewise.ops.checks import check_finite, shapes_only, without_autocast

#: A place shows an object if its centre is within this many object sizes (sqrt(width x height)) of its point ...
INSIDE = 0.3
#: ... or if the object is so small that none is, within this share of the stride; it shows none beyond the latter.
OUTSIDE = 0.9
#: Pixels in which widths and heights are told.
BOX_UNIT = 32.0


def places_of(points: Tensor, sizes: Tensor, grid: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Which places show an object and which show none; between the two nothing is said.

    Args:
        points: (N, 2) x y.
        sizes: (N,) sqrt(width x height).
        grid: (h, w).
        stride: pixels between two places.

    Returns:
        Two masks (h, w): object, none.

    Raises:
        LikewiseError: a point or a size that is not finite.
    """
    check_finite("points", points)
    check_finite("sizes", sizes)
    if not len(points):
        none = torch.ones(grid, dtype=torch.bool, device=points.device)
        return ~none, none
    distance = torch.cdist(_centres(grid, stride, points), points)
    # half a place's diagonal: every object, however small, has a place whose centre is as near
    inside = (INSIDE * sizes).clamp(min=0.71 * stride)
    outside = (OUTSIDE * sizes).clamp(min=1.5 * stride)
    shown = (distance <= inside).any(1).view(grid)
    return shown, (distance > outside).all(1).view(grid)


def _centres(grid: tuple[int, int], stride: int, like: Tensor) -> Tensor:
    """X y of every place (h * w, 2), row by row, of the type of a tensor and where it is."""
    rows, columns = (torch.arange(n, device=like.device, dtype=like.dtype) + 0.5 for n in grid)
    return torch.cartesian_prod(rows, columns).flip(1) * stride


def place_loss(
    places: Tensor,
    names: Tensor,
    points: Sequence[Tensor],
    sizes: Sequence[Tensor],
    *,
    stride: int,
    scale: Tensor,
    bias: Tensor,
) -> Tensor:
    """Cross-entropy of places that show the named thing against those that do not, both sides weighing the same.

    Args:
        places: (B, D, h, w) unit vectors.
        names: (B, D) unit vectors, one a picture.
        points: B tensors (N_i, 2), x y of the named things.
        sizes: B tensors (N_i,), sqrt(width x height).
        stride: pixels between two places.
        scale: of the cosines, (); how sure of itself a match can be.
        bias: added to them, ().

    Returns:
        (B,) losses.
    """
    compute = torch.promote_types(places.dtype, torch.float32)
    with without_autocast(places.device):
        logits = torch.einsum("bdhw,bd->bhw", places.to(compute), names.to(compute)) * scale + bias
    return shown_loss(logits, points, sizes, stride=stride)


def shown_loss(logits: Tensor, points: Sequence[Tensor], sizes: Sequence[Tensor], *, stride: int) -> Tensor:
    """`place_loss` of logits (B, h, w) that were come by in any way.

    Raises:
        LikewiseError: a point or a size that is not finite.
    """
    losses = []
    for own, centres, sides in zip(logits, points, sizes, strict=True):
        shown, none = places_of(centres, sides, (own.shape[0], own.shape[1]), stride)
        if shapes_only(own):
            losses.append(own.sum())
            continue
        both = [F.softplus(sign * own[mask]).mean() for sign, mask in ((-1, shown), (1, none)) if bool(mask.any())]
        losses.append(torch.stack(both).mean() if both else own.sum() * 0)
    return _stacked(losses, logits)


def _stacked(losses: Sequence[Tensor], like: Tensor) -> Tensor:
    """(B,), of no picture too."""
    return torch.stack(list(losses)) if losses else like.flatten(1).sum(1)


def box_loss(raw: Tensor, points: Sequence[Tensor], boxes: Sequence[Tensor], *, stride: int) -> Tensor:
    """Smooth L1 error of the boxes that places which show an object tell of it, in the terms of `decode_boxes`.

    Args:
        raw: (B, 4, h, w).
        points: B tensors (N_i, 2), x y of the named things.
        boxes: B tensors (N_i, 4), xyxy; NaN where it is not known.
        stride: pixels between two places.

    Returns:
        (B,) means over places, float32; 0 where none shows an object whose box is known.

    Raises:
        LikewiseError: a box that is infinite.
    """
    compute = torch.float32
    if shapes_only(raw):
        return raw.to(compute).sum((1, 2, 3))
    losses = []
    for index, (told, centres, corners) in enumerate(zip(raw.to(compute), points, boxes, strict=True)):
        known = ~corners.isnan().any(1)
        check_finite(f"boxes[{index}] that are known", corners[known])
        losses.append(_box_error(told, centres[known].to(compute), corners[known].to(compute), stride))
    return _stacked(losses, raw)


def _box_error(conditioned: Tensor, points: Tensor, boxes: Tensor, stride: int) -> Tensor:
    """`box_loss` of one picture, all of whose boxes are known."""
    grid, sides = (conditioned.shape[1], conditioned.shape[2]), box_sides(boxes)
    middles, sizes = box_centres(boxes), box_sizes(boxes)
    shown, _ = places_of(points, sizes, grid, stride)
    if not bool(shown.any()):
        return conditioned.sum() * 0
    places = _centres(grid, stride, conditioned)[shown.flatten()]
    nearest = (torch.cdist(places, middles) / sizes).argmin(1)
    offset = (middles[nearest] - places) / sizes[nearest, None]
    wanted = torch.cat([offset, (sides[nearest] / BOX_UNIT).log()], dim=1)
    return F.smooth_l1_loss(conditioned[:, shown].T, wanted, beta=0.1, reduction="none").sum(1).mean()


def decode_boxes(raw: Tensor, stride: int) -> Tensor:
    """The boxes xyxy (B, h, w, 4) in pixels that places tell of the object they show.

    ``raw`` (B, 4, h, w) holds where its middle lies, x and y from the place's centre in object sizes, and the
    logarithms of its width and height in units of `BOX_UNIT` pixels.
    """
    grid = (raw.shape[2], raw.shape[3])
    places = _centres(grid, stride, raw).view(*grid, 2)
    offset, log_sides = raw.movedim(1, -1).split(2, dim=-1)
    sides = BOX_UNIT * log_sides.clamp(-4, 4).exp()
    return centred_boxes(places + offset * sides.prod(-1, keepdim=True).sqrt(), sides)


def naming_loss(
    places: Tensor,
    names: Tensor,
    points: Sequence[Tensor],
    kinds: Sequence[Tensor],
    wrong: Tensor,
    *,
    stride: int,
    scale: Tensor,
) -> Tensor:
    """Cross-entropy of each thing's own name against all names that would be wrong for it.

    Args:
        places: (B, D, h, w) unit vectors.
        names: (K, D) unit vectors.
        points: B tensors (M_i, 2), x y of things; a thing is looked at in the place that holds its point.
        kinds: B tensors (M_i,), int64: the row of ``names`` that each thing goes by.
        wrong: (K, K) bool: whether name j is wrong for things that go by name i; never for i = j.
        stride: pixels between two places.
        scale: of the cosines, ().

    Returns:
        (B,) means over the things of a picture; 0 where there is none.
    """
    compute = torch.promote_types(places.dtype, torch.float32)
    height, width = places.shape[2:]
    losses = []
    with without_autocast(places.device):
        for picture, centres, own in zip(places.to(compute), points, kinds, strict=True):
            check_finite("points", centres)
            columns, rows = (centres / stride).long().clamp(min=0).unbind(1)
            looked = picture[:, rows.clamp(max=height - 1), columns.clamp(max=width - 1)]
            logits = torch.einsum("dm,kd->mk", looked, names.to(compute)) * scale
            right = logits.gather(1, own[:, None])
            rivals = logits.masked_fill(~wrong[own], -torch.inf)
            each = torch.cat([right, rivals], dim=1).logsumexp(1) - right[:, 0]
            losses.append(each.mean() if len(own) else picture.sum() * 0)
    return _stacked(losses, places)
