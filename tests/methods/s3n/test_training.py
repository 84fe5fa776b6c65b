"""Three steps of S3N's training beside the published step, written down again in plain torch.

Only the trunk is shared: gate, maps, peaks, sampler, losses, optimiser and schedule are stated here a second time,
from the paper's formulas, one picture, one peak and one parameter at a time.
"""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from likewise.methods.s3n import S3N, Config
from likewise.recipes.s3n_fine_grained import S3nCub
from likewise.types import ClassBatch

CLASSES, SIDE, CELLS = 8, 96, 31
#: The published numbers that this file restates.
MEAN_STD = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BASE, SMOOTHING, MOMENTUM, DECAY = 0.09, 0.15, 0.9, 1e-4
RATES = {"classifiers": 1e-2, "trunk": 1e-3, "convolutions": 1e-3, "radii": 1e-7}


def response(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """R of one picture (D, h, w): every class's map, ranked by their means on the 31 x 31 grid."""
    maps = torch.stack([torch.einsum("d,dhw->hw", w, features) + b for w, b in zip(weight, bias, strict=True)])
    maps = F.interpolate(maps[None], (CELLS, CELLS), mode="bilinear", align_corners=True)[0]
    p = maps.mean((1, 2)).softmax(0)
    best = p.argsort(descending=True)[:5].tolist()
    gate = sum(float(p[c]) * math.log(float(p[c])) for c in best if float(p[c]) > 0)
    mixed = maps[best[0]] if gate > -0.2 else maps[best].mean(0)
    return (mixed - mixed.min()) / (mixed.max() - mixed.min())


def peaks_of(r: Tensor) -> list[tuple[int, int]]:
    """Cells that are the largest of their 3 x 3 windows and at least the mean."""
    found = []
    for i in range(CELLS):
        for j in range(CELLS):
            around = r[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            if r[i, j] == around.max() and r[i, j] >= r.mean():
                found.append((i, j))
    return found


def bumps(peaks: list[tuple[int, int]], weights: list[Tensor], r: Tensor, radius: Tensor) -> Tensor:
    place = torch.arange(CELLS, dtype=r.dtype)
    total = torch.full((CELLS, CELLS), BASE, dtype=r.dtype)
    for (i, j), weight in zip(peaks, weights, strict=True):
        sigma = CELLS * radius * r[i, j].sqrt()
        total = total + weight * torch.exp(-((place[:, None] - i) ** 2 + (place - j) ** 2) / (2 * sigma**2))
    return total


def zoomed(image: Tensor, saliency: Tensor) -> Tensor:
    """Learning to Zoom's sampler for one picture (3, H, W), with the kernel as one 61 x 61 convolution."""
    away = torch.arange(-30, 31, dtype=image.dtype)
    kernel = torch.exp(-4 * math.log(2) * (away[:, None] ** 2 + away**2) / 13**2)[None, None]
    padded = F.pad(saliency[None, None], (30, 30, 30, 30), mode="replicate")
    place = torch.arange(-30, CELLS + 30, dtype=image.dtype) / (CELLS - 1)
    mass = F.conv2d(padded, kernel)
    x, y = (F.conv2d(padded * p, kernel) / mass for p in (place[None, :], place[:, None]))
    grid = (torch.cat([x, y], dim=1) * 2 - 1).clamp(-1, 1)
    grid = F.interpolate(grid, image.shape[1:], mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    return F.grid_sample(image[None], grid, mode="bilinear", align_corners=True)[0]


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    truth = torch.full_like(logits, smoothing / (CLASSES - 1))
    truth[torch.arange(len(target)), target] = 1 - smoothing
    return -(truth * logits.log_softmax(1)).sum(1).mean()


def published_loss(net: S3N, image: Tensor, target: Tensor, stage: str) -> Tensor:
    features = net.trunk(image)
    pooled = [features.mean((2, 3))]
    logits = {"origin": F.linear(pooled[0], net.origin.weight, net.origin.bias)}
    with torch.no_grad():
        r = [response(each, net.origin.weight, net.origin.bias) for each in features]
        peaks = [peaks_of(each) for each in r]
        draws = torch.rand(sum(map(len, peaks)), dtype=image.dtype).tolist() if stage == "drawn" else None
    weights: dict[str, list[list[Tensor]]] = {"discriminative": [], "complementary": []}
    for each, found in zip(r, peaks, strict=True):
        kept = [1.0] * len(found), [1.0] * len(found)
        if draws is not None:
            mine, draws = draws[: len(found)], draws[len(found) :]
            kept = ([float(each[c] > d) for c, d in zip(found, mine, strict=True)],) * 2
            kept = kept[0], [1 - k for k in kept[1]]
        weights["discriminative"].append([k * each[c] for k, c in zip(kept[0], found, strict=True)])
        weights["complementary"].append([k / each[c] for k, c in zip(kept[1], found, strict=True)])
    for name, branch in net.branches.items():
        maps = [bumps(*values, branch.radius) for values in zip(peaks, weights[name], r, strict=True)]
        seen = net.trunk(torch.stack([zoomed(i, m) for i, m in zip(image, maps, strict=True)]))
        made = F.conv2d(seen, branch.conv.weight, stride=2, padding=1)
        made = F.batch_norm(made, None, None, branch.norm.weight, branch.norm.bias, training=True)
        pooled.append(made.relu().mean((2, 3)))
        logits[name] = F.linear(pooled[-1], branch.classify.weight, branch.classify.bias)
    logits["joined"] = F.linear(torch.cat(pooled, dim=1), net.joined.weight, net.joined.bias)
    smoothed = {"origin": SMOOTHING, "complementary": SMOOTHING}
    return sum(cross_entropy(each, target, smoothed.get(name, 0.0)) for name, each in logits.items())


@torch.no_grad()
def pooled_ranks_otherwise(net: S3N, image: Tensor) -> bool:
    """Whether five other classes would be mixed in some picture if the pooled features' logits ranked them."""
    features = net.trunk(image)
    larger = F.interpolate(features, (CELLS, CELLS), mode="bilinear", align_corners=True)
    best = [net.origin(each.mean((2, 3))).topk(5).indices.sort().values for each in (features, larger)]
    return not torch.equal(*best)


def rate_of(name: str) -> float:
    if name.startswith("trunk."):
        return RATES["trunk"]
    if name.endswith(".radius"):
        return RATES["radii"]
    return RATES["convolutions" if ".conv." in name or ".norm." in name else "classifiers"]


def test_every_branch_of_the_published_step_is_taken():
    """What the comparison rests on: in three steps both stages and both rates."""
    config = S3nCub(data=Path(), steps=3)
    assert [config.rate(step) for step in range(3)] == pytest.approx([1.0, 1.0, 0.1])
    assert [step / 3 < Config().first_stage for step in range(3)] == [True, True, False]


@pytest.mark.parametrize("surer", [1, 300])
def test_three_steps_are_the_published_ones(surer):
    torch.manual_seed(5)
    model = S3N(Config(classes=CLASSES, trunk="resnet18")).double().train()
    with torch.no_grad():
        model.origin.weight.mul_(surer)  # the gate opens
        for part in model.trunk.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)  # timm's blocks begin with norms of 0, through which nothing learns
    plain, start = deepcopy(model), {name: p.detach().clone() for name, p in model.named_parameters()}
    image, target = torch.rand(3, 3, SIDE, SIDE).double(), torch.tensor([0, 3, 7])
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in MEAN_STD)
    normal = (image - mean) / std
    if surer == 1:
        assert pooled_ranks_otherwise(plain, normal)
    config = S3nCub(data=Path(), steps=3)
    optimizer = config.optimizer_for(model.parameter_groups(config.lr))
    schedule = LambdaLR(optimizer, config.rate)
    velocity = {name: torch.zeros_like(p) for name, p in plain.named_parameters()}
    for step, (stage, factor) in enumerate((("every", 1.0), ("every", 1.0), ("drawn", 0.1))):
        model.begin_step(step / 3)
        torch.manual_seed(step)
        batch = ClassBatch(image, target)
        loss = model.loss(model(image), batch)["total"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        torch.manual_seed(step)
        expected = published_loss(plain, normal, target, stage)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        named = dict(plain.named_parameters())
        for (name, p), g in zip(named.items(), torch.autograd.grad(expected, list(named.values())), strict=True):
            velocity[name] = MOMENTUM * velocity[name] + g + DECAY * p.detach()
            p.data -= factor * rate_of(name) * velocity[name]
        for name, p in model.named_parameters():
            moved, wanted = p.detach() - start[name], named[name].detach() - start[name]
            assert float(wanted.abs().sum()) > 0, name
            torch.testing.assert_close(moved, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()), msg=name)
