"""Transport against POT, geomloss, closed forms, finite differences and its own definition."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from likewise.errors import LikewiseError
from likewise.ops.transport import Transport, sinkhorn, sinkhorn_batch
from likewise.ops.transport.costs import DenseCost
from likewise.ops.transport.reference import reference_epsilons

with warnings.catch_warnings():
    # Both look for optional backends and old interfaces of other packages while they are imported.
    warnings.simplefilter("ignore")
    import geomloss
    import ot

TIGHT = 1e-11


def problem(rows: int = 40, columns: int = 7, seed: int = 0, mass: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, y, a, b = (torch.rand(*s, generator=generator).double() for s in ((rows, 2), (columns, 2), (rows,), (columns,)))
    return torch.cdist(x, y), mass * a / a.sum(), b / b.sum()


def objective(cost: Tensor, a: Tensor, b: Tensor, plan: Tensor, eps: float, rho: float | None) -> float:
    """The module's primal objective, term by term."""
    entropy = torch.xlogy(plan, plan / (a[:, None] * b)).sum() - plan.sum() + (a.sum() + b.sum()) / 2
    value = (plan * cost).sum() + eps * entropy
    for sent, wanted in ((plan.sum(1), a), (plan.sum(0), b)):
        kl = (torch.xlogy(sent, sent / wanted) - sent + wanted).sum()
        value = value + (0.0 if rho is None else rho * kl)
    return value.item()


@pytest.mark.parametrize("eps", [0.5, 0.05, 0.01])
@pytest.mark.parametrize("rho", [0.1, 0.5, 10.0])
def test_the_unbalanced_plan_and_value_are_pots(eps: float, rho: float):
    cost, a, b = problem(mass=1.7)
    ours = sinkhorn(cost, a, b, eps=eps, rho=rho, tol=TIGHT, max_iterations=20_000)
    plan = ot.unbalanced.sinkhorn_unbalanced(
        a.numpy(), b.numpy(), cost.numpy(), eps, rho, "sinkhorn_translation_invariant", numItermax=50_000, stopThr=1e-13
    )
    assert ours.converged
    np.testing.assert_allclose(ours.plan().numpy(), plan, atol=1e-8)
    assert ours.value.item() == pytest.approx(objective(cost, a, b, torch.from_numpy(plan), eps, rho), rel=1e-7)


@pytest.mark.parametrize("eps", [0.5, 0.05, 0.01])
@pytest.mark.parametrize("rho", [None, math.inf])
def test_the_balanced_plan_and_value_are_pots(eps: float, rho: float | None):
    cost, a, b = problem()
    ours = sinkhorn(cost, a, b, eps=eps, rho=rho, tol=TIGHT, max_iterations=20_000)
    plan = ot.sinkhorn(a.numpy(), b.numpy(), cost.numpy(), eps, "sinkhorn_log", numItermax=50_000, stopThr=1e-13)
    np.testing.assert_allclose(ours.plan().numpy(), plan, atol=1e-9)
    assert ours.value.item() == pytest.approx(objective(cost, a, b, torch.from_numpy(plan), eps, None), rel=1e-8)
    sent, received = ours.marginals()
    torch.testing.assert_close(sent, a)
    torch.testing.assert_close(received, b)


def test_pots_objective_is_ours_and_the_stated_constant():
    """POT's general optimiser minimises the objective itself and knows nothing of potentials."""
    cost, a, b = problem(rows=12, columns=4, mass=2.0)
    eps, rho = 0.1, 0.5
    ours = sinkhorn(cost, a, b, eps=eps, rho=rho, tol=TIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # POT passes scipy an option that is on its way out
        _, log = ot.unbalanced.lbfgsb_unbalanced(
            *(a.numpy(), b.numpy(), cost.numpy(), eps, rho),
            reg_div="kl", regm_div="kl", numItermax=5000, stopThr=1e-15, log=True,
        )  # fmt: skip
    constant = eps * (a.sum() * b.sum() - (a.sum() + b.sum()) / 2)
    assert (ours.value + constant).item() == pytest.approx(float(log["total_cost"]), rel=1e-6)


@given(st.floats(0.05, 200), st.floats(0.05, 200), st.floats(0, 3), st.floats(0.005, 1), st.floats(0.05, 5))
def test_two_diracs(mass: float, other: float, distance: float, eps: float, rho: float):
    """One unknown p: distance + eps log(p / ab) + rho log(p / a) + rho log(p / b) = 0."""
    a, b, cost = (torch.tensor(v, dtype=torch.float64) for v in ([mass], [other], [[distance]]))
    ours = sinkhorn(cost, a, b, eps=eps, rho=rho, tol=TIGHT)
    moved = math.exp(((eps + rho) * math.log(mass * other) - distance) / (eps + 2 * rho))
    assert ours.plan().item() == pytest.approx(moved, rel=1e-8)
    plan = torch.tensor([[moved]], dtype=torch.float64)
    assert ours.value.item() == pytest.approx(objective(cost, a, b, plan, eps, rho), rel=1e-8, abs=1e-8)


def test_a_permutation_is_found():
    """Far apart against eps, the plan is the permutation / N and the value its cost + eps log N."""
    generator = torch.Generator().manual_seed(1)
    x = torch.cartesian_prod(torch.arange(5.0), torch.arange(4.0)).double()
    order = torch.randperm(20, generator=generator)
    y = x[order] + 0.1 * torch.rand(20, 2, generator=generator).double()
    cost, weights, eps = torch.cdist(x, y), torch.full((20,), 1 / 20, dtype=torch.float64), 0.02
    ours = sinkhorn(cost, weights, weights, eps=eps, tol=TIGHT)
    assert torch.equal(ours.plan().argmax(0), order)
    moved = (x[order] - y).norm(dim=1).mean()
    assert ours.value.item() == pytest.approx((moved + eps * math.log(20)).item(), rel=1e-8)


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_two_gaussians(sigma: float):
    """Janati et al., "Entropic optimal transport between unbalanced Gaussian measures" (2020), theorem 1, in 1-d."""
    grid = torch.linspace(-8, 9, 341, dtype=torch.float64)
    (m1, v1), (m2, v2) = (-0.5, 1.0), (1.0, 0.36)
    a, b = (torch.softmax(-((grid - m) ** 2) / (2 * v), 0) for m, v in ((m1, v1), (m2, v2)))
    ours = sinkhorn((grid[:, None] - grid) ** 2, a, b, eps=2 * sigma**2, tol=TIGHT, max_iterations=5000)
    s2 = sigma**2
    d = math.sqrt(4 * v1 * v2 + s2**2)
    closed = (m1 - m2) ** 2 + v1 + v2 - d + s2 * (1 - math.log(2 * s2)) + s2 * math.log(d + s2)
    assert ours.value.item() == pytest.approx(closed, rel=1e-6)


@pytest.mark.parametrize("rho", [None, 0.3])
def test_the_gradient_is_that_of_the_optimum(rho: float | None):
    """Envelope theorem: differences of re-solved problems agree with the gradient at fixed potentials."""
    cost, a, b = problem(rows=6, columns=4, mass=1.3)

    def value(c: Tensor, x: Tensor, y: Tensor) -> Tensor:
        if rho is None:  # balanced: only changes that keep the masses equal mean anything
            x, y = x.softmax(0), y.softmax(0)
        return sinkhorn(c, x, y, eps=0.05, rho=rho, tol=1e-13, max_iterations=50_000).value

    assert torch.autograd.gradcheck(value, [t.requires_grad_() for t in (cost, a, b)], eps=1e-5, atol=1e-7)


def plain_potentials(cost: Tensor, a: Tensor, b: Tensor, eps: float, rho: float) -> tuple[Tensor, Tensor]:
    """Alternate updates in the log domain, float64, nothing clever, for long."""
    cost, a, b = cost.double(), a.double(), b.double()
    g, damping = torch.zeros_like(b), 1 / (1 + eps / rho)
    for _ in range(6000):
        f = -damping * eps * torch.logsumexp(b.log() + (g - cost) / eps, 1)
        g = -damping * eps * torch.logsumexp(a.log()[:, None] + (f[:, None] - cost) / eps, 0)
    return f, g


def test_float32_holds_where_kernels_underflow():
    """Costs of 400 eps: every plain kernel is zero in float32. One column is far from all rows."""
    cost, a, b = (t.float() for t in problem(rows=60, columns=9, mass=1.5))
    cost = 4 * cost
    cost[:, 3] += 3
    f, g = plain_potentials(cost, a, b, eps=0.02, rho=0.5)
    ours = sinkhorn(cost, a, b, eps=0.02, rho=0.5, tol=1e-4)
    assert cost.max() / 0.02 > 300
    assert ours.converged
    assert (ours.f - f).abs().max() < 1e-4
    assert (ours.g - g).abs().max() < 1e-4


def test_soft_minima_are_those_of_the_log_domain():
    """Whatever is asked for after whatever: near the stored kernel, far from it, at another eps."""
    generator = torch.Generator().manual_seed(2)
    matrix = 30 * torch.rand(50, 6, generator=generator)
    matrix[:, 2] += 500
    cost = DenseCost(matrix)
    for eps in (1.0, 0.1):
        for size in (0.1, 5.0, 300.0, 1.0):
            h, k = size * torch.randn(6, generator=generator), size * torch.randn(50, generator=generator)
            rows = -eps * torch.logsumexp(h - matrix / eps, 1)
            torch.testing.assert_close(cost.rows(eps, h), rows, rtol=2e-6, atol=1e-3 * eps)
            columns = -eps * torch.logsumexp(k[:, None] - matrix / eps, 0)
            torch.testing.assert_close(cost.columns(eps, k), columns, rtol=2e-6, atol=1e-3 * eps)


def test_zero_weights_take_no_part():
    cost, a, b = problem(rows=30, columns=6, mass=2.0)
    a[::3], b[2] = 0, 0
    ours = sinkhorn(cost, a, b, eps=0.03, rho=0.5, tol=TIGHT)
    kept = sinkhorn(cost[a > 0][:, b > 0], a[a > 0], b[b > 0], eps=0.03, rho=0.5, tol=TIGHT)
    assert ours.value.item() == pytest.approx(kept.value.item(), rel=1e-9)
    torch.testing.assert_close(ours.plan()[a > 0][:, b > 0], kept.plan())
    assert ours.plan()[a == 0].abs().max() == 0
    assert bool(ours.f.isfinite().all())
    assert bool(ours.g.isfinite().all())


def test_a_batch_is_its_problems_one_by_one():
    problems = [problem(rows, columns, seed=rows, mass=1.4) for rows, columns in ((30, 4), (17, 9), (50, 1))]
    batch = sinkhorn_batch(*zip(*problems, strict=True), eps=0.05, rho=0.5)
    for solution, (cost, a, b) in zip(batch, problems, strict=True):
        alone = sinkhorn(cost, a, b, eps=0.05, rho=0.5)
        assert torch.equal(solution.value, alone.value)
        assert torch.equal(solution.plan(), alone.plan())


def test_converged_means_the_columns_get_their_mass():
    cost, a, b = problem(mass=1.5)
    loose = sinkhorn(cost, a, b, eps=0.01, rho=0.5, tol=1e-6, max_iterations=1)
    assert not loose.converged
    for solution in (loose, sinkhorn(cost, a, b, eps=0.01, rho=0.5, tol=1e-6)):
        wanted = b * (-solution.g / 0.5).exp()
        error = (solution.plan().sum(0) / wanted - 1).abs().max().item()
        assert solution.residual == pytest.approx(error, rel=1e-6)
        assert solution.converged == (error <= 1e-6)
        torch.testing.assert_close(solution.plan().sum(1), a * (-solution.f / 0.5).exp())


def run_geomloss(x: Tensor, y: Tensor, a: Tensor, b: Tensor, diameter: float) -> Tensor:
    loss = geomloss.SamplesLoss(
        "sinkhorn", p=1, blur=0.01, reach=0.5, diameter=diameter, scaling=0.75, debias=False, backend="tensorized",
        cost=lambda u, v: torch.cdist(u, v, compute_mode="donot_use_mm_for_euclid_dist"),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return loss(a, x, b, y)


@pytest.mark.parametrize("mass", [1.0, 100.0])
def test_the_reference_schedule_is_geomlosss(mass: float):
    """Value and gradients, in the weights and (through the last step) in the places.

    geomloss means to weigh what flows back to the places by rho + eps, but writes it as a Module's ``backward``,
    which torch never calls, and so weighs it by rho + eps / 2.
    """
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.rand(n, 2, generator=generator).double() for n in (40, 7))
    a, b = (mass * torch.rand(n, generator=generator).double() for n in (40, 7))
    gradients = []
    for run in (
        lambda x, a: run_geomloss(x, y, a, b, diameter=90.0),
        lambda x, a: sinkhorn(
            torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist"), a, b, eps=0.01, rho=0.5, solver="reference",
            diameter=90.0,
        ).value,
    ):  # fmt: skip
        leaves = [t.clone().requires_grad_() for t in (x, a)]
        value = run(*leaves)
        gradients.append((value, *torch.autograd.grad(value, leaves)))
    for theirs, ours, weight in zip(*gradients, (1, 0.51 / 0.505, 1), strict=True):
        torch.testing.assert_close(ours, weight * theirs, rtol=1e-7, atol=1e-9)


def test_the_reference_nears_the_solution_as_its_schedule_slows():
    cost, a, b = problem(mass=1.5)
    exact = sinkhorn(cost, a, b, eps=0.05, rho=0.5, tol=TIGHT)
    errors = []
    for scaling in (0.5, 0.9, 0.99, 0.998):
        found: Transport = sinkhorn(cost, a, b, eps=0.05, rho=0.5, solver="reference", scaling=scaling)
        errors.append((found.f - exact.f).abs().max().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


@pytest.mark.parametrize(("diameter", "eps", "scaling"), [(228.9, 0.01, 0.75), (1.7, 0.05, 0.5), (0.2, 0.01, 0.9)])
def test_the_reference_epsilons(diameter: float, eps: float, scaling: float):
    powers = np.exp(np.arange(np.log(diameter), np.log(eps), np.log(scaling)))
    np.testing.assert_allclose(reference_epsilons(diameter, eps, scaling), [diameter, *powers, eps])
    assert reference_epsilons(0.0, eps, scaling) == [eps]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": torch.ones(3)}, r"a \(3,\)"),
        ({"eps": 0.0}, "eps = 0.0"),
        ({"rho": -1.0}, "rho = -1.0"),
        ({"scaling": 1.5}, "scaling = 1.5"),
        ({"b": -torch.ones(7)}, "no mass"),
        ({"a": torch.zeros(40)}, "no mass"),
        ({"b": torch.tensor([1.0, 1, 1, 1, 1, 1, -1])}, "negative"),
        ({"b": torch.tensor([1.0, 1, 1, 1, 1, 1, math.inf])}, "non-finite"),
        ({"rho": None, "b": torch.full((7,), 2.0)}, "equal masses"),
        ({"solver": "simplex"}, "'log' or 'reference'"),
    ],
)
def test_what_cannot_be_solved_is_refused(change: dict, message: str):
    cost, a, b = problem()
    with pytest.raises(LikewiseError, match=message):
        sinkhorn(**{"cost": cost, "a": a, "b": b, "eps": 0.1, "rho": 0.5, **change})


def test_a_batch_of_unequal_parts_is_refused():
    cost, a, b = problem()
    with pytest.raises(LikewiseError, match="2 costs, 1 and 1"):
        sinkhorn_batch([cost, cost], [a], [b], eps=0.1)
