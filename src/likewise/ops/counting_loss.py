r"""Losses that train a density map on annotated points: generalised (with its scale-sensitive form), Bayesian, L2.

All three are called alike, ``loss(density, points, *, ...) -> (B,)``.

Convention
----------
``density`` (B, 1, H, W) is objects per pixel, >= 0, so its sum is the count; ``points`` are B tensors (N_i, 2), x y in
the density's own pixels, the centre of the top left pixel being (0.5, 0.5). The factor by which networks are
trained on larger numbers (128) is multiplied inside. Sizes are (height, width).

Sources: Wan, Liu, Chan, "A generalized loss function for crowd counting and localization" (CVPR 2021); Lin et al.,
"Scale-prior deformable convolution for exemplar-guided class-agnostic counting" (BMVC 2022), for the
scale-sensitive cost; Ma et al., "Bayesian loss for crowd count estimation with point supervision" (ICCV 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.checks import check_finite, has_values, shapes_only, without_autocast
from likewise.ops.density.maps import Dots, gaussian_density
from likewise.ops.transport import Solver, sinkhorn
from likewise.ops.transport.point_cost import PointCost

#: The unit of distance, in pixels, without exemplar sizes: the middle of the range that sizes give.
FIXED_SCALE = 2.0
#: Steps after which the converging solver hands back what it has; a training step must end.
MAX_ITERATIONS = 300


@dataclass(frozen=True)
class TransportSettings:
    """Parameters of the generalised loss; the defaults are the published ones.

    Attributes:
        solver: "log" converges to the transport problem's solution, "reference" repeats the published code.
        stride: the density is summed over stride x stride blocks before the transport (solver "log" only).
        blur: strength of the entropy, in units of the cost.
        reach: strength of the marginal terms of the transport, in units of the cost.
        tau: weight of the point and the pixel term.
        factor: pixels per unit of distance, and weight of one object.
        scaling: ratio of successive epsilons; None: the solver's own.
        tol: where "log" stops: largest relative error of the mass that any point receives.
        dots: "pixels": as published, points are the pixels that hold them, and two in one pixel are one; "exact": they
            are where they are as far as the solver can see (the reference knows indices of pixels only), and all count.
    """

    solver: Solver = "log"
    stride: int = 1
    blur: float = 0.01
    reach: float = 0.5
    tau: float = 5.0
    factor: float = 128.0
    scaling: float | None = None
    tol: float = 3e-4
    dots: Dots = "exact"

    def __post_init__(self) -> None:
        if self.stride < 1 or (self.stride > 1 and self.solver == "reference"):
            raise LikewiseError(
                f"stride = {self.stride}, solver {self.solver!r}: expected a whole number >= 1, and 1 with 'reference'"
            )
        for name in ("blur", "reach", "tau", "factor"):
            value = getattr(self, name)
            if not 0 <= value < math.inf or (value == 0 and name != "tau"):
                raise LikewiseError(f"{name} = {value}: expected a positive number (tau may be 0)")


def generalized_loss(
    density: Tensor,
    points: Sequence[Tensor],
    *,
    exemplar_sizes: Tensor | None = None,
    solver: Solver = "log",
    stride: int = 1,
    blur: float = 0.01,
    reach: float = 0.5,
    tau: float = 5.0,
    factor: float = 128.0,
    scaling: float | None = None,
    tol: float = 3e-4,
    dots: Dots = "exact",
) -> Tensor:
    """The generalised loss of each picture: ``generalized_terms(...)["total"]``, which see.

    Args:
        density: (B, 1, H, W) objects per pixel.
        points: B tensors (N_i, 2), x y.
        exemplar_sizes: (B, 2) mean exemplar (height, width) in the density's pixels; None: one fixed scale.
        solver: see `TransportSettings`, as all that follow.
        stride: see `TransportSettings`.
        blur: see `TransportSettings`.
        reach: see `TransportSettings`.
        tau: see `TransportSettings`.
        factor: see `TransportSettings`.
        scaling: see `TransportSettings`.
        tol: see `TransportSettings`.
        dots: see `TransportSettings`.

    Returns:
        (B,) losses.

    Raises:
        LikewiseError: shapes that do not fit together, a negative density, a point or size that is not finite.

    Example:
        >>> point = torch.tensor([[16.5, 16.5]])
        >>> once = gaussian_density(point, 2.0, (33, 33))[None, None]
        >>> bool(generalized_loss(once, [point]) < generalized_loss(2 * once, [point]))
        True
    """
    settings = TransportSettings(solver, stride, blur, reach, tau, factor, scaling, tol, dots)
    return generalized_terms(density, points, exemplar_sizes=exemplar_sizes, settings=settings)["total"]


def generalized_terms(
    density: Tensor,
    points: Sequence[Tensor],
    *,
    exemplar_sizes: Tensor | None = None,
    settings: TransportSettings | None = None,
) -> dict[str, Tensor]:
    r"""The generalised loss and its terms.

    With a = factor x density over the pixels where it is not zero (M of them), b_j = factor and P the plan of the
    unbalanced transport problem of `likewise.ops.transport` between them::

        total = transport + tau (point + pixel) + blur * entropy
        point = mean_j |sum_i P_ij - b_j|    pixel = mean_i (sum_j P_ij - a_i)^2    entropy = mean_ij P_ij log P_ij

    at the cost C_ij = |((row_i - row_j) / s'_h, (column_i - column_j) / s'_w)| / factor, where
    s' = 1 + 2 sigmoid((s - 64) / 32) of the exemplars' mean size s. In P the potentials, and in the pixel term all
    of P, are held fixed for the gradient. A picture without points or without mass has
    transport = point = pixel = mean a over all its pixels and no entropy, so a total of (1 + 2 tau) mean a.

    With ``stride`` > 1 a cell's mass sits at the cell's centre; the pixel and the entropy term take it as spread
    evenly over the cell's pixels, which keeps them of the same size.

    Args:
        density: (B, 1, H, W) objects per pixel, >= 0; not-finite values give a not-finite loss.
        points: B tensors (N_i, 2), x y.
        exemplar_sizes: (B, 2) mean exemplar (height, width) in the density's pixels; None: s' = 2.
        settings: the parameters; None: the published ones with the converging solver.

    Returns:
        (B,) tensors "total", "transport", "point", "pixel", "entropy", float32 or better.

    Raises:
        LikewiseError: shapes that do not fit together, a negative density, a point or size that is not finite.
    """
    settings = settings or TransportSettings()
    maps = _maps(density, points)
    if maps.numel() and has_values(maps) and float(maps.detach().amin()) < 0:
        raise LikewiseError(f"the density goes down to {float(density.amin()):g}; expected values >= 0")
    units = _units(exemplar_sizes, maps)
    if settings.dots == "pixels" and not shapes_only(*points):
        points = [held_by(dots, (maps.shape[1], maps.shape[2])) for dots in points]
    with without_autocast(density.device):
        pictures = [
            _picture_terms(settings.factor * picture, dots.detach().to(maps), unit, settings)
            for picture, dots, unit in zip(maps, points, units, strict=True)
        ]
    names = ("total", "transport", "point", "pixel", "entropy")
    return {name: _stacked([terms[name] for terms in pictures], maps) for name in names}


def bayesian_loss(
    density: Tensor, points: Sequence[Tensor], *, sigma: float = 8.0, background: float | None = None
) -> Tensor:
    r"""The Bayesian loss of each picture: every point expects one object from the pixels that are likely its own.

    Pixel x belongs to point j with the posterior p_j(x) = N(x; z_j, sigma^2) / sum_k N(x; z_k, sigma^2), point j
    therefore expects E_j = sum_x p_j(x) density(x), and the loss is sum_j |1 - E_j| (Ma et al., equations 4 to 10).

    Args:
        density: (B, 1, H, W) objects per pixel.
        points: B tensors (N_i, 2), x y.
        sigma: standard deviation of a point's likelihood, pixels.
        background: None: every pixel belongs to the points. A distance d in pixels (the authors take 0.15 of the
            picture's shorter side): a pixel also competes with a background point at distance d beyond its nearest
            point, of likelihood exp(-(d - distance to that)^2 / 2 sigma^2), which expects nothing (equations 12 to 15).

    Returns:
        (B,) losses; a picture without points has its mass.

    Raises:
        LikewiseError: shapes that do not fit together, a point that is not finite, or a sigma that is not positive.

    Example:
        >>> density = torch.zeros(1, 1, 9, 9)
        >>> density[0, 0, 4, 4] = 0.25  # a quarter of the one object that there is
        >>> bayesian_loss(density, [torch.tensor([[4.5, 4.5]])])
        tensor([0.7500])
    """
    if not sigma > 0 or (background is not None and not background >= 0):
        numbers = f"sigma = {sigma}" if not sigma > 0 else f"background = {background}"
        raise LikewiseError(f"{numbers}: expected a positive number of pixels")
    maps = _maps(density, points)
    with without_autocast(density.device):
        pairs = zip(maps, points, strict=True)
        losses = [_bayesian(picture, dots.detach().to(maps), sigma, background) for picture, dots in pairs]
    return _stacked(losses, maps)


def l2_loss(
    density: Tensor,
    points: Sequence[Tensor],
    *,
    sigma: float | Sequence[Tensor] = 4.0,
    factor: float = 128.0,
    stride: int = 1,
    weight: Tensor | None = None,
) -> Tensor:
    """Mean squared difference to Gaussian bumps on the points, in units of 1 / factor objects.

    Args:
        density: (B, 1, H, W) objects per pixel.
        points: B tensors (N_i, 2), x y, inside the map.
        sigma: standard deviation of the bumps in pixels, one for all or B tensors (N_i,).
        factor: density and target are multiplied by this before they are compared.
        stride: both are compared as sums over squares of this many pixels, of which H and W are multiples.
        weight: of each square's difference, (H / stride, W / stride) or with B in front; the mean is over all squares,
            whatever they weigh. None: 1.

    Returns:
        (B,) losses.

    Raises:
        LikewiseError: shapes that do not fit together, a point outside the map, a sigma that is not positive.

    Example:
        >>> points = torch.tensor([[4.5, 4.5]])
        >>> density = gaussian_density(points, 2.0, (9, 9))[None, None]
        >>> l2_loss(density, [points], sigma=2.0)
        tensor([0.])
    """
    maps = _maps(density, points)
    sigmas: Sequence[float | Tensor] = [sigma] * len(maps) if isinstance(sigma, int | float) else sigma
    if stride < 1 or len(sigmas) != len(maps):
        raise LikewiseError(
            f"stride = {stride}, {len(sigmas)} sigmas: expected at least 1, and a sigma for each picture"
        )
    if maps.shape[1] % stride or maps.shape[2] % stride:
        raise LikewiseError(f"a density of {tuple(maps.shape[1:])} cannot be cut into squares of {stride} pixels")
    with without_autocast(density.device):
        if not maps.numel():
            return maps.sum((1, 2))
        cells = F.avg_pool2d(maps[:, None], stride, divisor_override=1)[:, 0]
        size = (cells.shape[1], cells.shape[2])
        bumps = [
            gaussian_density(dots.detach().to(maps) / stride, spread / stride, size)
            for dots, spread in zip(points, sigmas, strict=True)
        ]
        squares = (factor * (cells - torch.stack(bumps))).square()
        return (squares if weight is None else squares * weight).mean((1, 2))


def held_by(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The middles of the pixels of a map of this (height, width) that hold points (N, 2): each once, whatever it holds.

    Points beyond the border belong to the nearest pixel.
    """
    limit = points.new_tensor([size[1] - 1.0, size[0] - 1.0])
    return points.detach().floor().clamp(min=0).minimum(limit).unique(dim=0) + 0.5


def _picture_terms(mass: Tensor, dots: Tensor, unit: Tensor, settings: TransportSettings) -> dict[str, Tensor]:
    """The terms of one picture from its factor-scaled density (H, W), points (N, 2) x y, and s' (height, width)."""
    if len(dots) == 0 or shapes_only(mass, dots) or not 0 < float(mass.detach().sum()) < math.inf:
        empty = mass.abs().mean()
        return _named(empty, empty, empty, torch.zeros_like(empty), settings)
    # Cells without mass send nothing; leaving them out is what the reference does ("non-zero prediction").
    cells = _pooled(mass, settings.stride).flatten()
    held = cells.detach() > 0
    a, b = cells[held], mass.new_full((len(dots),), settings.factor)
    cost, diameter = _cost(_cells(mass.shape, settings.stride, mass)[held], dots.flip(1), unit, settings)
    solution = sinkhorn(
        cost,
        a,
        b,
        eps=settings.blur,
        rho=settings.reach,
        solver=settings.solver,
        scaling=settings.scaling,
        diameter=diameter,
        tol=settings.tol,
        max_iterations=MAX_ITERATIONS,
    )
    sent, received = solution.marginals()
    area = settings.stride**2
    if settings.solver == "log":
        # What the potentials ask for is what columns receive at convergence, and short of it nearer to that: whether
        # it is too much or too little, on which the gradient hangs, is then not left to the residual.
        received = received - received.detach() + b * (-solution.g / settings.reach).exp()
    point = (received - b).abs().mean()
    pixel = ((sent.detach() - a) / area).square().mean()
    # Each cell's part of the plan is spread over the cell's pixels.
    entropy = (solution.entropy() - math.log(area) * sent.sum()) / (len(a) * len(b) * area)
    return _named(solution.value, point, pixel, entropy, settings)


def _stacked(losses: Sequence[Tensor], maps: Tensor) -> Tensor:
    """(B,), of no picture too."""
    return torch.stack(list(losses)) if losses else maps.sum((1, 2))


def _named(
    transport: Tensor, point: Tensor, pixel: Tensor, entropy: Tensor, settings: TransportSettings
) -> dict[str, Tensor]:
    total = transport + settings.tau * (point + pixel) + settings.blur * entropy
    return {"total": total, "transport": transport, "point": point, "pixel": pixel, "entropy": entropy}


def _cost(
    cells: Tensor, dots: Tensor, unit: Tensor, settings: TransportSettings
) -> tuple[Tensor | PointCost, float | None]:
    """Cost (M, N) between (row, column) places, and where epsilon starts (None: at the largest cost)."""
    if settings.solver == "log":
        return PointCost(cells, dots, unit=unit * settings.factor), None
    # The reference works on the indices of pixels (a point is the pixel that holds it) and rounds the
    # indices down after their division by s', so that neighbours share a place; only the first epsilon is
    # taken from the indices themselves, as the diagonal of the box round pixels and points. Two points in one pixel
    # are one point there, since it reads a map of dots; here they stay two, unless they were merged before.
    cells, dots = cells.floor(), dots.floor()
    corners = torch.cat([cells, dots])
    diameter = float((corners.amax(0) - corners.amin(0)).norm())
    places = (cells / unit).floor() / settings.factor, (dots / unit).floor() / settings.factor
    return _distances(*places), diameter


def _bayesian(picture: Tensor, dots: Tensor, sigma: float, background: float | None) -> Tensor:
    """The Bayesian loss of one picture (H, W) with points (N, 2) x y."""
    if len(dots) == 0:
        return picture.sum().abs()
    distance = _distances(_cells(picture.shape, 1, picture), dots.flip(1))
    expected = picture.flatten() @ _posterior(distance, sigma, background)
    wanted = torch.ones_like(expected)
    wanted[len(dots) :] = 0
    return (wanted - expected).abs().sum()


def _posterior(distance: Tensor, sigma: float, background: float | None) -> Tensor:
    """(M, N), or (M, N + 1) with a background in the last column, from distances (M, N)."""
    if background is not None:
        beyond = (background - distance.amin(1, keepdim=True)).abs()
        distance = torch.cat([distance, beyond], 1)
    return torch.softmax(distance.square() / (-2 * sigma**2), 1)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    # Without the matrix product, whose rounding is as large as the distance between neighbouring pixels.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _pooled(mass: Tensor, stride: int) -> Tensor:
    """Sums over stride x stride blocks; blocks at the far edges may be cut."""
    if stride == 1:
        return mass
    return F.avg_pool2d(mass[None, None], stride, ceil_mode=True, divisor_override=1)[0, 0]


def _cells(size: Sequence[int], stride: int, like: Tensor) -> Tensor:
    """Centres (row, column) of the blocks of an (H, W) picture in its pixels, row by row."""
    starts = [torch.arange(0, n, stride, dtype=like.dtype, device=like.device) for n in size]
    centres = [(s + (s + stride).clamp(max=n)) / 2 for s, n in zip(starts, size, strict=True)]
    return torch.cartesian_prod(*centres)


def _units(sizes: Tensor | None, maps: Tensor) -> Tensor:
    """The unit of distance s' (B, 2) in pixels, from the exemplars' mean (height, width)."""
    if sizes is None:
        return maps.new_full((len(maps), 2), FIXED_SCALE)
    if sizes.shape != (len(maps), 2):
        raise LikewiseError(f"exemplar_sizes {tuple(sizes.shape)}: expected ({len(maps)}, 2), height and width")
    check_finite("exemplar_sizes", sizes)
    return 1 + 2 * torch.sigmoid((sizes.detach().to(maps) - 64) / 32)


def _maps(density: Tensor, points: Sequence[Tensor]) -> Tensor:
    """The density as (B, H, W), in float32 at least, once the shapes are seen to fit together."""
    if density.ndim != 4 or density.shape[1] != 1:
        raise LikewiseError(f"density {tuple(density.shape)}: expected (B, 1, H, W)")
    if len(points) != len(density):
        raise LikewiseError(f"{len(points)} sets of points for {len(density)} densities: expected one a picture")
    for index, dots in enumerate(points):
        if dots.ndim != 2 or dots.shape[1] != 2:
            raise LikewiseError(f"points[{index}] {tuple(dots.shape)}: expected (N, 2), x y")
        check_finite(f"points[{index}]", dots)
    return density[:, 0].to(torch.promote_types(density.dtype, torch.float32))
