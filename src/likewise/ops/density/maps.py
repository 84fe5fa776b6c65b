"""Dots to density and back to other sizes: a density map is objects per pixel, its sum is the count.

Convention: points are (x, y) and the centre of the top left pixel is (0.5, 0.5), so a map of width W spans
x from 0 to W and pixel (row, column) holds the points with floor(y) = row and floor(x) = column.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.checks import has_values

#: Whether points are taken where they are, or as the pixels that hold them.
Dots = Literal["exact", "pixels"]


def placed(points: Tensor, dots: Dots) -> Tensor:
    """Points (N, 2) x y where their bumps are to stand; two in one pixel stay two."""
    return points.floor() + 0.5 if dots == "pixels" else points


def dots_map(points: Tensor, size: tuple[int, int]) -> Tensor:
    """One unit for every point, in the pixel that holds it.

    Args:
        points: (N, 2) x y inside the map.
        size: (H, W) of the map.

    Returns:
        (H, W) of the points' floating type (of whole numbers: float32); sums to N exactly.

    Raises:
        LikewiseError: a point outside the map.

    Example:
        >>> dots_map(torch.tensor([[0.5, 0.5], [2.9, 1.0]]), (2, 3))
        tensor([[1., 0., 0.],
                [0., 0., 1.]])
    """
    _check_inside(points, size)
    height, width = size
    column, row = points.floor().long().unbind(1)
    # counted in float32 at least: half precision stops at 2048 of them
    kind = points.dtype if points.is_floating_point() else torch.float32
    out = torch.zeros(height * width, dtype=torch.promote_types(kind, torch.float32), device=points.device)
    return out.index_add_(0, row * width + column, torch.ones_like(row, dtype=out.dtype)).view(height, width).to(kind)


def gaussian_density(points: Tensor, sigma: float | Tensor, size: tuple[int, int]) -> Tensor:
    """One Gaussian bump for every point, renormalised inside the map so that each weighs exactly one object.

    The kernel is the product of one over columns and one over rows, each normalised over the pixels that exist; a
    softmax of -d^2 / (2 sigma^2) does that for any sigma, where sampling the Gaussian first would underflow.

    Args:
        points: (N, 2) x y inside the map.
        sigma: standard deviation in pixels, one for all or (N,).
        size: (H, W) of the map.

    Returns:
        (H, W) summing to N.

    Raises:
        LikewiseError: a point outside the map; a sigma that is not positive and finite.

    Example:
        >>> density = gaussian_density(torch.tensor([[1.0, 1.0], [7.5, 3.5]]), 2.0, (6, 10))
        >>> density.shape, round(density.sum().item(), 4)
        (torch.Size([6, 10]), 2.0)
    """
    _check_inside(points, size)
    kind = points.dtype if points.is_floating_point() else torch.float32
    # half precision does not tell neighbouring pixels of a large map apart
    places = points.to(torch.promote_types(kind, torch.float32))
    spread = torch.as_tensor(sigma, dtype=places.dtype, device=places.device).expand(len(places))
    if has_values(spread):
        bad = spread[~((spread > 0) & spread.isfinite())]
        if len(bad):
            raise LikewiseError(f"sigma must be positive, got {bad[0].item():g}")
    across, down = (_bumps(places[:, axis], spread, size[1 - axis]) for axis in (0, 1))
    return (down.T @ across).to(kind)


def resize_density(density: Tensor, size: tuple[int, int]) -> Tensor:
    """A map at another size, every bit of mass staying where it is in the picture.

    Each new pixel receives the mass under it, the old map taken as constant within a pixel: the sum is kept, a
    constant map stays constant, and nothing leaks further than a pixel.

    Args:
        density: (..., H, W).
        size: (h, w) wanted.

    Returns:
        (..., h, w) with the same sum for each map.

    Raises:
        LikewiseError: a size below one pixel, or a map without pixels.

    Example:
        >>> resize_density(torch.tensor([[4.0, 0.0], [0.0, 8.0]]), (1, 4))
        tensor([[2., 2., 4., 4.]])
    """
    if min(size) < 1 or density.ndim < 2 or min(density.shape[-2:]) < 1:
        raise LikewiseError(f"density {tuple(density.shape)} to {tuple(size)}: expected sides of at least one pixel")
    rows = _resize_last(density.transpose(-1, -2), size[0]).transpose(-1, -2)
    return _resize_last(rows, size[1])


def fold_border(density: Tensor, part: tuple[int, int, int, int]) -> Tensor:
    """A part of a map with what lies beside it added to its nearest cells.

    Args:
        density: (H, W).
        part: (y0, x0, y1, x1), half-open, in cells.

    Returns:
        (y1 - y0, x1 - x0), of the same sum.
    """
    y0, x0, y1, x1 = part
    if (y0, x0, y1, x1) == (0, 0, *density.shape):
        return density
    rows, columns = (torch.arange(n, device=density.device) for n in density.shape)
    rows, columns = rows.clamp(y0, y1 - 1) - y0, columns.clamp(x0, x1 - 1) - x0
    across = density.new_zeros(len(rows), x1 - x0).index_add_(1, columns, density)
    return across.new_zeros(y1 - y0, x1 - x0).index_add_(0, rows, across)


def _bumps(centres: Tensor, spread: Tensor, length: int) -> Tensor:
    """(N, length): a normalised Gaussian along one axis for every centre."""
    pixels = torch.arange(length, dtype=centres.dtype, device=centres.device) + 0.5
    squares = (pixels[None] - centres[:, None]).square()
    # against the nearest pixel's, or a sigma far below a pixel would make all of them infinite
    beyond = squares - squares.detach().amin(1, keepdim=True)
    return torch.softmax(-0.5 * (beyond / spread[:, None] / spread[:, None]), dim=1)


def _resize_last(density: Tensor, length: int) -> Tensor:
    """Conservative resampling of the last axis: differences of the running integral at the new pixels' borders."""
    old = density.shape[-1]
    if old == length:
        return density
    # float64 because a difference of two large running sums would cost a float32 map its small values
    total = torch.nn.functional.pad(density.double().cumsum(-1), (1, 0))
    border = torch.arange(length + 1, dtype=torch.float64, device=density.device) * old / length
    left = border.floor().long().clamp(max=old - 1)
    start, end = total[..., left], total[..., left + 1]
    return (start + (end - start) * (border - left)).diff(dim=-1).to(density.dtype)


def _check_inside(points: Tensor, size: tuple[int, int]) -> None:
    height, width = size
    if points.ndim != 2 or points.shape[1] != 2:
        raise LikewiseError(f"points {tuple(points.shape)}: expected (N, 2), x y")
    if not has_values(points):
        return
    limit = torch.tensor([width, height], device=points.device)
    outside = ((points < 0) | (points >= limit) | ~points.isfinite()).any(dim=1)
    if bool(outside.any()):
        x, y = points[outside][0].tolist()
        raise LikewiseError(
            f"point ({x:g}, {y:g}) lies outside the map, which is {width} x {height} pixels (width x height)"
        )
