"""The losses against POT's plan and plain loops, their special cases, and what happens at the edges."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.special import xlogy
from torch import Tensor

from likewise.boxes import mean_exemplar_sizes
from likewise.errors import LikewiseError
from likewise.ops.counting_loss import (
    TransportSettings,
    bayesian_loss,
    generalized_loss,
    generalized_terms,
    l2_loss,
)
from likewise.ops.transport.costs import DenseCost

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # optional backends are looked for at import
    import ot

LOSSES = {"generalized": generalized_loss, "bayesian": bayesian_loss, "l2": l2_loss}
BLUR, REACH, TAU, FACTOR = 0.01, 0.5, 5.0, 128.0


def scene(height: int = 18, width: int = 27, count: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A density (1, 1, H, W) with empty pixels, float64, and points (N, 2)."""
    generator = torch.Generator().manual_seed(seed)
    density = torch.rand(1, 1, height, width, generator=generator).double()
    density[density < 0.2] = 0
    points = torch.rand(count, 2, generator=generator).double() * torch.tensor([width, height])
    return density * 0.8 * count / density.sum(), points


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float((p * np.log(p / q) - p + q).sum())


def by_definition(a: np.ndarray, places: np.ndarray, points: Tensor, unit: tuple[float, float]) -> tuple[dict, dict]:
    """Terms and their gradients in a, from POT's plan and the formulas; places and unit are (row, column)."""
    dots = points.numpy()[:, ::-1]
    cost = np.linalg.norm((places[:, None] - dots) / unit, axis=-1) / FACTOR
    b = np.full(len(dots), FACTOR)
    plan = ot.unbalanced.sinkhorn_unbalanced(
        a, b, cost, BLUR, REACH, "sinkhorn_translation_invariant", numItermax=100_000, stopThr=1e-14
    )
    sent, received = plan.sum(1), plan.sum(0)
    relative = xlogy(plan, plan / np.outer(a, b)).sum() - plan.sum() + (a.sum() + b.sum()) / 2
    terms = {
        "transport": (plan * cost).sum() + BLUR * relative + REACH * (kl(sent, a) + kl(received, b)),
        "point": np.abs(received - b).mean(),
        "pixel": ((sent - a) ** 2).mean(),
        "entropy": xlogy(plan, plan).mean(),
    }
    gradients = {
        "transport": (REACH + BLUR) * (1 - sent / a) - BLUR / 2,
        "point": (plan / a[:, None] * np.sign(received - b)).mean(1),
        "pixel": 2 * (a - sent) / len(a),
        "entropy": (plan / a[:, None] * (np.log(plan) + 1)).mean(1) / len(a),
    }
    terms["total"] = terms["transport"] + TAU * (terms["point"] + terms["pixel"]) + BLUR * terms["entropy"]
    return terms, gradients


@pytest.mark.parametrize("sizes", [None, (30.0, 90.0)])
def test_terms_and_gradients_are_those_of_the_definition(sizes: tuple[float, float] | None):
    density, points = scene()
    density.requires_grad_()
    size = None if sizes is None else torch.tensor([sizes])
    terms = generalized_terms(density, [points], exemplar_sizes=size, settings=TransportSettings(tol=1e-10))

    held = density.detach()[0, 0] > 0
    places = held.nonzero().numpy() + 0.5
    unit = (2.0, 2.0) if sizes is None else tuple(1 + 2 / (1 + math.exp(-(s - 64) / 32)) for s in sizes)
    wanted, gradients = by_definition(FACTOR * density.detach()[0, 0][held].numpy(), places, points, unit)
    for name, value in wanted.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-6, abs=1e-6), name
    for name, value in gradients.items():
        (gradient,) = torch.autograd.grad(terms[name].sum(), density, retain_graph=True)
        np.testing.assert_allclose(gradient[0, 0][held] / FACTOR, value, atol=1e-6 * np.abs(value).max(), err_msg=name)
        assert gradient[0, 0][~held].abs().max() == 0


def test_sizes_of_64_pixels_are_the_fixed_scale():
    density, points = scene()
    sized = generalized_loss(density, [points], exemplar_sizes=torch.full((1, 2), 64.0))
    assert torch.equal(sized, generalized_loss(density, [points]))


def test_the_sizes_unit_is_per_axis():
    """Only a tall object makes moves along the columns of pixels cheap."""
    density = torch.zeros(1, 1, 40, 40)
    density[0, 0, 5, 20] = 1.0
    below, beside = torch.tensor([[20.5, 30.5]]), torch.tensor([[30.5 + 15, 5.5]])
    tall = torch.tensor([[200.0, 10.0]])

    def loss(point: Tensor, size: Tensor) -> float:
        return generalized_loss(density, [point], exemplar_sizes=size).item()

    assert loss(below, tall) < loss(below, tall.flip(1))
    assert loss(below, tall) == pytest.approx(loss(beside, tall.flip(1)), rel=1e-4)


def test_mean_exemplar_sizes():
    boxes = [torch.tensor([[0.0, 0, 10, 30], [5, 5, 25, 15]]), torch.tensor([[1.0, 2, 4, 6]])]
    assert mean_exemplar_sizes(boxes).tolist() == [[20.0, 15.0], [4.0, 3.0]]


def test_the_bayesian_loss_is_the_point_term_of_the_posterior_plan():
    """Squared distance at eps = 2 sigma^2, points free to receive what comes: one row update is the posterior."""
    density, points = scene()
    sigma = 3.0
    held = density[0, 0] > 0
    a, places = density[0, 0][held], held.nonzero().double() + 0.5
    cost = torch.cdist(places, points.flip(1)).square()
    f = DenseCost(cost).rows(2 * sigma**2, torch.zeros(len(points)).double())
    plan = a[:, None] * ((f[:, None] - cost) / (2 * sigma**2)).exp()
    torch.testing.assert_close(plan.sum(1), a)
    assert bayesian_loss(density, [points], sigma=sigma).item() == pytest.approx((plan.sum(0) - 1).abs().sum().item())


def test_l2_is_the_pixel_term_as_the_cost_between_pixels_grows():
    """Points = all pixels, weighted by the target; each gets exactly its weight. Moving costs ever more."""
    density, points = scene(height=7, width=9, count=3)
    target = FACTOR * gaussian_bumps(points, 1.5, 7, 9).flatten()
    a = FACTOR * density.flatten().clamp(min=1e-3)
    pixels = torch.cartesian_prod(torch.arange(7.0), torch.arange(9.0)).double()
    wanted = l2_loss((a / FACTOR).view(1, 1, 7, 9), [points], sigma=1.5).item()
    errors = []
    for price in (0.01, 0.1, 1.0, 10.0):
        cost = price * torch.cdist(pixels, pixels)
        g = DenseCost(cost).columns(BLUR, a.log())
        plan = a[:, None] * target * ((g - cost) / BLUR).exp()
        torch.testing.assert_close(plan.sum(0), target)
        errors.append(abs((plan.sum(1) - a).square().mean().item() - wanted) / wanted)
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1
    assert errors[-1] < 1e-9


def gaussian_bumps(points: Tensor, sigma: float, height: int, width: int) -> Tensor:
    """Sampled Gaussians, each divided by its sum over the picture."""
    y, x = torch.meshgrid(torch.arange(height).double() + 0.5, torch.arange(width).double() + 0.5, indexing="ij")
    total = torch.zeros_like(x)
    for px, py in points.tolist():
        bump = torch.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
        total += bump / bump.sum()
    return total


def test_l2_is_a_mean_square_in_factor_units():
    density, points = scene()
    target = gaussian_bumps(points, 2.0, 18, 27)
    wanted = ((FACTOR * density[0, 0] - FACTOR * target) ** 2).mean().item()
    assert l2_loss(density, [points], sigma=2.0).item() == pytest.approx(wanted)
    assert l2_loss(density, [points], sigma=[torch.full((5,), 2.0)]).item() == pytest.approx(wanted)
    assert l2_loss(target[None, None], [points], sigma=2.0).item() == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("background", [None, 4.0])
def test_the_bayesian_loss_pixel_by_pixel(background: float | None):
    density, points = scene(height=9, width=11, count=3)
    expected = [0.0] * 4
    for row in range(9):
        for column in range(11):
            away = [math.dist((column + 0.5, row + 0.5), p) for p in points.tolist()]
            if background is not None:
                away.append(background - min(away))
            likely = [math.exp(-(d**2) / (2 * 2.5**2)) for d in away]
            for j, value in enumerate(likely):
                expected[j] += value / sum(likely) * density[0, 0, row, column].item()
    wanted = sum(abs(1 - e) for e in expected[:3]) + (expected[3] if background is not None else 0)
    assert bayesian_loss(density, [points], sigma=2.5, background=background).item() == pytest.approx(wanted)


def test_l2_leaves_out_what_weighs_nothing_but_divides_by_all_squares():
    density = torch.rand(2, 1, 6, 8, dtype=torch.float64)
    none = [torch.zeros(0, 2), torch.zeros(0, 2)]
    weight = (torch.rand(6, 8) < 0.5).double()
    expected = [
        sum(float(d * w) ** 2 for d, w in zip(x.flatten(), weight.flatten(), strict=True)) / 48 for x in density
    ]
    assert l2_loss(density, none, factor=1.0, weight=weight).tolist() == pytest.approx(expected)
    assert torch.equal(l2_loss(density, none, weight=torch.ones(6, 8)), l2_loss(density, none))


def test_l2_on_squares_compares_their_sums():
    density, points = scene(height=12, width=20)
    cells = density.view(6, 2, 10, 2).sum((1, 3))
    wanted = l2_loss(cells[None, None], [points / 2], sigma=1.5).item()
    assert l2_loss(density, [points], sigma=3.0, stride=2).item() == pytest.approx(wanted)
    with pytest.raises(LikewiseError, match="cannot be cut into squares of 5"):
        l2_loss(density, [points], stride=5)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_batch_is_its_pictures_one_by_one(name: str):
    scenes = [scene(count=n, seed=n) for n in (1, 7, 4)]
    density = torch.cat([d for d, _ in scenes]).requires_grad_()
    points = [p for _, p in scenes]
    losses = LOSSES[name](density, points)
    (together,) = torch.autograd.grad(losses.sum(), density)
    for i in range(3):
        one = density[i : i + 1].detach().requires_grad_()
        loss = LOSSES[name](one, points[i : i + 1])
        assert loss.item() == losses[i].item()
        assert torch.equal(torch.autograd.grad(loss.sum(), one)[0], together[i : i + 1])


@pytest.mark.parametrize("solver", ["log", "reference"])
def test_without_points_or_mass_the_loss_is_the_mean_density(solver: str):
    density = torch.cat([scene()[0], torch.zeros(1, 1, 18, 27).double()]).requires_grad_()
    points = [torch.zeros(0, 2), torch.ones(3, 2)]
    loss = generalized_loss(density, points, solver=solver)
    wanted = (1 + 2 * TAU) * FACTOR * density.detach().mean((1, 2, 3))
    torch.testing.assert_close(loss.detach(), wanted)
    loss.sum().backward()
    torch.testing.assert_close(density.grad, 11 * FACTOR / (18 * 27) * density.detach().sign())
    assert bayesian_loss(density, points)[0].item() == pytest.approx(density[0].sum().item())
    assert l2_loss(density, points)[0].item() == pytest.approx((FACTOR * density[0]).square().mean().item())


@pytest.mark.parametrize("stride", [2, 4])
def test_a_stride_is_the_loss_of_summed_cells_at_their_centres(stride: int):
    """18 x 27 is cut by neither evenly: the last cells are narrower."""
    density, points = scene()
    density.requires_grad_()
    terms = generalized_terms(density, [points], settings=TransportSettings(stride=stride, tol=1e-10))

    cells, places = [], []
    for top in range(0, 18, stride):
        for left in range(0, 27, stride):
            bottom, right = min(top + stride, 18), min(left + stride, 27)
            mass = FACTOR * density[0, 0, top:bottom, left:right].sum().item()
            if mass > 0:
                cells.append(mass)
                places.append(((top + bottom) / 2, (left + right) / 2))
    wanted, _ = by_definition(np.array(cells), np.array(places), points, (2.0, 2.0))
    for name in ("transport", "point"):
        assert terms[name].item() == pytest.approx(wanted[name], rel=1e-6), name
    assert terms["pixel"].item() == pytest.approx(wanted["pixel"] / stride**4, rel=1e-6)
    (gradient,) = torch.autograd.grad(terms["total"].sum(), density)
    assert torch.equal(gradient[0, 0, ::stride, ::stride][:4, :4], gradient[0, 0, 1::stride, 1::stride][:4, :4])


def test_a_stride_barely_changes_the_loss_of_a_smooth_density():
    points = torch.tensor([[13.0, 12.0], [40.0, 45.0], [50.0, 14.0]])
    density = gaussian_bumps(points + 2, 4.0, 60, 64)[None, None]
    fine = generalized_terms(density, [points])
    coarse = generalized_terms(density, [points], settings=TransportSettings(stride=2))
    for name in ("transport", "point", "pixel", "entropy"):
        assert coarse[name].item() == pytest.approx(fine[name].item(), rel=0.1), name


@pytest.mark.parametrize("reach", [0.5, 5.0])
def test_a_sharp_density_is_counted_short_by_the_stated_share(reach: float):
    """One pixel, one point on it: g = 0, a e^{-f / reach} = a b e^{f / blur} = b give a / b = e^{f / reach}."""
    share = math.exp(-math.log(FACTOR) / (1 + reach / BLUR))
    point = [torch.tensor([[0.5, 0.5]]).double()]
    for objects, arrives_enough in ((share * 1.001, True), (share * 0.999, False)):
        density = torch.full((1, 1, 1, 1), objects, dtype=torch.float64, requires_grad=True)
        terms = generalized_terms(density, point, settings=TransportSettings(reach=reach, tol=1e-10))
        terms["point"].sum().backward()
        assert (density.grad.item() > 0) == arrives_enough
        assert terms["point"].item() < 0.002 * FACTOR


def test_training_on_it_finds_the_objects():
    """A free density map, from a flat start, ends with about one object round each point."""
    points = torch.tensor([[6.0, 6.0], [24.0, 9.0], [14.0, 25.0]])
    raw = torch.full((1, 1, 32, 32), -5.0).requires_grad_()
    optimizer = torch.optim.Adam([raw], 0.2)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=150)
    for _ in range(150):
        density = torch.nn.functional.softplus(raw)
        loss = generalized_loss(density, [points], reach=5.0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        slower.step()
    pixels = torch.cartesian_prod(torch.arange(32.0), torch.arange(32.0)) + 0.5
    nearest = torch.cdist(pixels, points.flip(1)).argmin(1)
    found = torch.zeros(3).index_add_(0, nearest, density.detach().flatten())
    assert (found - 1).abs().max() < 0.1


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_half_precision_and_autocast_change_nothing_but_the_input(name: str):
    density, points = scene()
    half = density.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSSES[name](half, [points])
    assert loss.dtype == torch.float32
    assert torch.equal(loss, LOSSES[name](half.float(), [points]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_density_that_is_not_finite_gives_such_a_loss(name: str, bad: float):
    density, points = scene()
    density[0, 0, 3, 4] = bad
    assert not LOSSES[name](density, [points]).isfinite()


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize(
    ("density", "points", "message"),
    [
        (torch.ones(1, 4, 4), [torch.ones(1, 2)], r"expected \(B, 1, H, W\)"),
        (torch.ones(1, 2, 4, 4), [torch.ones(1, 2)], r"expected \(B, 1, H, W\)"),
        (torch.ones(2, 1, 4, 4), [torch.ones(1, 2)], "1 sets of points for 2"),
        (torch.ones(1, 1, 4, 4), [torch.ones(1, 3)], r"points\[0\] \(1, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name: str, density: Tensor, points: list[Tensor], message: str):
    with pytest.raises(LikewiseError, match=message):
        LOSSES[name](density, points)


def test_other_mistakes_are_refused():
    density, points = scene()
    with pytest.raises(LikewiseError, match="goes down to -"):
        generalized_loss(density - 0.1, [points])
    with pytest.raises(LikewiseError, match=r"exemplar_sizes \(2,\)"):
        generalized_loss(density, [points], exemplar_sizes=torch.ones(2))
    with pytest.raises(LikewiseError, match="stride = 2, solver 'reference'"):
        generalized_loss(density, [points], solver="reference", stride=2)
    with pytest.raises(LikewiseError, match="sigma = 0"):
        bayesian_loss(density, [points], sigma=0)
