"""Peaks: from a density map to one point an object.

Convention
----------
Points are ``(x, y)`` in the map's own pixels, the centre of the top left pixel at (0.5, 0.5).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.errors import LikewiseError
from likewise.ops.checks import check_finite, shapes_only

#: Discs are tested this many values at a time, which bounds the memory on big maps.
_CHUNK = 1 << 24

#: Times a point is moved to the centroid of the disc round it: the disc moves along.
_MOVES = 3


def density_peaks(density: Tensor, *, radius: float, threshold: float) -> tuple[Tensor, Tensor]:
    """Find the places that are the highest within ``radius``, one point each.

    A pixel is a peak when it reaches ``threshold`` and no pixel within ``radius`` of it is higher (its eight
    neighbours always take part). Peaks within ``radius`` of each other are equally high: such a plateau, as an
    upsampled map has, gives one point. Each point is then moved to the centroid, within ``radius``, of what
    rises above half of its height.

    Args:
        density: (H, W), finite.
        radius: pixels; two objects closer than this are one.
        threshold: lowest height of a peak, positive.

    Returns:
        Points (N, 2) and scores (N,), float32, best first; a score is the density summed within ``radius`` of the
        point, where pixels on the rim count in part: about 1 for one object whose density lies within the disc.

    Raises:
        LikewiseError: a map that is not (H, W) or not finite, a radius or threshold that is not positive and finite,
            or a tensor without values (meta device), whose peaks cannot be numbered.

    Example:
        >>> density = torch.zeros(7, 7)
        >>> density[2, 3] = 1.0
        >>> points, scores = density_peaks(density, radius=2.0, threshold=0.5)
        >>> points, scores
        (tensor([[3.5000, 2.5000]]), tensor([1.]))
    """
    if density.ndim != 2 or not 0 < radius < math.inf or not 0 < threshold < math.inf:
        shape = tuple(density.shape)
        raise LikewiseError(f"expected a map (H, W) and positive numbers, got {shape=}, {radius=}, {threshold=}")
    if shapes_only(density):
        raise LikewiseError(f"density_peaks: how many there are hangs on values, which a {density.device} map lacks")
    check_finite("density", density)
    if not density.numel():
        return density.new_zeros(0, 2, dtype=torch.float32), density.new_zeros(0, dtype=torch.float32)
    offsets = _disc(radius, density.device)
    pixels = _highest_within(density.float(), offsets, threshold)
    centres = _plateau_centres(pixels, density.shape, offsets)
    points, scores = _centroids(density.float(), centres, radius)
    best = torch.argsort(scores, descending=True, stable=True)
    return points[best], scores[best]


def peak_basins(points: Tensor, shape: tuple[int, int], radius: float) -> Tensor:
    """Which point each pixel of a map belongs to: the nearest, if it lies within ``radius`` of it.

    Args:
        points: (N, 2) x y; where two are equally near, either is taken, always the same.
        shape: (H, W) of the map.
        radius: pixels, between the centres of pixels; points are taken to be in the middle of theirs.

    Returns:
        (H, W) int64, the index of the point, or -1.

    Raises:
        LikewiseError: points that are not (N, 2) or not finite, or a radius that is negative or not finite.
    """
    height, width = shape
    if points.ndim != 2 or points.shape[1] != 2 or not 0 <= radius < math.inf:
        raise LikewiseError(f"points {tuple(points.shape)}, radius = {radius}: expected (N, 2) and a number >= 0")
    check_finite("points", points)
    if shapes_only(points):
        return torch.empty(shape, dtype=torch.int64, device=points.device)
    offsets = _disc(radius, points.device)
    offsets = offsets[offsets.square().sum(1) <= radius * radius]
    # the nearest point has the lowest key, and of those equally near the first; keys say whose they are
    count, nobody = len(points), torch.iinfo(torch.int64).max
    lowest = torch.full((height * width,), nobody, dtype=torch.int64, device=points.device)
    centres = points.floor().long().flip(1)
    for index in torch.arange(count, device=points.device).split(max(1, _CHUNK // len(offsets))):
        y, x = (centres[index, None] + offsets).unbind(2)
        keys = offsets.square().sum(1) * count + index[:, None]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        lowest.scatter_reduce_(0, (y * width + x)[inside], keys[inside], "amin")
    return torch.where(lowest == nobody, -1, lowest % max(count, 1)).view(height, width)


def smooth(density: Tensor, sigma: float) -> Tensor:
    """A density (H, W) blurred by a Gaussian of ``sigma`` pixels, as if the map went on with zeros outside.

    Rounding makes a flat top uneven, and any of its pixels the highest; blurred, it is highest in its middle.

    Raises:
        LikewiseError: another shape, or a sigma that is not positive and finite.
    """
    if density.ndim != 2 or not 0 < sigma < math.inf:
        raise LikewiseError(f"density {tuple(density.shape)}, sigma = {sigma}: expected (H, W) and a positive number")
    if not density.numel():
        return density
    reach = max(1, math.ceil(3 * sigma))
    steps = torch.arange(-reach, reach + 1, dtype=density.dtype, device=density.device)
    kernel = torch.exp(-0.5 * (steps / sigma).square())
    kernel = (kernel / kernel.sum())[None, None]
    return _along_rows(_along_rows(density, kernel).T, kernel).T


def _along_rows(density: Tensor, kernel: Tensor) -> Tensor:
    """Each row convolved, some rows at a time: a convolution unfolds its whole input in memory."""
    rows = density.split(max(1, _CHUNK // (density.shape[1] * kernel.shape[-1])))
    return torch.cat([F.conv1d(part[:, None], kernel, padding=kernel.shape[-1] // 2)[:, 0] for part in rows])


def _disc(radius: float, device: torch.device) -> Tensor:
    """Offsets (M, 2) as (row, column) within ``radius``, the eight neighbours always among them."""
    reach = max(1, math.floor(radius))
    step = torch.arange(-reach, reach + 1, device=device)
    grid = torch.cartesian_prod(step, step)
    return grid[grid.square().sum(1) <= max(radius * radius, 2.0)]


def _highest_within(density: Tensor, offsets: Tensor, threshold: float) -> Tensor:
    """Pixels (N, 2) as (row, column) that reach the threshold and that none in their disc exceeds."""
    # the eight neighbours first: they rule out nearly everything at the price of four comparisons
    around = _highest_of_three(_highest_of_three(density).T).T
    pixels = ((density >= threshold) & (density >= around)).nonzero()
    return pixels[density[pixels[:, 0], pixels[:, 1]] >= _disc_max(density, pixels, offsets)]


def _highest_of_three(density: Tensor) -> Tensor:
    """Of each pixel and those above and below it; pooling does the same, several times slower on one channel."""
    padded = F.pad(density, (0, 0, 1, 1), value=-math.inf)
    return torch.maximum(torch.maximum(padded[:-2], padded[2:]), density)


def _disc_max(values: Tensor, pixels: Tensor, offsets: Tensor) -> Tensor:
    """The highest value (N,) in the disc round each pixel; places outside the map do not take part."""
    reach = int(offsets.max())
    padded = F.pad(values, (reach,) * 4, value=-math.inf if values.is_floating_point() else -1)
    width = padded.shape[1]
    places = (pixels[:, 0] + reach) * width + pixels[:, 1] + reach
    flat = padded.flatten()
    highest = flat[places]
    for step in (offsets[:, 0] * width + offsets[:, 1]).tolist():
        highest = torch.maximum(highest, flat[places + step])
    return highest


def _plateau_centres(pixels: Tensor, shape: torch.Size, offsets: Tensor) -> Tensor:
    """Mean places (P, 2), float32, of the groups of pixels linked by steps within the disc."""
    label = torch.arange(len(pixels), device=pixels.device)
    for links in (_disc(1.0, pixels.device), offsets):  # near links first: they are few, and join nearly everything
        label = _joined(label, pixels, shape, links)
    groups, index = torch.unique(label, return_inverse=True)
    sums = torch.zeros(len(groups), 3, dtype=torch.float64, device=pixels.device)
    sums.index_add_(0, index, F.pad(pixels.double(), (0, 1), value=1.0))
    return (sums[:, :2] / sums[:, 2:]).float()


def _joined(label: Tensor, pixels: Tensor, shape: torch.Size, links: Tensor) -> Tensor:
    """Labels (N,), each the index of a pixel of its own group, made equal along the links."""
    labels = torch.full(tuple(shape), -1, dtype=torch.int64, device=pixels.device)
    while True:
        labels[pixels[:, 0], pixels[:, 1]] = label
        spread = _disc_max(labels, pixels, links)
        if torch.equal(spread, label):
            return label
        label = spread[spread]  # a pixel follows the one it follows, so that large plateaus take few rounds


def _centroids(density: Tensor, centres: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Points (P, 2) as (x, y), refined inside their discs, and the density (P,) summed in those."""
    reach = math.ceil(max(radius, 1.0) + 1)  # half a pixel of rim, half a pixel to the nearest centre
    step = torch.arange(-reach, reach + 1, device=density.device)
    parts = [_window_centroids(density, c, step, radius) for c in centres.split(max(1, _CHUNK // len(step) ** 2))]
    if not parts:
        return centres.new_zeros(0, 2), centres.new_zeros(0)
    return torch.cat([p for p, _ in parts]), torch.cat([s for _, s in parts])


def _window_centroids(density: Tensor, centres: Tensor, step: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    start = centres
    for _ in range(_MOVES):
        places, values = _in_disc(density, centres, step, radius)
        weights = (values - 0.5 * values.amax((1, 2), keepdim=True)).clamp(min=0)
        along = torch.stack([weights.sum(2), weights.sum(1)], dim=1)
        pull = (along * (places - start[..., None])).sum(2)
        pull = pull / weights.sum((1, 2))[:, None].clamp(min=torch.finfo(weights.dtype).tiny)
        # peaks are further apart than the radius: moved by less than half of it, they never become one
        centres = start + pull * (0.5 * radius / pull.norm(dim=1, keepdim=True).clamp(min=0.5 * radius))
    _, values = _in_disc(density, centres, step, radius)
    return (centres + 0.5).flip(1), values.sum((1, 2))


def _in_disc(density: Tensor, centres: Tensor, step: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Rows and columns (P, 2, W) round each centre and the density (P, W, W) there, fading over the disc's rim.

    It is zero outside the map.
    """
    limit = torch.tensor(density.shape, device=density.device)[:, None] - 1
    places = centres.round().long()[..., None] + step
    rows, columns = torch.minimum(places.clamp(min=0), limit).unbind(1)
    inside = ((places >= 0) & (places <= limit)).to(density.dtype)
    down, across = (places - centres[..., None]).square().unbind(1)
    share = (max(radius, 1.0) + 0.5 - (down[:, :, None] + across[:, None]).sqrt()).clamp(0, 1)
    values = density[rows[:, :, None], columns[:, None]] * share
    return places, values * inside[:, 0, :, None] * inside[:, 1, None]
