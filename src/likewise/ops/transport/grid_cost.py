"""Squared distances between two grids as a transport cost: a sum over one axis at a time.

exp(-C / eps) is the product of one kernel along the first axis and one along the second, so that a soft minimum over
n x n places takes 2 n^3 terms instead of n^4 and nothing of size n^4 or n^2 x n^2 is ever stored. Each sum is a matrix
product with the largest exponent of its line taken out; where such a product comes near the end of the arithmetic's
range, the sum is taken again as a log-sum-exp of its own exponents.

Convention: places of a grid are in row-major order, (row, column) pairs of its two axes' coordinates.

Source: Solomon et al., "Convolutional Wasserstein distances" (2015), for the separable kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.checks import check_finite
from likewise.ops.transport.costs import block_size

#: Sums below this, relative to the largest term of their line, may have lost terms (float32 ends at 1e-38).
MIN_SUM = 1e-28

Axes = tuple[Tensor, Tensor]


class GridCost:
    """C_ij = (r_i - r_j)^2 + (c_i - c_j)^2 between the places of two grids; coordinates get no gradient.

    Args:
        x: coordinates of the rows' grid along its first (H,) and second axis (W,), in units of length; M = H W.
        y: the same of the columns' grid (H',) and (W',); None: the same grid. N = H' W'.

    Raises:
        LikewiseError: not two axes, or a coordinate that is not finite.

    Example:
        >>> GridCost((torch.arange(2.0), torch.arange(2.0))).matrix()[0]  # from the first place to all four
        tensor([0., 1., 1., 2.])
    """

    def __init__(self, x: Sequence[Tensor], y: Sequence[Tensor] | None = None) -> None:
        self._x, self._y = _pair(x), _pair(x if y is None else y)
        kind = torch.promote_types(self._x[0].dtype, self._y[0].dtype)
        self._costs = tuple((p[:, None] - q).square().to(kind) for p, q in zip(self._x, self._y, strict=True))
        self.parameters: tuple[Tensor, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""
        return len(self._x[0]) * len(self._x[1]), len(self._y[0]) * len(self._y[1])

    @property
    def dtype(self) -> torch.dtype:
        """The coordinates', float32 at least."""
        return self._costs[0].dtype

    @property
    def diameter(self) -> float:
        """The largest cost."""
        return sum(float(cost.max()) for cost in self._costs)

    def rows(self, eps: float, h: Tensor) -> Tensor:
        """See `Cost.rows`."""
        along = self._lines(h)
        for cost in self._costs:
            along = _log_sums(along, cost / eps).T
        return -eps * along.flatten()

    def columns(self, eps: float, k: Tensor) -> Tensor:
        """See `Cost.columns`."""
        return self.transposed().rows(eps, k)

    def step(self, eps: float, h: Tensor, log_a: Tensor, damping: float) -> tuple[Tensor, Tensor]:
        """See `Cost.step`."""
        f = damping * self.rows(eps, h)
        return f, self.columns(eps, log_a + f / eps)

    def means(self, eps: float, h: Tensor, v: Tensor | None) -> Tensor:
        """See `Cost.means`: an average along one axis of averages along the other."""
        along, mean = self._lines(h), self._lines(h if v is None else v)
        for cost in self._costs:
            along, mean = _log_sums_and_means(along, mean, cost / eps, own=v is None)
            along, mean = along.T, mean.T
        return mean.flatten()

    def vjp(self, eps: float, k: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """See `Cost.vjp`: there are no parameters."""
        return ()

    def transposed(self) -> GridCost:
        """See `Cost.transposed`."""
        return GridCost(self._y, self._x)

    def coarsen(self, side: float, weights: Tensor) -> None:
        """See `Cost.coarsen`: a grid's sums are cheap as they are."""

    def matrix(self) -> Tensor:
        """See `Cost.matrix`."""
        first, second = self._costs
        return (first[:, None, :, None] + second[None, :, None, :]).reshape(self.shape)

    def detached(self) -> GridCost:
        """See `Cost.detached`: nothing of that size is kept."""
        return self

    def _lines(self, values: Tensor) -> Tensor:
        return values.view(len(self._y[0]), len(self._y[1]))


def _pair(axes: Sequence[Tensor]) -> Axes:
    if len(axes) != 2 or any(axis.ndim != 1 for axis in axes):
        raise LikewiseError(f"axes {[tuple(a.shape) for a in axes]}: expected two, (H,) and (W,)")
    for name, axis in zip(("rows' coordinates", "columns' coordinates"), axes, strict=True):
        check_finite(name, axis)
    kind = functools.reduce(torch.promote_types, (axis.dtype for axis in axes), torch.float32)
    first, second = (axis.detach().to(kind) for axis in axes)
    return first, second


def _log_sums(exponent: Tensor, cost: Tensor) -> Tensor:
    """Sums log sum_k exp(exponent_kl - cost_ik), (I, L), for exponents (K, L) and a cost (I, K) in nats."""
    top = exponent.amax(0)
    sums = (-cost).exp() @ (exponent - top).exp()
    if float(sums.min()) > MIN_SUM:
        return sums.log() + top
    size = max(1, block_size() // exponent.numel())
    return torch.cat([torch.logsumexp(exponent - part[:, :, None], 1) for part in cost.split(size)])


def _log_sums_and_means(exponent: Tensor, value: Tensor, cost: Tensor, *, own: bool) -> tuple[Tensor, Tensor]:
    """`_log_sums`, and the averages with the same weights of value_kl, less cost_ik if ``own``."""
    sums, means = [], []
    for part in cost.split(max(1, block_size() // exponent.numel())):
        exponents = exponent - part[:, :, None]
        sums.append(torch.logsumexp(exponents, 1))
        averaged = value - part[:, :, None] if own else value
        means.append((exponents.softmax(1) * averaged).sum(1))
    return torch.cat(sums), torch.cat(means)
