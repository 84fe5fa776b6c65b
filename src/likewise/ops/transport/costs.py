"""What the transport solver asks of a cost, and the cost that is a stored matrix.

Convention: rows are the M places mass leaves, columns the N places that receive it. Exponents h (N,) and k (M,) are
in nats, as are C / eps; soft minima are in the cost's own units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol, Self

import torch
from torch import Tensor

#: Pairs that a thread works on at a time: 512 KiB in float32, which stays in its second-level cache.
BLOCK = 1 << 17
#: Threads beyond this number share such blocks.
MAX_BLOCKS = 4
#: A stored kernel is rebuilt when an exponent has moved by more than this (e^20 is harmless in float32).
MAX_DRIFT = 20.0
#: Exponents of the stored kernel are cut here: e^-80 counts for nothing, and denormal numbers are slow.
MIN_EXPONENT = -80.0
#: Column sums below this may be made of cut entries; they are computed again from the cost itself.
MIN_SUM = 1e-25


def block_size() -> int:
    """Pairs worked on at a time by all threads."""
    return BLOCK * min(torch.get_num_threads(), MAX_BLOCKS)


class Cost(Protocol):
    """What the solver needs of a cost (M, N): sums over it, never its storage."""

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""

    @property
    def dtype(self) -> torch.dtype:
        """What its sums are computed in; exponents are of this type."""

    @property
    def diameter(self) -> float:
        """The largest cost, or a little more."""

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The tensors that the cost is a differentiable function of."""

    def rows(self, eps: float, h: Tensor) -> Tensor:
        """-eps log sum_j exp(h_j - C_ij / eps), shape (M,), for ``h`` of shape (N,)."""

    def columns(self, eps: float, k: Tensor) -> Tensor:
        """-eps log sum_i exp(k_i - C_ij / eps), shape (N,), for ``k`` of shape (M,)."""

    def step(self, eps: float, h: Tensor, log_a: Tensor, damping: float) -> tuple[Tensor, Tensor]:
        """The updates f = damping * rows(eps, h) and columns(eps, log_a + f / eps), which may share one evaluation."""

    def means(self, eps: float, h: Tensor, v: Tensor | None) -> Tensor:
        """Means (M,) of v_j, or of h_j - C_ij / eps without v, with weights exp(h_j - C_ij / eps) over j."""

    def vjp(self, eps: float, k: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """Gradients of sum_ij exp(k_i + h_j - C_ij / eps) C_ij in `parameters`, the exponential held fixed."""

    def transposed(self) -> Self:
        """The same cost with rows and columns exchanged."""

    def coarsen(self, side: float, weights: Tensor) -> tuple[Self, Tensor] | None:
        """A cost of fewer rows, each standing for rows whose costs differ by about ``side``, and their weights.

        None: there is none, or it would hardly have fewer rows.
        """

    def matrix(self) -> Tensor:
        """All of it, (M, N), without gradient."""

    def detached(self) -> Self:
        """The same cost without anything that it keeps from one call to the next and that is as large as itself."""


class DenseCost:
    """A stored (M, N) cost matrix whose soft minima are matrix-vector products.

    ``rows`` stores K_ij = exp(h_j - C_ij / eps - r_i), whose rows sum to 1. Later calls with the same eps and
    exponents near the stored ones only multiply by K; where that would lose digits the matrix is rebuilt, or
    the sums are taken from the cost in the log domain. The result is that of the log-domain formula always.
    The memory is that of two matrices; everything else here takes blocks of rows.
    """

    def __init__(self, cost: Tensor) -> None:
        self.parameters = (cost,)
        self._cost = cost.detach()
        self._eps = math.nan
        self._anchor = self._offset = self._kernel = cost.new_empty(0)

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""
        return self._cost.shape[0], self._cost.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        """The matrix's."""
        return self._cost.dtype

    @property
    def diameter(self) -> float:
        """The largest cost."""
        return float(self._cost.max())

    def rows(self, eps: float, h: Tensor) -> Tensor:
        """See `Cost.rows`."""
        if eps != self._eps or float((h - self._anchor).abs().max()) > MAX_DRIFT:
            self._store(eps, h)
            return -eps * self._offset
        return -eps * (self._offset + (self._kernel @ (h - self._anchor).exp()).log())

    def columns(self, eps: float, k: Tensor) -> Tensor:
        """See `Cost.columns`."""
        if eps == self._eps:
            weights = k + self._offset
            top = weights.max()
            sums = (weights - top).exp() @ self._kernel
            if float(sums.min()) > MIN_SUM:
                return -eps * (sums.log() + top - self._anchor)
        return -eps * torch.logsumexp(torch.sub(k[:, None], self._cost, alpha=1 / eps), 0)

    def step(self, eps: float, h: Tensor, log_a: Tensor, damping: float) -> tuple[Tensor, Tensor]:
        """See `Cost.step`."""
        f = damping * self.rows(eps, h)
        return f, self.columns(eps, log_a + f / eps)

    def means(self, eps: float, h: Tensor, v: Tensor | None) -> Tensor:
        """See `Cost.means`."""
        parts = []
        for block in self._blocks():
            exponent = torch.sub(h, self._cost[block], alpha=1 / eps)
            share = exponent.softmax(1)
            parts.append(torch.einsum("ij,ij->i", share, exponent) if v is None else share @ v)
        return torch.cat(parts)

    def vjp(self, eps: float, k: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """See `Cost.vjp`; the one gradient is as large as the matrix."""
        plan = torch.sub(h, self._cost, alpha=1 / eps)
        return (plan.add_(k[:, None]).exp_(),)

    def transposed(self) -> DenseCost:
        """See `Cost.transposed`."""
        return DenseCost(self._cost.T)

    def coarsen(self, side: float, weights: Tensor) -> None:
        """See `Cost.coarsen`: nothing is known of rows but their costs."""

    def matrix(self) -> Tensor:
        """See `Cost.matrix`."""
        return self._cost

    def detached(self) -> DenseCost:
        """See `Cost.detached`: without the kernel that `rows` keeps."""
        return DenseCost(self.parameters[0])

    def _blocks(self) -> Iterator[slice]:
        size = max(1, block_size() // self._cost.shape[1])
        return (slice(i, i + size) for i in range(0, self._cost.shape[0], size))

    def _store(self, eps: float, h: Tensor) -> None:
        exponent = torch.sub(h, self._cost, alpha=1 / eps)
        top = exponent.amax(1)
        kernel = exponent.sub_(top[:, None]).clamp_(min=MIN_EXPONENT).exp_()
        total = kernel.sum(1)
        self._kernel = kernel.div_(total[:, None])
        self._eps, self._anchor, self._offset = eps, h, top + total.log()
