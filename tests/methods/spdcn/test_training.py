"""Three steps of training, of SPDCN and of the generalised loss alone, beside the published step in plain torch.

Nothing of the package is used in what is expected: sampling by gathering cells, pooling, transport, AdamW and clipping
are stated here a second time, from the papers' formulas, in float64.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from likewise.methods.spdcn import SPDCN, Config
from likewise.nn import trunks
from likewise.ops.counting_loss import generalized_loss
from likewise.recipes.spdcn_fsc147 import SpdcnFsc147
from likewise.types import CountBatch, PromptBatch

#: The published numbers that this file restates.
MEAN, STD = (0.5635, 0.5066, 0.4591), (0.2839, 0.2805, 0.3042)
FACTOR, BLUR, REACH, TAU, SCALING = 128.0, 0.01, 0.5, 5.0, 0.75
RATE, DECAY, CLIP, AN_EPOCH = 5e-5, 0.95, 5.0, 0.95
BETAS, TINY = (0.9, 0.999), 1e-8
STEPS = 3


# -- the loss


def softmin(cost: Tensor, weights: Tensor, potential: Tensor, epsilon: float) -> Tensor:
    """-epsilon log sum_j w_j exp((v_j - C_ij) / epsilon), damped by 1 / (1 + epsilon / rho)."""
    damping = 1 / (1 + epsilon / REACH)
    inside = weights.log()[None] + (potential[None] - cost) / epsilon
    return -damping * epsilon * torch.logsumexp(inside, dim=1)


def potentials(cost: Tensor, a: Tensor, b: Tensor, diameter: float) -> tuple[Tensor, Tensor]:
    f = softmin(cost, b, torch.zeros_like(b), diameter)
    g = softmin(cost.T, a, torch.zeros_like(a), diameter)
    epsilons, epsilon = [diameter], diameter
    while epsilon > BLUR:
        epsilons.append(epsilon)
        epsilon *= SCALING
    for epsilon in (*epsilons, BLUR):
        next_f, next_g = softmin(cost, b, g, epsilon), softmin(cost.T, a, f, epsilon)
        f, g = (f + next_f) / 2, (g + next_g) / 2
    return softmin(cost, b, g, BLUR), softmin(cost.T, a, f, BLUR)


def picture_loss(predicted: Tensor, dots: set[tuple[int, int]], size: tuple[float, float] | None) -> Tensor:
    """Of the network's output (H, W), 128 x density, and the (row, column) of the pixels with dots."""
    rows, columns = torch.nonzero(predicted.detach() > 0, as_tuple=True)
    if not dots or not len(rows):
        return (1 + 2 * TAU) * predicted.abs().mean()
    a, b = predicted[rows, columns], predicted.new_full((len(dots),), FACTOR)
    cells, places = torch.stack([rows, columns], 1).double(), torch.tensor(sorted(dots)).double()
    both = torch.cat([cells, places])
    diameter = float((both.amax(0) - both.amin(0)).square().sum().sqrt())
    units = [2.0, 2.0] if size is None else [1 + 2 / (1 + math.exp(-(s - 64) / 32)) for s in size]
    cells, places = (torch.floor(v / torch.tensor(units, dtype=torch.float64)) / FACTOR for v in (cells, places))
    cost = (cells[:, None] - places[None]).square().sum(2).sqrt()
    with torch.no_grad():
        f, g = potentials(cost, a, b, diameter)
        share = ((f[:, None] + g[None] - cost) / BLUR).exp()
    weight = REACH + BLUR / 2
    transport = (a * weight * (1 - (-f / REACH).exp())).sum() + (b * weight * (1 - (-g / REACH).exp())).sum()
    plan = share * a[:, None] * b[None]
    point = (plan.sum(0) - b).abs().mean()
    pixel = (plan.sum(1).detach() - a).square().mean()
    return transport + TAU * (point + pixel) + BLUR * (plan * plan.log()).mean()


# -- the network, one picture at a time


def cells_at(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """x (C, h, w) at fractional places (h', w') of cell indices: bilinear, with zeros outside."""
    found = torch.zeros(len(x), *row.shape, dtype=x.dtype)
    down, across = row - row.detach().floor(), column - column.detach().floor()
    for i in (0, 1):
        for j in (0, 1):
            r, c = row.detach().floor() + i, column.detach().floor() + j
            weight = (down if i else 1 - down) * (across if j else 1 - across)
            there = (r >= 0) & (r < x.shape[1]) & (c >= 0) & (c < x.shape[2])
            values = x[:, r.long().clamp(0, x.shape[1] - 1), c.long().clamp(0, x.shape[2] - 1)]
            found = found + values * (weight * there)
    return found


def deformed(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """sum_n w(p_n) x(p0 + p_n + dp_n), dp as (y, x) for each of the 3 x 3 places of the kernel."""
    rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in x.shape[1:]), indexing="ij")
    total = torch.zeros(len(weight), *x.shape[1:], dtype=x.dtype)
    for n in range(9):
        seen = cells_at(x, rows + n // 3 - 1 + offsets[2 * n], columns + n % 3 - 1 + offsets[2 * n + 1])
        total = total + torch.einsum("oc,chw->ohw", weight[:, :, n // 3, n % 3], seen)
    return total


def conv(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight = p[f"{name}.weight"]
    return F.conv2d(x[None], weight, p[f"{name}.bias"], padding=weight.shape[2] // 2)[0]


def pooled(features: Tensor, box: Tensor) -> Tensor:
    """The mean of 16 x 16 samples of a box, one in the middle of each part, whose cells begin at its corner."""
    x0, y0, x1, y1 = (box / 8).tolist()
    steps = (torch.arange(16).double() + 0.5) / 16
    row = (y0 + steps * max(y1 - y0, 1)).clamp(max=features.shape[1] - 1)
    column = (x0 + steps * max(x1 - x0, 1)).clamp(max=features.shape[2] - 1)
    return cells_at(features, *torch.meshgrid(row, column, indexing="ij")).mean((1, 2))


def published_density(p: dict[str, Tensor], image: Tensor, boxes: Tensor) -> Tensor:
    """128 x density (H, W) of a picture whose sides are multiples of 8."""
    x = (image - torch.tensor(MEAN, dtype=torch.float64)[:, None, None]) / torch.tensor(STD, dtype=torch.float64)[
        :, None, None
    ]
    size = torch.stack([boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]]).mean(1)
    for stage in range(4):
        x = F.max_pool2d(x[None], 2)[0] if stage else x
        convolutions = [n for n in p if n.startswith(f"trunk.stages.{stage}.") and n.endswith(".weight")]
        for name in convolutions:
            x = conv(p, name.removesuffix(".weight"), x).relu()
        prior = f"trunk.scale_priors.{stage}"
        hidden = (p[f"{prior}.glob.0.weight"] @ size + p[f"{prior}.glob.0.bias"]).relu()
        told = p[f"{prior}.glob.2.weight"] @ hidden + p[f"{prior}.glob.2.bias"]
        local = conv(p, f"{prior}.local.2", conv(p, f"{prior}.local.0", x).relu())
        fused = torch.cat([told[:, None, None].expand(-1, *x.shape[1:]), local])
        offsets = conv(p, f"{prior}.fuse.2", conv(p, f"{prior}.fuse.0", fused).relu())
        x = deformed(x, offsets, p[f"{prior}.conv.weight"]).relu()
    classes, features = conv(p, "to_classes", x), conv(p, "to_density", x)
    vector = torch.stack([pooled(classes, box) for box in boxes]).mean(0)
    cosine = torch.einsum("chw,c->hw", classes, vector) / (
        classes.square().sum(0).sqrt() * vector.square().sum().sqrt()
    )
    decoded = conv(p, "decoder.1.0", conv(p, "decoder.0.0", features * cosine.relu()).relu()).relu()
    return conv(p, "decoder.2", F.pixel_shuffle(decoded[None], 8)[0]).relu()[0]


# -- the step


class AdamW:
    """Decoupled decay of what has two dimensions or more, after the gradient was clipped to a norm of 5."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        self.parameters = parameters
        self.first = {n: torch.zeros_like(p) for n, p in parameters.items()}
        self.second = {n: torch.zeros_like(p) for n, p in parameters.items()}
        self.done = 0

    def step(self, loss: Tensor) -> None:
        named = self.parameters
        gradients = dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
        shrink, rate = min(1.0, CLIP / (norm + 1e-6)), RATE * AN_EPOCH**self.done
        self.done += 1
        for name, p in named.items():
            g = gradients[name] * shrink
            self.first[name] = BETAS[0] * self.first[name] + (1 - BETAS[0]) * g
            self.second[name] = BETAS[1] * self.second[name] + (1 - BETAS[1]) * g * g
            m, v = self.first[name] / (1 - BETAS[0] ** self.done), self.second[name] / (1 - BETAS[1] ** self.done)
            decayed = p.data * (1 - rate * DECAY) if p.dim() > 1 else p.data
            p.data = decayed - rate * m / (v.sqrt() + TINY)


def dots_of(points: Tensor) -> set[tuple[int, int]]:
    return {(int(y), int(x)) for x, y in points.tolist()}


def assert_moved_alike(name: str, now: Tensor, other: Tensor, start: Tensor) -> None:
    moved, wanted = now.detach() - start, other.detach() - start
    torch.testing.assert_close(moved, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()), msg=name)


@pytest.fixture
def batch() -> CountBatch:
    """Two pictures; in the first two points share a pixel, and one box is smaller than a cell."""
    torch.manual_seed(1)
    points = (torch.tensor([[5.2, 7.9], [5.7, 7.6], [30.5, 20.5], [44.0, 3.0]]), torch.rand(3, 2) * 30)
    boxes = (torch.tensor([[2.0, 4.0, 13.0, 15.0], [24.0, 16.0, 30.0, 23.0]]), torch.tensor([[0.0, 9.0, 47.0, 32.0]]))
    sizes = tuple(torch.full((len(p),), 10.0).double() for p in points)
    return CountBatch(
        torch.rand(2, 3, 32, 48).double(),
        PromptBatch(tuple(b.double() for b in boxes)),
        tuple(p.double() for p in points),
        sizes,
    )


def test_three_steps_of_spdcn_are_the_published_ones(batch: CountBatch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trunks, "VGG19_WIDTHS", ((4, 4), (5, 5), (6, 6, 6, 6), (8, 8, 8, 8)))
    torch.manual_seed(0)
    model = SPDCN(Config(offset_channels=6, channels=10, decoder=((12, 1), (128, 8)), decoder_std=0.3)).double()
    config = SpdcnFsc147(data=Path(), decay_every=1)
    optimizer = config.optimizer_for(model.parameter_groups(config.lr))
    schedule = LambdaLR(optimizer, config.rate)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    plain = {name: value.clone().requires_grad_() for name, value in start.items()}
    published = AdamW(plain)
    for _ in range(STEPS):
        loss = model.loss(model(batch.image, batch.prompt), batch)["total"].mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        expected = 0
        for image, boxes, points in zip(batch.image, batch.prompt.exemplars, batch.points, strict=True):
            height_width = (boxes[:, [3, 2]] - boxes[:, [1, 0]]).mean(0).tolist()
            density = published_density(plain, image, boxes)
            expected = expected + picture_loss(density, dots_of(points), (height_width[0], height_width[1])) / 2
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        published.step(expected)
        for name, p in model.named_parameters():
            assert float((plain[name].detach() - start[name]).abs().sum()) > 0, name
            assert_moved_alike(name, p, plain[name], start[name])


@pytest.mark.parametrize("sized", [True, False])
def test_three_steps_of_the_generalised_loss_are_the_published_ones(batch: CountBatch, sized: bool):
    """What is trained is the map itself, of which a part is and stays without density."""
    torch.manual_seed(2)
    start = torch.rand(2, 1, 24, 36).double() * (torch.rand(2, 1, 24, 36) < 0.6)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    sizes = torch.tensor([[20.0, 90.0], [70.0, 64.0]]).double() if sized else None
    config = SpdcnFsc147(data=Path(), decay_every=1)
    optimizer = config.optimizer_for([ours])
    schedule, published = LambdaLR(optimizer, config.rate), AdamW({"map": theirs})
    points = tuple(p * 0.7 for p in batch.points)
    for _ in range(STEPS):
        loss = generalized_loss(
            ours.relu() / FACTOR, points, exemplar_sizes=sizes, solver="reference", dots="pixels"
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([ours], config.clip)
        optimizer.step()
        schedule.step()
        expected = 0
        for i, dots in enumerate(points):
            size = None if sizes is None else (float(sizes[i, 0]), float(sizes[i, 1]))
            expected = expected + picture_loss(theirs[i, 0].relu(), dots_of(dots), size) / 2
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        published.step(expected)
        assert_moved_alike("map", ours, theirs, start)
    assert float((theirs.detach() - start).abs().max()) > STEPS * RATE / 2


def test_two_points_in_a_pixel_are_one_where_the_field_says_so(batch: CountBatch):
    density = torch.rand(2, 1, 24, 36).double()
    points = tuple(p * 0.7 for p in batch.points)
    once = (points[0][1:], points[1])
    for solver in ("reference", "log"):
        together = generalized_loss(density, points, solver=solver, dots="pixels")
        torch.testing.assert_close(together, generalized_loss(density, once, solver=solver, dots="pixels"))
        apart = generalized_loss(density, points, solver=solver)
        assert abs(float(apart[0] - together[0])) > 1e-3 * float(together[0])
