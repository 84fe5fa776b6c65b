"""The Sinkhorn schedule of the published generalised-loss code, for reproducing its numbers.

Wan et al., "A generalized loss function for crowd counting and localization" (CVPR 2021), and Lin et al.,
"Scale-prior deformable convolution for exemplar-guided class-agnostic counting" (BMVC 2022), solve their
transport problem with a fixed number of symmetric updates (Feydy, "Geometric data analysis, beyond
convolutions", 2020, algorithm 3.6): it does not reach the solution, and how far it stays off depends on the
schedule. What differs from `likewise.ops.transport.sinkhorn(solver="log")`:

* epsilon starts at ``diameter``, which the loss gives in pixels although costs are in units of 128 or more
  pixels, so that about half of the steps are spent above every cost;
* each step averages the old and the new potentials instead of taking the new ones in turn;
* there is one step an epsilon and no test for convergence;
* the gradient in a weight a_i is (rho + eps / 2) (1 - e^{-f_i/rho}), the value's own integrand, where the optimum's
  is (rho + eps) (1 - e^{-f_i/rho}) - eps / 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def reference_potentials(
    cost: Tensor, log_a: Tensor, log_b: Tensor, eps: float, rho: float | None, diameter: float, scaling: float
) -> tuple[Tensor, Tensor, int]:
    """Run the schedule.

    Args:
        cost: (M, N).
        log_a: (M,) logarithms of the row weights.
        log_b: (N,) logarithms of the column weights.
        eps: the last epsilon (the reference's ``blur``, exponent 1).
        rho: strength of the marginal terms; None: balanced.
        diameter: the first epsilon.
        scaling: factor from one epsilon to the next.

    Returns:
        Potentials f (M,), which carries the last step's gradient in the cost, and g (N,), which does not (that
        of f alone is the plan's; the published code likewise moves the rows' places through f), and the number
        of symmetric updates.
    """
    epsilons = reference_epsilons(diameter, eps, scaling)
    with torch.no_grad():
        fixed, transposed = cost.detach(), cost.detach().T.contiguous()
        f, g = _update(fixed, transposed, log_a, log_b, epsilons[0], rho)
        for epsilon in epsilons:
            k, h = log_a + f / epsilon, log_b + g / epsilon
            new_f, new_g = _update(fixed, transposed, k, h, epsilon, rho)
            f, g = (f + new_f) / 2, (g + new_g) / 2
        k, h = log_a + f / eps, log_b + g / eps
    return *_update(cost, transposed, k, h, eps, rho), len(epsilons)


def reference_epsilons(diameter: float, eps: float, scaling: float) -> list[float]:
    """D, then D, D s, D s^2, ... while above ``eps``, then ``eps``; the first one does appear twice."""
    if diameter <= eps:
        return [eps]
    count = math.ceil((math.log(eps) - math.log(diameter)) / math.log(scaling))
    return [diameter, *(diameter * scaling**k for k in range(count)), eps]


def _update(
    cost: Tensor, transposed: Tensor, k: Tensor, h: Tensor, eps: float, rho: float | None
) -> tuple[Tensor, Tensor]:
    """Both damped soft minima at once, from exponents k (M,) and h (N,)."""
    step = -eps if rho is None else -eps / (1 + eps / rho)
    return step * torch.logsumexp(h - cost / eps, 1), step * torch.logsumexp(k - transposed / eps, 1)
