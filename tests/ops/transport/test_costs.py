"""Costs that are never stored, against stored ones: sums, solutions, gradients, memory; compiled and in torch."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from likewise import native
from likewise.errors import LikewiseError
from likewise.ops.counting_loss import generalized_loss
from likewise.ops.transport import Transport, sinkhorn, sinkhorn_batch
from likewise.ops.transport.costs import Cost, DenseCost, block_size
from likewise.ops.transport.grid_cost import GridCost
from likewise.ops.transport.point_cost import PointCost
from likewise.ops.transport.solver import LOG_ZERO
from likewise.ops.transport.tiles import Tiles, centroids

Power = Literal[1, 2]
PATHS = ["compiled", "torch"]
TIGHT = 1e-11


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    choose(request.param, monkeypatch)
    return str(request.param)


def choose(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "torch":
        monkeypatch.setenv(native.VARIABLE, "0")
    elif not native.available():
        pytest.skip(f"no compiled functions: {native.why_not()}")


def points(rows: int, columns: int, dimensions: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places in a unit cube and weights, float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((rows, dimensions), (columns, dimensions), (rows,), (columns,))
    x, y, a, b = (torch.rand(*shape, generator=generator).double() for shape in shapes)
    return x, y, a / rows, 1.3 * b / columns


def matrix(x: Tensor, y: Tensor, power: Power = 1) -> Tensor:
    return (x.double()[:, None] - y.double()).square().sum(2) ** (power / 2)


def close(found: Tensor, wanted: Tensor, error: float) -> None:
    torch.testing.assert_close(found.double(), wanted, rtol=error, atol=error)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("eps", [0.5, 0.004])
@pytest.mark.parametrize(("rows", "columns"), [(700, 300), (40, 1), (1, 40), (65, 17), (3000, 5)])
def test_sums_in_float32_are_those_of_the_stored_cost(path: str, power: Power, eps: float, rows: int, columns: int):
    x, y, a, b = points(rows, columns)
    a[::3] = 0
    b[1::4] = 0
    cost, exact = PointCost(x.float(), y.float(), power=power), matrix(x.float(), y.float(), power)
    log_a, log_b = a.log(), b.log().clamp(min=LOG_ZERO)
    k = log_a + torch.sin(40 * x[:, 0])
    h = log_b + torch.cos(40 * y[:, 1])

    totals = torch.logsumexp(h - exact / eps, 1)
    close(cost.rows(eps, h.float()) / eps, -totals, 2e-5)
    close(cost.columns(eps, k.float()) / eps, -torch.logsumexp(k[:, None] - exact / eps, 0), 2e-5)
    f, found = cost.step(eps, h.float(), log_a.float(), 0.8)
    close(f / eps, -0.8 * totals, 2e-5)
    received = torch.logsumexp((log_a - 0.8 * totals)[:, None] - exact / eps, 0)
    close(found[b > 0] / eps, -received[b > 0], 3e-5)
    share = (h - exact / eps).softmax(1)
    v = torch.sin(torch.arange(columns)).double()
    close(cost.means(eps, h.float(), v.float()), share @ v, 1e-5)
    close(cost.means(eps, h.float(), None), torch.xlogy(share, share).sum(1) + totals, 3e-5)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_sums_in_float64_are_exact(power: Power, dimensions: int):
    x, y, a, b = points(900, 400, dimensions)
    cost, exact = PointCost(x, y, power=power), matrix(x, y, power)
    for eps in (0.3, 0.003):
        h = b.log() + torch.cos(40 * y[:, 0])
        f, found = cost.step(eps, h, a.log(), 0.9)
        torch.testing.assert_close(f, -0.9 * eps * torch.logsumexp(h - exact / eps, 1), rtol=1e-10, atol=1e-12)
        received = torch.logsumexp((a.log() + f / eps)[:, None] - exact / eps, 0)
        torch.testing.assert_close(found, -eps * received, rtol=1e-10, atol=1e-12)


def test_columns_that_receive_next_to_nothing_are_exact(path: str):
    """Their pairs lie below what counts for every row, and their weights far below the others'."""
    x, y, a, b = points(500, 20)
    y[3] += 6
    y[7] -= 40
    b[5] *= 1e-12
    exact, h, eps = matrix(x.float(), y.float()), b.log(), 0.02
    f, found = PointCost(x.float(), y.float()).step(eps, h.float(), a.log().float(), 1.0)
    close(found, -eps * torch.logsumexp((a.log() + f.double() / eps)[:, None] - exact / eps, 0), 1e-5)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_compiled_sums_are_torchs_with_any_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch):
    choose("compiled", monkeypatch)
    x, y, a, b = (t.float() for t in points(2000, 150))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        compiled = [*PointCost(x, y).step(0.02, b.log(), a.log(), 0.9), PointCost(x, y).means(0.02, b.log(), b)]
    finally:
        torch.set_num_threads(before)
    monkeypatch.setenv(native.VARIABLE, "0")
    plain = [*PointCost(x, y).step(0.02, b.log(), a.log(), 0.9), PointCost(x, y).means(0.02, b.log(), b)]
    for ours, torchs in zip(compiled, plain, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_compiled_loss_and_gradient_are_torchs(stride: int, monkeypatch: pytest.MonkeyPatch):
    choose("compiled", monkeypatch)
    generator = torch.Generator().manual_seed(5)
    density = torch.rand(1, 1, 40, 56, generator=generator) / 100
    dots = torch.rand(20, 2, generator=generator) * torch.tensor([56.0, 40.0])
    found = []
    for switch in ("1", "0"):
        monkeypatch.setenv(native.VARIABLE, switch)
        leaf = density.clone().requires_grad_()
        loss = generalized_loss(leaf, [dots], stride=stride, tol=2e-5)
        found.append((loss.detach(), *torch.autograd.grad(loss.sum(), leaf)))
    (ours, gradient), (torchs, wanted) = found
    torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=0)
    assert (gradient - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("rho", [None, 0.5])
def test_points_are_solved_as_their_matrix(power: Power, rho: float | None):
    x, y, a, b = points(600, 30)
    if rho is None:
        a, b = a / a.sum(), b / b.sum()
    ours = sinkhorn(PointCost(x, y, power=power), a, b, eps=0.01, rho=rho, tol=TIGHT, max_iterations=5000)
    stored = sinkhorn(matrix(x, y, power), a, b, eps=0.01, rho=rho, tol=TIGHT, max_iterations=5000)
    assert ours.converged
    torch.testing.assert_close(ours.value, stored.value, rtol=1e-9, atol=0)
    torch.testing.assert_close(ours.plan(), stored.plan(), rtol=1e-6, atol=1e-12)


def test_float32_points_are_near_the_converged_float64_solution(path: str):
    """Of 800 x 300 points whose costs reach 140 eps."""
    x, y, a, b = points(800, 300)
    exact = sinkhorn(PointCost(x, y), a, b, eps=0.01, rho=0.5, tol=TIGHT, max_iterations=5000)
    ours = sinkhorn(PointCost(x.float(), y.float()), a.float(), b.float(), eps=0.01, rho=0.5, tol=1e-4)
    assert exact.converged
    assert ours.converged
    assert ours.value.item() == pytest.approx(exact.value.item(), rel=1e-5)
    close(ours.g, exact.g, 1e-4 * 0.5)


def test_units_are_per_axis():
    x, y, a, b = points(50, 6)
    unit = torch.tensor([0.5, 2.0]).double()
    ours = sinkhorn(PointCost(x, y, unit=unit), a, b, eps=0.05, rho=0.5, tol=TIGHT)
    scaled = sinkhorn(matrix(x / unit, y / unit), a, b, eps=0.05, rho=0.5, tol=TIGHT)
    assert ours.value.item() == pytest.approx(scaled.value.item(), rel=1e-10)
    assert PointCost(x, y, unit=unit).diameter >= float(matrix(x / unit, y / unit).max())


@pytest.mark.parametrize("power", [1, 2])
def test_the_gradient_in_places_weights_and_unit(power: Power):
    """Envelope theorem: differences of re-solved problems agree with the gradient at fixed potentials."""
    x, y, a, b = points(7, 4)
    unit = torch.tensor([0.7, 1.1]).double()

    def value(*given: Tensor) -> Tensor:
        x, y, unit, a, b = given
        cost = PointCost(x, y, power=power, unit=unit)
        return sinkhorn(cost, a, b, eps=0.05, rho=0.3, tol=1e-13, max_iterations=50_000).value

    leaves = [t.requires_grad_() for t in (x, y, unit, a, b)]
    assert torch.autograd.gradcheck(value, leaves, eps=1e-5, atol=1e-7)


def test_the_gradient_is_finite_where_points_coincide():
    x, y, a, b = points(7, 4)
    y[1] = x[2]
    x.requires_grad_()
    value = sinkhorn(PointCost(x, y), a, b, eps=0.05, rho=0.3).value
    assert torch.autograd.grad(value, x)[0].isfinite().all()


def costs() -> Iterator[Any]:
    x, y, _, _ = points(60, 12)
    axes = [torch.linspace(0, 1, n).double() for n in (6, 10, 3, 4)]
    yield pytest.param(DenseCost(matrix(x, y)), id="matrix")
    yield pytest.param(PointCost(x, y), id="points")
    yield pytest.param(PointCost(x, y, power=2), id="squared")
    yield pytest.param(GridCost(axes[:2], axes[2:]), id="grid")


@pytest.mark.parametrize("cost", [*costs()])
def test_marginals_and_entropy_are_the_plans_with_their_gradients(cost: Cost):
    _, _, a, b = points(60, 12)

    def sums(solution: Transport, plan: Tensor) -> list[tuple[Tensor, Tensor]]:
        sent, received = solution.marginals()
        pairs = [(sent, plan.sum(1)), (received, plan.sum(0)), (solution.entropy(), torch.xlogy(plan, plan).sum())]
        return [((o * torch.sin(o.detach() * 99)).sum(), (w * torch.sin(w.detach() * 99)).sum()) for o, w in pairs]

    leaves = [t.requires_grad_() for t in (a, b)]
    solution = sinkhorn(cost, *leaves, eps=0.05, rho=0.3, tol=1e-6)
    for ours, wanted in sums(solution, solution.plan()):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-12)
        found, definition = (torch.autograd.grad(total, leaves, retain_graph=True) for total in (ours, wanted))
        torch.testing.assert_close(found, definition, rtol=1e-8, atol=1e-11)


def test_a_batch_of_points_is_its_problems_one_by_one(path: str):
    problems = [[t.float() for t in points(rows, columns, seed=rows)] for rows, columns in ((300, 4), (17, 9), (50, 1))]
    costs, (_, _, a, b) = [PointCost(x, y) for x, y, _, _ in problems], zip(*problems, strict=True)
    batch = sinkhorn_batch(costs, a, b, eps=0.05, rho=0.5)
    for solution, (x, y, a, b) in zip(batch, problems, strict=True):
        alone = sinkhorn(PointCost(x, y), a, b, eps=0.05, rho=0.5)
        assert torch.equal(solution.value, alone.value)
        assert all(map(torch.equal, solution.marginals(), alone.marginals()))


# --- grids


@pytest.mark.parametrize("eps", [0.5, 0.05, 0.0005])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_grids_sums_are_those_of_its_points(eps: float, kind: torch.dtype):
    """At the smallest eps the kernel along one axis is e^-2000."""
    generator = torch.Generator().manual_seed(0)
    axes = [torch.linspace(0, length, n).to(kind) for length, n in ((1.0, 9), (0.7, 11), (0.9, 6), (0.5, 8))]
    cost = GridCost(axes[:2], axes[2:])
    exact = matrix(torch.cartesian_prod(*axes[:2]), torch.cartesian_prod(*axes[2:]), 2)
    close(cost.matrix(), exact, 1e-6)
    assert cost.shape == (99, 48)
    assert cost.diameter == pytest.approx(exact.max().item(), rel=1e-6)

    error = 1e-4 if kind == torch.float32 else 1e-9
    h, v = (torch.randn(48, generator=generator).double() for _ in range(2))
    k = torch.randn(99, generator=generator).double()
    share = (h - exact / eps).softmax(1)
    if kind == torch.float64:
        exact = cost.matrix()
    close(cost.rows(eps, h.to(kind)), -eps * torch.logsumexp(h - exact / eps, 1), 1e-6)
    close(cost.columns(eps, k.to(kind)), -eps * torch.logsumexp(k[:, None] - exact / eps, 0), 1e-6)
    close(cost.means(eps, h.to(kind), v.to(kind)), share @ v, 20 * error)
    close(cost.means(eps, h.to(kind), None), (share * (h - exact / eps)).sum(1), 20 * error)


@pytest.mark.parametrize("rho", [None, 0.3])
def test_grid_to_grid_is_solved_as_its_matrix(rho: float | None):
    axes = torch.linspace(0, 1, 9).double(), torch.linspace(0, 2, 12).double()
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(108, generator=generator).double() for _ in range(2))
    a, b = a / a.sum(), b / b.sum()
    ours = sinkhorn(GridCost(axes), a, b, eps=0.01, rho=rho, tol=TIGHT, max_iterations=5000)
    stored = sinkhorn(GridCost(axes).matrix(), a, b, eps=0.01, rho=rho, tol=TIGHT, max_iterations=5000)
    assert ours.converged
    assert ours.value.item() == pytest.approx(stored.value.item(), rel=1e-9)
    torch.testing.assert_close(ours.plan(), stored.plan(), rtol=1e-6, atol=1e-12)


def test_the_reference_solver_wants_a_matrix():
    x, y, a, b = points(5, 3)
    with pytest.raises(LikewiseError, match="stored matrix, got a PointCost"):
        sinkhorn(PointCost(x, y), a, b, eps=0.1, rho=0.5, solver="reference")


# --- memory


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for item in out if isinstance(out, (tuple, list)) else (out,):
            self.numel = max(self.numel, item.numel() if isinstance(item, Tensor) else 0)
        return out


@pytest.mark.parametrize("kind", ["points", "squared", "grid"])
def test_nothing_as_large_as_the_plan_is_ever_made(path: str, kind: str):
    """Solution, value, marginals, entropy and all gradients, for 2 500 x 900 pairs."""
    x, y, a, b = (t.float().requires_grad_() for t in points(2500, 900))
    with Largest() as largest:
        if kind == "grid":
            cost: Cost = GridCost([torch.linspace(0, 1, 50)] * 2, [torch.linspace(0, 1, 30)] * 2)
        else:
            cost = PointCost(x, y, power=2 if kind == "squared" else 1)
        solution = sinkhorn(cost, a, b, eps=0.01, rho=0.5, tol=1e-2)
        sent, received = solution.marginals()
        (solution.value + sent.square().sum() + received.square().sum() + solution.entropy()).backward()
    assert a.grad is not None
    assert largest.numel <= block_size() < 2500 * 900 / 4


def test_memory_grows_with_the_points_not_with_their_pairs(path: str):
    """A fresh process whose matrix would hold 140 MB; what compiled loops take is seen only from outside."""
    script = """
        import resource, torch
        from likewise.ops.counting_loss import generalized_loss
        torch.set_num_threads(1)
        def run(height, width, count):
            dots = torch.rand(count, 2) * torch.tensor([width, height])
            density = torch.rand(1, 1, height, width).requires_grad_()
            generalized_loss(density, [dots], tol=0.1).sum().backward()
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = run(40, 40, 300)
        print((run(150, 160, 1500) - before) / 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 40


# --- tiles


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_tiles_hold_every_point_once_and_are_small(dimensions: int):
    places = points(5000, 1, dimensions)[0]
    tiles = Tiles.of(places, 100)
    assert torch.equal(tiles.order.sort().values, torch.arange(5000))
    assert tiles.starts[0] == 0
    assert tiles.starts[-1] == 5000
    side = (100 / 5000) ** (1 / dimensions)
    for start, stop in zip(tiles.starts[:-1], tiles.starts[1:], strict=True):
        inside = places[tiles.order[start:stop]]
        assert bool((inside.amax(0) - inside.amin(0) <= side).all())
    assert len(tiles.starts) < 2.5**dimensions * 50


@pytest.mark.parametrize("places", [torch.zeros(600, 2), torch.eye(600)[:, :2] * 1e6, torch.rand(600, 2) ** 30])
def test_tiles_of_odd_places(places: Tensor):
    tiles = Tiles.of(places, 100)
    assert torch.equal(tiles.order.sort().values, torch.arange(600))
    assert bool((tiles.starts.diff() > 0).all())


def test_centroids_keep_mass_and_centre():
    x, _, a, _ = points(3000, 1)
    found = centroids(x, a, 0.1)
    assert found is not None
    places, mass = found
    assert len(places) == 100
    assert mass.sum().item() == pytest.approx(a.sum().item())
    torch.testing.assert_close(mass @ places, a @ x)
    assert centroids(x, a, 1e-4) is None
    assert not math.isnan(places.sum().item())
