r"""The converging Sinkhorn solver: epsilon and the rows from coarse to fine, and an accelerated fixed point on each.

One step maps the columns' potential g to that of the next update: f from g, g from f, then the constant between both
that is best. The solution is its fixed point. Three things make few steps of it enough:

* epsilon starts at the cost's own scale and falls geometrically (annealing);
* each epsilon is first solved on rows that stand for all rows within a few epsilon (`Cost.coarsen`): g has one entry a
  column whatever the rows are, so that it carries over as it is, and steps on few rows cost next to nothing;
* steps are combined by Anderson's method: the combination of the last ones whose residuals cancel best. It moves
  towards the same fixed point, and whether it is reached is judged by the step itself.

Sources: Sejourne et al., "Faster unbalanced optimal transport: translation invariant Sinkhorn" (2022), section 3;
Anderson, "Iterative procedures for nonlinear integral equations" (1965); Walker and Ni, "Anderson acceleration for
fixed-point iterations" (2011); Schmitzer, "Stabilized sparse scaling algorithms" (2019), for scales.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.transport.costs import Cost

#: Steps spent at most on an epsilon above the last, and how well it is solved; more only polishes what will change.
STAGE_STEPS, STAGE_TOL = 5, 0.3
#: Rows on which an epsilon is solved first stand for cubes of so many epsilons; the last one also has a finer level.
COARSE, MIDDLE = 3.0, 0.75
#: A level of fewer coarse rows than this knows too little to be a start.
MIN_ROWS = 8
#: Problems of fewer pairs than this are solved as they are: a step costs less than what there is round it.
MIN_PAIRS = 1 << 16
#: Steps spent at most on a level above the finest, and how many times its tolerance is the finest's.
LEVEL_STEPS, LEVEL_TOL = 60, 10.0
#: Earlier steps that Anderson's method combines with the last one.
MEMORY = 5
#: Relative size of what keeps its least-squares problem solvable.
RIDGE = 1e-9
#: A step whose residual is this many times the one before was led astray: the memory starts again.
ASTRAY = 2.0
#: Stands for log 0 among the columns, so that differences of exponents stay finite.
LOG_ZERO = -1e9


@dataclass(frozen=True, eq=False)
class Potentials:
    """Where the solver stopped: f is the exact update of g.

    Attributes:
        f: (M,).
        g: (N,).
        row_sums: (M,) sum_j K_ij b_j for K = exp((f_i + g_j - C_ij) / eps).
        column_sums: (N,) sum_i K_ij a_i.
        iterations: steps on all levels together.
    """

    f: Tensor
    g: Tensor
    row_sums: Tensor
    column_sums: Tensor
    iterations: int


@dataclass(frozen=True, eq=False)
class _Problem:
    """One problem at one epsilon."""

    cost: Cost
    log_a: Tensor
    log_b: Tensor
    eps: float
    rho: float | None

    @property
    def damping(self) -> float:
        return 1.0 if self.rho is None else 1 / (1 + self.eps / self.rho)

    def step(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """The row update f of g and the column update of f, undamped."""
        return self.cost.step(self.eps, self.log_b + g / self.eps, self.log_a, self.damping)

    def shift(self, f: Tensor, g: Tensor) -> Tensor | float:
        """The constant t for which (f + t, g - t) is best.

        Along it plain updates contract by 1 / (1 + eps / rho) only, which is slow just where eps is small; the
        best constant has a closed form. Balanced, every constant is as good.
        """
        if self.rho is None:
            return 0.0
        given, asked = (log - u / self.rho for log, u in ((self.log_a, f), (self.log_b, g)))
        return self.rho / 2 * (torch.logsumexp(given, 0) - torch.logsumexp(asked, 0))


def solve(
    cost: Cost,
    a: Tensor,
    b: Tensor,
    eps: float,
    rho: float | None,
    *,
    start: float,
    scaling: float,
    tol: float,
    max_iterations: int,
) -> Potentials:
    """Solve one problem of `likewise.ops.transport`.

    Args:
        cost: (M, N).
        a: (M,) weights.
        b: (N,) weights.
        eps: the last epsilon.
        rho: strength of the marginal terms; None: balanced.
        start: the first epsilon.
        scaling: factor from one epsilon to the next.
        tol: largest relative error of the mass a column receives.
        max_iterations: steps at most on the finest level.
    """
    log_b = b.log().clamp(min=LOG_ZERO)
    with torch.no_grad():
        problems = list(_levels(cost, a, log_b, [*geometric(start, eps, scaling), eps], rho))
        g, iterations = torch.zeros_like(log_b), 0
        for problem in problems[:-1]:
            annealed = problem.eps > eps
            limits = (STAGE_STEPS, STAGE_TOL) if annealed else (LEVEL_STEPS, LEVEL_TOL * tol)
            _, g, _, steps = _converge(problem, g, limits[1], min(limits[0], max_iterations))
            iterations += steps
        last = problems[-1]
        f, g, column, steps = _converge(last, g, tol, max_iterations)
        dead = b == 0
        if bool(dead.any()):
            exact = cost.columns(eps, last.log_a + f / eps)
            g, column = torch.where(dead, last.damping * exact, g), torch.where(dead, exact, column)
        row_sums = (f * ((1 - 1 / last.damping) / eps)).exp()
        return Potentials(f, g, row_sums, ((g - column) / eps).exp(), iterations + steps)


def geometric(start: float, stop: float, ratio: float) -> Iterator[float]:
    """``start``, times ``ratio`` again and again, while above ``stop``."""
    while start > stop:
        yield start
        start *= ratio


def _levels(cost: Cost, a: Tensor, log_b: Tensor, epsilons: list[float], rho: float | None) -> Iterator[_Problem]:
    """Problems in the order in which they are solved, each on the coarsest rows that its epsilon allows."""
    eps = epsilons[-1]
    wanted = [(eps, 0.0), (eps, MIDDLE * eps), *((e, COARSE * e) for e in reversed(epsilons))]
    problems: list[_Problem] = []
    held = (cost, a)
    for epsilon, side in wanted:
        large = held[0].shape[0] * held[0].shape[1] > MIN_PAIRS
        coarsen = held[0].coarsen(side, held[1]) if large and side > 0 else None
        if coarsen is None and problems and problems[-1].eps == epsilon:
            continue  # the level that is there already
        if coarsen is not None and coarsen[0].shape[0] < MIN_ROWS:
            break
        held = held if coarsen is None else coarsen
        problems.append(_Problem(held[0], held[1].log(), log_b, epsilon, rho))
    return reversed(problems)


def _converge(problem: _Problem, g: Tensor, tol: float, steps: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """Steps from g until every column's mass fits: f and the undamped column update at the last g, and their number."""
    damping, alive = problem.damping, problem.log_b > LOG_ZERO
    mixer, best = _Anderson(), float("inf")
    count = 0
    while True:
        f, column = problem.step(g)
        count += 1
        error = torch.where(alive, g - damping * column, 0)
        residual = float(error.abs().max()) / (damping * problem.eps)
        if not math.isfinite(residual):
            raise LikewiseError(
                f"the transport problem leaves the range of {g.dtype} at eps = {problem.eps:g}: expected costs and "
                "weights of a size nearer to eps and rho, or float64"
            )
        if residual <= tol or count >= steps:
            return f, g, column, count
        if residual > ASTRAY * best:
            mixer = _Anderson()
        best = min(best, residual) if residual <= ASTRAY * best else residual
        image = torch.where(alive, damping * (column - problem.shift(f, g)), g)
        g = mixer.next(g, image)


class _Anderson:
    """Anderson's method for g = image(g), over the last `MEMORY` differences."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._images: list[Tensor] = []
        self._steps: list[Tensor] = []

    def next(self, g: Tensor, image: Tensor) -> Tensor:
        """Where to evaluate the image next."""
        step = (image - g).double()
        last, self._last = self._last, (image, step)
        if last is None:
            return image
        self._images = [*self._images[1 - MEMORY :], image - last[0]]
        self._steps = [*self._steps[1 - MEMORY :], step - last[1]]
        steps = torch.stack(self._steps)
        gram = steps @ steps.T
        gram.diagonal().add_(gram.diagonal().sum(), alpha=RIDGE).add_(torch.finfo(gram.dtype).tiny)
        shares = torch.linalg.solve(gram, steps @ step)
        return image - shares.to(image) @ torch.stack(self._images)
