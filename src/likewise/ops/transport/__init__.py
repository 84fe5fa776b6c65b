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

Costs
-----
A cost is a stored matrix, or an object that evaluates itself block by block (`likewise.ops.transport.costs.Cost`):
`likewise.ops.transport.point_cost.PointCost`, distances or squared distances between points, and
`likewise.ops.transport.grid_cost.GridCost`, squared distances between the places of grids. With these the memory is
O(M + N): neither the solution nor its value, marginals, entropy and gradients ever hold M x N numbers.

Sources: Chizat et al., "Scaling algorithms for unbalanced optimal transport problems" (2018); Feydy, "Geometric data
analysis, beyond convolutions" (2020), for the damping and for the value in terms of the potentials;
`likewise.ops.transport.solver` for the solver's own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.checks import check_finite, has_values, shapes_only, without_autocast
from likewise.ops.transport.costs import Cost, DenseCost
from likewise.ops.transport.reference import reference_potentials
from likewise.ops.transport.solver import solve
from likewise.ops.transport.sums import Kernel, entropy, kernel, log_weights, marginals, total_mass

Solver = Literal["log", "reference"]

#: More epsilons than this nobody means to go through.
MAX_EPSILONS = 10_000


@dataclass(frozen=True, eq=False)
class Transport:
    """The solution of one transport problem (module docstring) between M and N weighted points.

    Attributes:
        value: scalar; its gradient with respect to a, b and the cost is that of the problem's optimum by the
            envelope theorem (potentials held fixed), so exact at convergence. ``solver="reference"``: see
            `likewise.ops.transport.reference`.
        f: (M,) potential, without gradient.
        g: (N,) potential, without gradient.
        a: (M,) weights, in the precision that was computed in.
        b: (N,) the same.
        kernel: the plan per unit of a x b, exp((f_i + g_j - C_ij) / eps), by its factors: O(M + N) numbers.
        iterations: steps taken, one step updating both potentials; steps on fewer, coarser rows count as well.
        residual: largest relative error of the mass any column receives, against what its potential asks
            for (b e^{-g/rho}; b when balanced), measured on this plan.
        converged: ``residual <= tol``.
    """

    value: Tensor
    f: Tensor
    g: Tensor
    a: Tensor
    b: Tensor
    kernel: Kernel
    iterations: int
    residual: float
    converged: bool

    def plan(self) -> Tensor:
        """The plan P (M, N), built now; its gradient reaches the weights with the potentials held fixed."""
        return self.kernel.dense() * self.a[:, None] * self.b

    def marginals(self) -> tuple[Tensor, Tensor]:
        """What leaves each row, P 1 (M,), and what each column receives, P^T 1 (N,); gradients as `plan`'s."""
        return marginals(self.kernel, self.a, self.b)

    def entropy(self) -> Tensor:
        """sum_ij P_ij log P_ij, a scalar; gradients as `plan`'s."""
        return entropy(self.kernel, self.a, self.b)


def sinkhorn(
    cost: Tensor | Cost,
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
        cost: (M, N), any finite values, or an object that evaluates itself; its gradient is kept. A pair that must
            not be matched costs many times eps more than the others, not infinity. All is computed in the cost's
            precision (a matrix: the best of it, the weights and float32), and the weights are brought to it.
        a: (M,) weights >= 0 with some mass; zeros take no part.
        b: (N,) the same.
        eps: strength of the entropy, in units of the cost.
        rho: strength of the marginal terms, in units of the cost; None or infinity: balanced.
        solver: ``"log"`` converges to the problem's solution; ``"reference"`` runs the fixed schedule of
            `likewise.ops.transport.reference` on a stored matrix, which stops short of it.
        scaling: factor in (0, 1) from one epsilon of the schedule to the next; default 0.25 ("log"), 0.75
            ("reference").
        diameter: the first epsilon; default the largest cost.
        tol: the residual at which "log" stops (see `Transport`). Rounding limits it to about 1e-7 times
            diameter / eps in float32.
        max_iterations: cap on the steps "log" takes at the last epsilon on all rows.

    Returns:
        The solution; ``converged`` tells whether ``tol`` was met.

    Raises:
        LikewiseError: shapes that do not fit, negative or non-finite weights, costs that are not finite, no mass, a
            balanced problem with unequal masses, a parameter out of range, or numbers so large that the arithmetic
            ends (costs of 1e30 in float32, say). Without values (meta device, fake tensors) only shapes are checked,
            and the result has the right ones.

    Example:
        >>> half = torch.tensor([0.5, 0.5], dtype=torch.float64)
        >>> swap = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> sinkhorn(swap, half, half, eps=0.01).plan().round(decimals=3)
        tensor([[0.0000, 0.5000],
                [0.5000, 0.0000]], dtype=torch.float64)
    """
    rho = None if rho is not None and math.isinf(rho) else rho
    _check(cost, a, b)
    _check_numbers(eps, rho, scaling, tol, max_iterations)
    with without_autocast(a.device):
        if isinstance(cost, Tensor):
            kind = functools.reduce(torch.promote_types, (a.dtype, b.dtype, torch.float32), cost.dtype)
            cost = DenseCost(cost.to(kind))
        a, b = a.to(cost.dtype), b.to(cost.dtype)
        if shapes_only(a, b, *cost.parameters):
            return _unsolved(cost, a, b, eps)
        if rho is None:
            _check_balance(a, b)
        start = _first_epsilon(cost, diameter, eps, scaling)
        if solver == "reference":
            value, found, iterations = _follow_reference(cost, a, b, eps, rho, start, scaling or 0.75)
        elif solver == "log":
            value, found, iterations = _converge(cost, a, b, eps, rho, start, scaling or 0.25, tol, max_iterations)
        else:
            raise LikewiseError(f"solver = {solver!r}: expected 'log' or 'reference'")
        residual = _residual(found, rho)
        return Transport(value, found.f, found.g, a, b, found, iterations, residual, residual <= tol)


def sinkhorn_batch(
    costs: Sequence[Tensor | Cost],
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

    One after the other on purpose: pictures differ in their numbers of pixels and points and converge at different
    times, so that padding to one size would do more work, not less; threads share the rows of each problem, and no
    more than one problem's working memory is ever held.

    Args:
        costs: B matrices (M_i, N_i), or objects that evaluate themselves.
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


def _converge(
    cost: Cost,
    a: Tensor,
    b: Tensor,
    eps: float,
    rho: float | None,
    start: float,
    scaling: float,
    tol: float,
    max_iterations: int,
) -> tuple[Tensor, Kernel, int]:
    """The solution's value, kernel and number of steps."""
    # Half the tolerance, so that rounding does not decide whether the result counts as converged.
    found = solve(
        cost, a.detach(), b.detach(), eps, rho, start=start, scaling=scaling, tol=tol / 2, max_iterations=max_iterations
    )
    plan = Kernel.of(cost.detached(), eps, found.f, found.g, a, b, found.row_sums, found.column_sums)
    mass = total_mass(plan, a, b)
    # The dual objective at fixed potentials: second-order exact near the optimum, right gradient in a, b and C.
    value = a @ _conjugate(found.f, rho) + b @ _conjugate(found.g, rho) - eps * (mass - (a.sum() + b.sum()) / 2)
    return value, plan, found.iterations


def _follow_reference(
    cost: Cost, a: Tensor, b: Tensor, eps: float, rho: float | None, start: float, scaling: float
) -> tuple[Tensor, Kernel, int]:
    """The same by the reference's schedule; its value flows back through the last update."""
    if not isinstance(cost, DenseCost):
        raise LikewiseError(f"solver = 'reference' works on a stored matrix, got a {type(cost).__name__}")
    log_a, log_b = log_weights(a), log_weights(b)
    f, g, iterations = reference_potentials(cost.parameters[0], log_a, log_b, eps, rho, start, scaling)
    value = _reference_value(a, f, eps, rho) + _reference_value(b, g, eps, rho)
    return value, kernel(cost, eps, f, g, a, b), iterations


def _conjugate(potential: Tensor, rho: float | None) -> Tensor:
    """Minus the convex conjugate of rho KL(. | 1) at minus the potential: rho (1 - e^{-f/rho}); f when balanced."""
    return potential if rho is None else -rho * torch.expm1(-potential / rho)


def _reference_value(weights: Tensor, potential: Tensor, eps: float, rho: float | None) -> Tensor:
    """<a, w (1 - e^{-f/rho})> with w = rho + eps / 2, but w = rho + eps for what flows back through f."""
    if rho is None:
        return weights @ potential
    shrink = -torch.expm1(-potential / rho)
    return weights @ ((rho + eps) * shrink - eps / 2 * shrink.detach())


def _residual(kernel: Kernel, rho: float | None) -> float:
    asked = 1.0 if rho is None else (-kernel.g / rho).exp()
    return float((kernel.column_sums / asked - 1).abs().max())


def _unsolved(cost: Cost, a: Tensor, b: Tensor, eps: float) -> Transport:
    """What has the shapes of a solution, for inputs without values."""
    f, g = torch.empty_like(a, requires_grad=False), torch.empty_like(b, requires_grad=False)
    found = Kernel.of(cost, eps, f, g, a, b, torch.empty_like(f), torch.empty_like(g))
    return Transport(total_mass(found, a, b), f, g, a, b, found, 0, math.nan, converged=False)


def _first_epsilon(cost: Cost, diameter: float | None, eps: float, scaling: float | None) -> float:
    """Where the schedule starts, once it is seen to end."""
    least = torch.finfo(cost.dtype).tiny
    if eps < least:
        raise LikewiseError(f"eps = {eps}: expected at least {least:g}, below which {cost.dtype} has no digits left")
    start = cost.diameter if diameter is None else diameter
    if not math.isfinite(start):
        raise LikewiseError(f"the largest cost, or diameter, is {start}: expected a finite number, far below 1e38")
    if scaling is not None and start > eps and math.log(start / eps) > -math.log(scaling) * MAX_EPSILONS:
        raise LikewiseError(
            f"scaling = {scaling}: from {start:g} to eps = {eps:g} it takes more than {MAX_EPSILONS} steps; "
            "expected a smaller factor, such as 0.75"
        )
    return start


def _check(cost: Tensor | Cost, a: Tensor, b: Tensor) -> None:
    shape = tuple(cost.shape)
    if len(shape) != 2 or a.shape != shape[:1] or b.shape != shape[1:]:
        raise LikewiseError(f"cost {shape}, a {tuple(a.shape)}, b {tuple(b.shape)}: expected (M, N), (M,) and (N,)")
    if isinstance(cost, Tensor):
        check_finite("cost", cost)
    for name, weights in (("a", a), ("b", b)):
        _check_weights(name, weights.detach())


def _check_numbers(eps: float, rho: float | None, scaling: float | None, tol: float, max_iterations: int) -> None:
    if not 0 < eps < math.inf or (rho is not None and not rho > 0):
        raise LikewiseError(f"eps = {eps}, rho = {rho}: expected positive numbers (rho None or inf: balanced)")
    if scaling is not None and not 0 < scaling < 1:
        raise LikewiseError(f"scaling = {scaling}: expected a number between 0 and 1, such as 0.5")
    if not tol >= 0 or max_iterations < 1:
        raise LikewiseError(f"tol = {tol}, max_iterations = {max_iterations}: expected tol >= 0 and at least one step")


def _check_balance(a: Tensor, b: Tensor) -> None:
    """Make sure that a balanced problem has a solution."""
    masses = [float(weights.detach().sum()) for weights in (a, b)]
    if not math.isclose(masses[0], masses[1], rel_tol=1e-4):
        raise LikewiseError(
            f"a balanced problem needs equal masses, got {masses[0]:g} and {masses[1]:g}; "
            "give rho for an unbalanced one"
        )


def _check_weights(name: str, weights: Tensor) -> None:
    if weights.numel() == 0:
        raise LikewiseError(f"weights {name} have no mass; expected at least one positive entry")
    if not has_values(weights):
        return
    bad = (~((weights >= 0) & weights.isfinite())).nonzero()
    if not bool((weights > 0).any()):
        raise LikewiseError(f"weights {name} have no mass; expected at least one positive entry")
    if len(bad):
        place = int(bad[0])
        raise LikewiseError(
            f"weights {name} hold a negative or non-finite entry: {name}[{place}] is {float(weights[place]):g}; "
            "expected finite numbers >= 0"
        )
    if not bool(weights.sum(dtype=torch.float32 if weights.dtype.itemsize < 4 else None).isfinite()):
        raise LikewiseError(f"weights {name} add up to infinity; expected a finite mass")
