"""Three steps of FWB's training beside the published step, written down again in plain torch.

Only the trunk is shared: class vector, relevance, similarity, head, loss, optimiser and schedule are stated here a
second time, from the paper's formulas, one episode after another.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from likewise.methods.fwb import FWB, Config
from likewise.recipes.fwb_benchmarks import FwbBenchmark
from likewise.registry import preset
from likewise.types import SegmentBatch, SupportBatch

SIDE = 48
#: The published numbers that this file restates.
RATE, POWER, DECAY, MOMENTUM = 7e-3, 0.9, 1e-4, 0.9


def norms_train(net: FWB, *, on: bool) -> None:
    """Whether batch norms go by the batch, and follow it, or by what they know."""
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.training = on


def published_logits(net: FWB, low: Tensor, deep: Tensor, images: list[Tensor], masks: list[Tensor]) -> Tensor:
    """(2, H, W) for a query as seen (1, C, h, w); f and phi are sums over the shots, as in the authors' code."""
    query_deep = deep
    with torch.no_grad():
        f, phi = 0.0, 0.0
        for image, mask in zip(images, masks, strict=True):
            deep = net.trunk.late(net.trunk.early(image[None]))[0]
            small = F.interpolate(mask[None, None].double(), deep.shape[1:], mode="nearest")[0, 0].bool()
            inside, outside = deep[:, small].mean(1), deep[:, ~small].mean(1)
            f, phi = f + inside, phi + inside - outside
        r = phi / phi.norm()
    alike = F.cosine_similarity(query_deep * r[:, None, None], (f * r)[None, :, None, None], dim=1).relu()[:, None]
    alike = F.interpolate(alike, low.shape[2:], mode="bilinear", align_corners=True)
    alike = alike / alike.max()
    first, _, second = net.head
    hidden = F.conv2d(low * alike, first.weight, first.bias, padding=1).relu()
    return F.interpolate(
        F.conv2d(hidden, second.weight, second.bias), images[0].shape[1:], mode="bilinear", align_corners=True
    )[0]


@pytest.mark.parametrize("shots", [1, 3])
def test_three_steps_are_the_published_ones(shots):
    torch.manual_seed(2)
    model = FWB(Config(trunk="vgg16")).double().train()
    plain, start = deepcopy(model).eval(), {name: p.detach().clone() for name, p in model.named_parameters()}
    coarse = torch.rand(2, 1 + shots, 3, 5, 5).double()
    pictures = torch.stack([F.interpolate(each, (SIDE, SIDE), mode="bilinear") for each in coarse])
    masks = torch.zeros(2, shots, SIDE, SIDE, dtype=torch.bool)
    masks[0, :, 10:30, 5:25] = masks[1, :, 20:44, 16:40] = True
    truth = torch.zeros(2, SIDE, SIDE, dtype=torch.long)
    truth[:, 8:40, 10:34] = 1
    truth[:, :4] = 255  # padding, and the outlines of things
    support = SupportBatch(tuple(tuple(p[1:]) for p in pictures), tuple(tuple(m) for m in masks))
    batch = SegmentBatch(pictures[:, 0], support, truth)
    colours = [
        torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    ]
    normal = (pictures - colours[0]) / colours[1]
    config = FwbBenchmark(data=Path(), steps=4)
    optimizer = config.optimizer_for(model.parameter_groups(config.lr))
    schedule = LambdaLR(optimizer, config.rate)
    velocity = {name: torch.zeros_like(p) for name, p in plain.named_parameters()}
    for step in range(3):
        loss = model.loss(model(batch.image, support), batch)["total"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        norms_train(plain, on=True)  # for the queries of the batch together, before the support is read
        low = plain.trunk.early(normal[:, 0])
        deep = plain.trunk.late(low)
        norms_train(plain, on=False)
        logits = torch.stack(
            [
                published_logits(plain, low[i : i + 1], deep[i : i + 1], list(normal[i, 1:]), list(masks[i]))
                for i in range(len(normal))
            ]
        )
        expected = F.cross_entropy(logits, truth.where(truth != 255, 0))  # 255 is background
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        named = dict(plain.named_parameters())
        for (name, p), g in zip(named.items(), torch.autograd.grad(expected, list(named.values())), strict=True):
            velocity[name] = MOMENTUM * velocity[name] + g + DECAY * p.detach()
            p.data -= RATE * (1 - step / 4) ** POWER * velocity[name]
        for name, p in model.named_parameters():
            moved, wanted = p.detach() - start[name], named[name].detach() - start[name]
            assert float(wanted.abs().sum()) > 0, name
            torch.testing.assert_close(moved, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()), msg=name)
        for (name, held), (_, wanted) in zip(model.named_buffers(), plain.named_buffers(), strict=True):
            torch.testing.assert_close(held, wanted, rtol=1e-5, atol=1e-8, msg=name)


def test_the_heads_weights_begin_as_published():
    torch.manual_seed(0)
    first, _, last = FWB(Config(trunk="vgg16")).head
    assert float(last.weight.detach().std()) == pytest.approx(1.0, rel=0.15)
    torch.manual_seed(0)
    vgg = [part.weight.detach() for part in preset("fwb-vgg16").build().head if isinstance(part, torch.nn.Conv2d)]
    # torch's own, which is uniform up to 1 / sqrt(inputs)
    assert [float(w.abs().max() * w[0].numel() ** 0.5) for w in vgg] == pytest.approx([1, 1], rel=0.03)
    weight = first.weight.detach()
    assert float(weight.std()) == pytest.approx(0.042, rel=0.02)
    assert float(weight.mean()) == pytest.approx(0, abs=1e-3)
