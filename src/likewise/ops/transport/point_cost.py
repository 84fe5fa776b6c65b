r"""Distances between points as a transport cost that is evaluated block by block and never stored.

Rows are cut into tiles that are compact in space. For a tile, columns whose exponents lie below what counts in the
arithmetic used are left out by a bound on the distance; the rest is evaluated a block at a time, in torch or, in the
plane and in float32 on a CPU, by compiled loops (`likewise.native`). One evaluation serves both updates of a step: a
row's soft minimum is known once its block is, and gives the weights with which the same block adds to the columns.

Sources: Feydy, "Geometric data analysis, beyond convolutions" (2020), for sums evaluated from coordinates; Schmitzer,
"Stabilized sparse scaling algorithms for entropy regularized transport problems" (2019), for leaving pairs out and for
going from coarse to fine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from likewise import native
from likewise.errors import LikewiseError
from likewise.ops.checks import check_finite
from likewise.ops.transport.costs import block_size
from likewise.ops.transport.tiles import TILE, Tiles, centroids

#: A column whose share of what rows give is this many times less than the mean share is computed on its own: it may
#: lack pairs that were left out of rows of great weight.
FAINT = 64
#: Columns fewer than this are never worth a search for those that are near.
MIN_COLUMNS = 256
#: Exponents below this stand for weights of zero.
NOTHING = -1e8
LOG2E = 1 / math.log(2)
#: Pairs for which another thread is worth its start.
THREAD_PAIRS = 1 << 18

Block = tuple[Tensor, Tensor | slice, Tensor, Tensor]


class PointCost:
    """C_ij = |(x_i - y_j) / unit|^power between points, by their coordinates.

    The gradient of a value reaches x, y and unit.

    Args:
        x: (M, d) places of the rows, floating.
        y: (N, d) places of the columns.
        power: 1 for the Euclidean distance, 2 for its square.
        unit: length that counts as 1, one for all axes or (d,).

    Raises:
        LikewiseError: places of other shapes, another power, a place or a unit that is not finite, a unit of 0.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0]])
        >>> PointCost(x, y).matrix()
        tensor([[0.],
                [5.]])
    """

    def __init__(self, x: Tensor, y: Tensor, *, power: Literal[1, 2] = 1, unit: float | Tensor = 1.0) -> None:
        _check(x, y, power, unit)
        kind = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
        self.parameters = (x.to(kind) / unit, y.to(kind) / unit)
        self.power = power
        self._x, self._y = (places.detach() for places in self.parameters)
        self._scaled: tuple[float, list[Tensor]] = (math.nan, [])

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""
        return len(self._x), len(self._y)

    @property
    def dtype(self) -> torch.dtype:
        """The places', float32 at least."""
        return self._x.dtype

    @property
    def diameter(self) -> float:
        """The cost between opposite corners of the boxes round both: no pair costs more."""
        (low, high), (low_y, high_y) = self._x.aminmax(dim=0), self._y.aminmax(dim=0)
        return float(torch.maximum(high - low_y, high_y - low).norm()) ** self.power

    def rows(self, eps: float, h: Tensor) -> Tensor:
        """See `Cost.rows`."""
        if self._is_native:
            return self._call(eps, h) * -eps
        out = h.new_empty(len(self._x))
        for rows, _, exponent, _ in self._blocks(eps, h):
            out[rows] = torch.logsumexp(exponent, 1)
        return -eps * out

    def columns(self, eps: float, k: Tensor) -> Tensor:
        """See `Cost.columns`."""
        return self.transposed().rows(eps, k)

    def step(self, eps: float, h: Tensor, log_a: Tensor, damping: float) -> tuple[Tensor, Tensor]:
        """See `Cost.step`; every pair is evaluated once."""
        run = self._run if self._is_native else self._run_blocks
        total, columns = run(eps, h, log_a, 1 - damping)
        f, columns = total * (-damping * eps), columns * -eps
        faint = columns.isnan() & (h > NOTHING)
        if bool(faint.any()):
            columns[faint] = PointCost(self._y[faint], self._x, power=self.power).rows(eps, log_a + f / eps)
        return f, columns

    def means(self, eps: float, h: Tensor, v: Tensor | None) -> Tensor:
        """See `Cost.means`."""
        if self._is_native:
            mean = torch.empty_like(self._x[:, 0])
            self._call(eps, h, (None if v is None else v.contiguous(), None, 0.0), (mean, None))
            return mean
        out = h.new_empty(len(self._x))
        for rows, near, exponent, _ in self._blocks(eps, h):
            share = exponent.softmax(1)
            out[rows] = torch.einsum("ij,ij->i", share, exponent) if v is None else share @ v[near]
        return out

    def vjp(self, eps: float, k: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """See `Cost.vjp`: between a pair the gradient points along x_i - y_j; it is 0 where both coincide."""
        to_x, to_y = torch.zeros_like(self._x), torch.zeros_like(self._y)
        for rows, near, exponent, cost in self._blocks(eps, h):
            x, y = self._x[rows], self._y[near]
            plan = exponent.add_(k[rows, None]).exp_()
            vjp = 2 * plan if self.power == 2 else torch.where(cost > 0, plan / cost, 0)
            to_x[rows] = x * vjp.sum(1, keepdim=True) - vjp @ y
            to_y[near] += y * vjp.sum(0)[:, None] - vjp.T @ x
        return to_x, to_y

    def transposed(self) -> PointCost:
        """See `Cost.transposed`."""
        return PointCost(self._y, self._x, power=self.power)

    def coarsen(self, side: float, weights: Tensor) -> tuple[PointCost, Tensor] | None:
        """See `Cost.coarsen`: the rows' centres of mass in cubes of that side."""
        found = centroids(self._x, weights, side ** (1 / self.power))
        return None if found is None else (PointCost(found[0], self._y, power=self.power), found[1])

    def matrix(self) -> Tensor:
        """See `Cost.matrix`."""
        return _costs(self._x.T, self._y.T, self.power)

    def detached(self) -> PointCost:
        """See `Cost.detached`: nothing of that size is kept."""
        return self

    @cached_property
    def _tiles(self) -> Tiles:
        size = TILE if self._is_native else max(TILE, block_size() // len(self._y))
        return Tiles.of(self._x, size)

    @cached_property
    def _is_native(self) -> bool:
        plain = self._x.dtype == self._y.dtype == torch.float32 and self._x.device.type == "cpu"
        return plain and self._x.shape[1] == 2 and native.available()

    @property
    def _cut(self) -> float:
        """How far below its row's largest exponent a pair is left out, in bits: together an eighth of rounding."""
        return math.log2(8 * len(self._y) / torch.finfo(self._x.dtype).eps)

    @property
    def _threads(self) -> int:
        """Threads for the compiled loops: none that would have less to do than it costs to wake it."""
        return min(torch.get_num_threads(), 1 + len(self._x) * len(self._y) // THREAD_PAIRS)

    @cached_property
    def _axes(self) -> tuple[Tensor, Tensor]:
        return self._x.T.contiguous(), self._y.T.contiguous()

    def _run_blocks(self, eps: float, h: Tensor, log_a: Tensor, gain: float) -> tuple[Tensor, Tensor]:
        """Totals log sum_j exp(h_j - C_ij / eps), and log sum_i a_i exp((gain - 1) total_i - C_ij / eps).

        The latter is not a number for a column whose share is so far below the mean that it may lack pairs left out.
        """
        total, received = h.new_empty(len(self._x)), h.new_zeros(len(self._y), dtype=torch.float64)
        for rows, near, exponent, _ in self._blocks(eps, h):
            top = exponent.amax(1)
            powers = exponent.sub_(top[:, None]).exp_()
            sums = powers.sum(1)
            total[rows] = top + sums.log()
            given = log_a[rows] + gain * total[rows]
            largest = given.max().clamp(min=NOTHING)
            received[near] += ((given - largest).exp() / sums @ powers).double() * largest.double().exp()
        faint = received * FAINT < received.mean()
        return total, torch.where(faint, torch.nan, received.log().to(h) - h)

    def _blocks(self, eps: float, h: Tensor) -> Iterator[Block]:
        """Rows, the columns that count for them, exponents h_j - C_ij / eps and costs, a block at a time."""
        (x, y), order = self._axes, self._tiles.order
        starts = self._tiles.starts.tolist()
        for start, stop in pairwise(starts):
            near = self._near(x[:, order[start:stop]], eps, h)
            columns, exponents = y[:, near], h[near]
            for rows in order[start:stop].split(max(1, block_size() // len(exponents))):
                cost = _costs(x[:, rows], columns, self.power)
                yield rows, near, torch.sub(exponents, cost, alpha=1 / eps), cost

    def _near(self, x: Tensor, eps: float, h: Tensor) -> Tensor | slice:
        """The columns that count for rows with coordinates (d, m), by the box round these."""
        if len(h) < MIN_COLUMNS:
            return slice(None)
        (low, high), y = x.aminmax(dim=1, keepdim=True), self._axes[1]
        below, above = low - y, y - high
        nearest = torch.maximum(below, above).clamp_(min=0).square_().sum(0) ** (self.power / 2)
        farthest = torch.maximum(high - y, y - low).square_().sum(0) ** (self.power / 2)
        limit = (h - farthest / eps).max() - self._cut / LOG2E
        return (h - nearest / eps >= limit).nonzero()[:, 0]

    def _run(self, eps: float, h: Tensor, log_a: Tensor, gain: float) -> tuple[Tensor, Tensor]:
        """`_run_blocks`, compiled."""
        columns = torch.empty_like(h)
        return self._call(eps, h, (None, log_a, gain), (None, columns)), columns

    def _call(
        self,
        eps: float,
        h: Tensor,
        given: tuple[Tensor | None, Tensor | None, float] = (None, None, 0.0),
        out: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> Tensor:
        """Totals, from values, weights and gain, and into means and columns (as the compiled function names them)."""
        if self._scaled[0] != eps:
            scale = (LOG2E / eps) ** (1 / self.power)
            self._scaled = (eps, [axis for axes in self._axes for axis in (axes * scale).unbind()])
        x0, x1, y0, y1 = self._scaled[1]
        total, failed = torch.empty_like(x0), torch.empty(1, dtype=torch.int64)
        native.call(
            "likewise_soft_minima",
            *(x0, x1, self._tiles.order, self._tiles.starts, len(self._tiles.starts) - 1),
            *(y0, y1, h, len(y0), *given, self._cut, self.power - 1, total, *out, float(FAINT)),
            *(self._threads, failed),
        )
        if int(failed):
            raise MemoryError(f"no memory for {len(y0)} columns")
        return total


def _check(x: Tensor, y: Tensor, power: int, unit: float | Tensor) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not x.shape[1]:
        raise LikewiseError(f"x {tuple(x.shape)}, y {tuple(y.shape)}: expected (M, d) and (N, d)")
    if power not in (1, 2):
        raise LikewiseError(f"power = {power}: expected 1, the distance, or 2, its square")
    for name, values in (("x", x), ("y", y), ("unit", torch.as_tensor(unit))):
        check_finite(name, values)
    if not isinstance(unit, Tensor) and unit == 0:
        raise LikewiseError("unit = 0: expected a length that counts as 1")


def _costs(x: Tensor, y: Tensor, power: int) -> Tensor:
    """Costs (M, N) between coordinates (d, M) and (d, N), without the matrix product, whose rounding is too large."""
    out = (x[0, :, None] - y[0]).square_()
    for p, q in zip(x[1:], y[1:], strict=True):
        difference = p[:, None] - q
        out.addcmul_(difference, difference)
    return out if power == 2 else out.sqrt_()
