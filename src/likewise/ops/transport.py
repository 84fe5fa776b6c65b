r"""Entropic optimal transport between weighted points: balanced, or unbalanced with Kullback-Leibler marginals.

The problem, for weights a (M,), b (N,) and a cost C (M, N)::

    value = min_{P >= 0}  <C, P> + eps * ( sum_ij P_ij log(P_ij / (a_i b_j)) - |P| + (|a| + |b|) / 2 )
                          + rho KL(P 1 | a) + rho KL(P^T 1 | b)

    KL(p | q) = sum p log(p / q) - p + q          |p| = sum of p

In LaTeX: :math:`\min_P \langle C, P\rangle + \varepsilon(\sum_{ij} P_{ij}\log\frac{P_{ij}}{a_i b_j} - |P| +
\tfrac12(|a|+|b|)) + \rho\,\mathrm{KL}(P1|a) + \rho\,\mathrm{KL}(P^\top 1|b)`. With ``rho=None`` the marginals are
constraints instead: P 1 = a and P^T 1 = b, which needs |a| = |b|.

Convention
----------
The entropy is taken relative to the product a x b, not to ones. The bracket is KL(P | a x b) without its
constant |a| |b| (which would drown the value in rounding for large masses) and with (|a| + |b|) / 2 instead. So
for two probability vectors, balanced, the value is the usual <C, P> + eps KL(P | a x b), and for the unbalanced
problem it is (rho + eps / 2) (<a, 1 - e^{-f/rho}> + <b, 1 - e^{-g/rho}>) at the optimum. POT's ``reg_type="kl"``
objective is ``value + eps (|a| |b| - (|a| + |b|) / 2)``.

The plan is P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps) with potentials f (M,), g (N,).

Sources: Chizat et al., "Scaling algorithms for unbalanced optimal transport problems" (2018); Schmitzer,
"Stabilized sparse scaling algorithms" (2019), for the absorbed kernel; Sejourne et al., "Faster unbalanced
optimal transport: translation invariant Sinkhorn" (2022), for the shift; Feydy, "Geometric data analysis, beyond
convolutions" (2020), for the damping and for the value in terms of the potentials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from likewise.ops.sinkhorn_reference import reference_potentials
from likewise.types import LikewiseError

Solver = Literal["log", "reference"]

#: Steps spent on each epsilon above the last; more only polishes an answer that the next epsilon changes.
STAGE_STEPS = 5
#: A stored kernel is rebuilt when an exponent has moved by more than this (e^20 is harmless in float32).
MAX_DRIFT = 20.0
#: Exponents of the stored kernel are cut here: e^-80 counts for nothing, and denormal numbers are slow.
MIN_EXPONENT = -80.0
#: Column sums below this may be made of cut entries; they are computed again from the cost itself.
MIN_SUM = 1e-25
#: Stands for log 0 among the columns, so that differences of exponents stay finite.
LOG_ZERO = -1e9


class Cost(Protocol):
    """What the solver needs of a cost: its soft minima, never its storage.

    A cost that is evaluated block by block from coordinates fits as well as a stored matrix.
    """

    @property
    def diameter(self) -> float:
        """The largest cost."""

    def rows(self, eps: float, h: Tensor) -> Tensor:
        """-eps log sum_j exp(h_j - C_ij / eps), shape (M,), for ``h`` of shape (N,)."""

    def columns(self, eps: float, k: Tensor) -> Tensor:
        """-eps log sum_i exp(k_i - C_ij / eps), shape (N,), for ``k`` of shape (M,)."""


class DenseCost:
    """A stored (M, N) cost matrix whose soft minima are matrix-vector products.

    ``rows`` stores K_ij = exp(h_j - C_ij / eps - r_i), whose rows sum to 1. Later calls with the same eps and
    exponents near the stored ones only multiply by K; where that would lose digits the matrix is rebuilt, or
    the sums are taken from the cost in the log domain. The result is that of the log-domain formula always.
    """

    def __init__(self, cost: Tensor) -> None:
        self._cost = cost.detach()
        self._eps = math.nan
        self._anchor = self._offset = self._kernel = cost.new_empty(0)

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

    def _store(self, eps: float, h: Tensor) -> None:
        exponent = torch.sub(h, self._cost, alpha=1 / eps)
        top = exponent.amax(1)
        kernel = exponent.sub_(top[:, None]).clamp_(min=MIN_EXPONENT).exp_()
        total = kernel.sum(1)
        self._kernel = kernel.div_(total[:, None])
        self._eps, self._anchor, self._offset = eps, h, top + total.log()


@dataclass(frozen=True, eq=False)
class Transport:
    """The solution of one transport problem (module docstring) between M and N weighted points.

    Attributes:
        value: scalar; its gradient with respect to a, b and the cost is that of the problem's optimum by the
            envelope theorem (potentials held fixed), so exact at convergence. ``solver="reference"``: see
            `likewise.ops.sinkhorn_reference`.
        f: (M,) potential, without gradient.
        g: (N,) potential, without gradient.
        a: (M,) weights as given.
        b: (N,) weights as given.
        kernel: (M, N) exp((f_i + g_j - C_ij) / eps), the plan per unit of a x b, without gradient.
        iterations: steps taken, one step updating both potentials.
        residual: largest relative error of the mass any column receives, against what its potential asks
            for (b e^{-g/rho}; b when balanced), measured on this plan.
        converged: ``residual <= tol``.
    """

    value: Tensor
    f: Tensor
    g: Tensor
    a: Tensor
    b: Tensor
    kernel: Tensor
    iterations: int
    residual: float
    converged: bool

    def plan(self) -> Tensor:
        """The plan P (M, N); its gradient reaches the weights with the potentials held fixed."""
        return self.kernel * self.a[:, None] * self.b

    def marginals(self) -> tuple[Tensor, Tensor]:
        """What leaves each row, P 1 (M,), and what each column receives, P^T 1 (N,)."""
        return self.a * (self.kernel @ self.b), self.b * (self.a @ self.kernel)


def sinkhorn(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    *,
    eps: float,
    rho: float | None = None,
    solver: Solver = "log",
    scaling: float | None = None,
    diameter: float | None = None,
    tol: float = 1e-4,
    max_iterations: int = 1000,
) -> Transport:
    """Solve the entropic transport problem of this module's docstring.

    Args:
        cost: (M, N), any finite values; its gradient is kept.
        a: (M,) weights >= 0 with some mass; zeros take no part.
        b: (N,) the same.
        eps: strength of the entropy, in units of the cost.
        rho: strength of the marginal terms, in units of the cost; None or infinity: balanced.
        solver: ``"log"`` converges to the problem's solution; ``"reference"`` runs the fixed schedule of
            `likewise.ops.sinkhorn_reference`, which stops short of it.
        scaling: factor in (0, 1) from one epsilon of the schedule to the next; default 0.25 ("log"), 0.75
            ("reference").
        diameter: the first epsilon; default the largest cost.
        tol: the residual at which "log" stops (see `Transport`). Rounding limits it to about 1e-7 times
            diameter / eps in float32.
        max_iterations: cap on the steps "log" takes at the last epsilon.

    Returns:
        The solution; ``converged`` tells whether ``tol`` was met.

    Raises:
        LikewiseError: shapes that do not fit, negative or non-finite weights, no mass, a balanced problem
            with unequal masses, or a parameter out of range.

    Example:
        >>> half = torch.tensor([0.5, 0.5], dtype=torch.float64)
        >>> swap = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> sinkhorn(swap, half, half, eps=0.01).plan().round(decimals=3)
        tensor([[0.0000, 0.5000],
                [0.5000, 0.0000]], dtype=torch.float64)
    """
    rho = None if rho is not None and math.isinf(rho) else rho
    _check(cost, a, b, eps, rho, scaling)
    with torch.autocast(cost.device.type, enabled=False):
        log_a, log_b = a.detach().log(), b.detach().log().clamp(min=LOG_ZERO)
        if solver == "reference":
            start = float(cost.detach().max()) if diameter is None else diameter
            f, g, iterations = reference_potentials(cost, log_a, log_b, eps, rho, start, scaling or 0.75)
            kernel = _kernel(cost, f, g, eps).detach()
            value = _reference_value(a, f, eps, rho) + _reference_value(b, g, eps, rho)
        elif solver == "log":
            dense = DenseCost(cost)
            stages = _stages(dense.diameter if diameter is None else diameter, eps, scaling or 0.25)
            # Half the tolerance, so that rounding does not decide whether the result counts as converged.
            f, g, iterations = _solve(dense, log_a, log_b, stages, rho, tol / 2, max_iterations)
            kernel = _kernel(cost, f, g, eps)
            value = _dual_value(kernel, f, g, a, b, eps, rho)
        else:
            raise LikewiseError(f"solver = {solver!r}: expected 'log' or 'reference'")
        f, g, kernel = f.detach(), g.detach(), kernel.detach()
        residual = _residual(kernel, a.detach(), g, rho)
        return Transport(value, f, g, a, b, kernel, iterations, residual, residual <= tol)


def sinkhorn_batch(
    costs: Sequence[Tensor],
    a: Sequence[Tensor],
    b: Sequence[Tensor],
    *,
    eps: float,
    rho: float | None = None,
    solver: Solver = "log",
    tol: float = 1e-4,
    max_iterations: int = 1000,
) -> tuple[Transport, ...]:
    """Solve B problems of different sizes; each result is that of `sinkhorn` alone, to the bit.

    A loop on purpose: pictures differ in their numbers of pixels and points and converge at different
    times, so that padding to one size would do more work, not less.

    Args:
        costs: B matrices (M_i, N_i).
        a: B weights (M_i,).
        b: B weights (N_i,).
        eps: see `sinkhorn`, as all that follow.
        rho: see `sinkhorn`.
        solver: see `sinkhorn`.
        tol: see `sinkhorn`.
        max_iterations: see `sinkhorn`.

    Raises:
        LikewiseError: sequences of different lengths, and what `sinkhorn` raises.
    """
    if not len(costs) == len(a) == len(b):
        raise LikewiseError(f"{len(costs)} costs, {len(a)} and {len(b)} weights: expected one of each per problem")
    return tuple(
        sinkhorn(c, x, y, eps=eps, rho=rho, solver=solver, tol=tol, max_iterations=max_iterations)
        for c, x, y in zip(costs, a, b, strict=True)
    )


def _solve(
    cost: Cost,
    log_a: Tensor,
    log_b: Tensor,
    stages: Sequence[float],
    rho: float | None,
    tol: float,
    max_iterations: int,
) -> tuple[Tensor, Tensor, int]:
    """Alternate the two updates down the epsilons; at the last one until the columns' masses fit."""
    g, iterations = torch.zeros_like(log_b), 0
    with torch.no_grad():
        for eps in stages:
            damping = _damping(eps, rho)
            for _ in range(max_iterations if eps == stages[-1] else STAGE_STEPS):
                f = damping * cost.rows(eps, log_b + g / eps)
                f = f + _shift(f, g, log_a, log_b, rho)
                before, g = g, damping * cost.columns(eps, log_a + f / eps)
                iterations += 1
                if float((g - before).abs().max()) <= tol * damping * eps:
                    break
        last = stages[-1]
        f = _damping(last, rho) * cost.rows(last, log_b + g / last)
    return f, g, iterations


def _shift(f: Tensor, g: Tensor, log_a: Tensor, log_b: Tensor, rho: float | None) -> Tensor | float:
    """The constant t for which (f + t, g - t) is best.

    Along it plain updates contract by 1 / (1 + eps / rho) only, which is slow just where eps is small; the
    best constant has a closed form (Sejourne et al. 2022, section 3). Balanced, every constant is as good.
    """
    if rho is None:
        return 0.0
    return rho / 2 * (torch.logsumexp(log_a - f / rho, 0) - torch.logsumexp(log_b - g / rho, 0))


def _stages(start: float, eps: float, scaling: float) -> list[float]:
    """Epsilons from ``start`` down, each ``scaling`` times the one before, then ``eps`` itself."""
    return [*_geometric(start, eps, scaling), eps]


def _geometric(start: float, stop: float, ratio: float) -> Iterator[float]:
    while start > stop:
        yield start
        start *= ratio


def _damping(eps: float, rho: float | None) -> float:
    return 1.0 if rho is None else 1 / (1 + eps / rho)


def _kernel(cost: Tensor, f: Tensor, g: Tensor, eps: float) -> Tensor:
    return ((f[:, None] + g - cost) / eps).exp()


def _dual_value(kernel: Tensor, f: Tensor, g: Tensor, a: Tensor, b: Tensor, eps: float, rho: float | None) -> Tensor:
    """The dual objective at fixed potentials: second-order exact near the optimum, right gradient in a, b and C."""
    mass = a @ (kernel @ b)
    return a @ _conjugate(f, rho) + b @ _conjugate(g, rho) - eps * (mass - (a.sum() + b.sum()) / 2)


def _conjugate(potential: Tensor, rho: float | None) -> Tensor:
    """Minus the convex conjugate of rho KL(. | 1) at minus the potential: rho (1 - e^{-f/rho}); f when balanced."""
    return potential if rho is None else -rho * torch.expm1(-potential / rho)


def _reference_value(weights: Tensor, potential: Tensor, eps: float, rho: float | None) -> Tensor:
    """<a, w (1 - e^{-f/rho})> with w = rho + eps / 2, but w = rho + eps for what flows back through f."""
    if rho is None:
        return weights @ potential
    shrink = -torch.expm1(-potential / rho)
    return weights @ ((rho + eps) * shrink - eps / 2 * shrink.detach())


def _residual(kernel: Tensor, a: Tensor, g: Tensor, rho: float | None) -> float:
    asked = 1.0 if rho is None else (-g / rho).exp()
    return float(((a @ kernel) / asked - 1).abs().max())


def _check(cost: Tensor, a: Tensor, b: Tensor, eps: float, rho: float | None, scaling: float | None) -> None:
    if cost.ndim != 2 or a.shape != cost.shape[:1] or b.shape != cost.shape[1:]:
        raise LikewiseError(
            f"cost {tuple(cost.shape)}, a {tuple(a.shape)}, b {tuple(b.shape)}: expected (M, N), (M,) and (N,)"
        )
    if not eps > 0 or (rho is not None and not rho > 0):
        raise LikewiseError(f"eps = {eps}, rho = {rho}: expected positive numbers (rho None or inf: balanced)")
    if scaling is not None and not 0 < scaling < 1:
        raise LikewiseError(f"scaling = {scaling}: expected a number between 0 and 1, such as 0.5")
    for name, weights in (("a", a), ("b", b)):
        _check_weights(name, weights.detach())
    masses = [float(weights.detach().sum()) for weights in (a, b)]
    if rho is None and not math.isclose(masses[0], masses[1], rel_tol=1e-4):
        raise LikewiseError(
            f"a balanced problem needs equal masses, got {masses[0]:g} and {masses[1]:g}; "
            "give rho for an unbalanced one"
        )


def _check_weights(name: str, weights: Tensor) -> None:
    if weights.numel() == 0 or not float(weights.sum()) > 0:
        raise LikewiseError(f"weights {name} have no mass; expected at least one positive entry")
    if not bool((weights >= 0).all()) or not bool(weights.isfinite().all()):
        raise LikewiseError(f"weights {name} hold a negative or non-finite entry; expected finite numbers >= 0")
