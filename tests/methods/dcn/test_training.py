"""Three steps of SGD give the losses and parameters that the papers' equations give, written out here once more."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from likewise.methods.dcn import deformable, parameter_groups

LR, MOMENTUM, DECAY = 0.05, 0.9, 1e-2


def restated_layer(x, weight, branch_weight, branch_bias, scale):
    """Dai et al., eq. 2 and 3, or (``scale`` of the sigmoid given) Zhu et al., eq. 1; 3 x 3, padded by one pixel.

    The bilinear kernel g(q, p) = max(0, 1 - |q - p|) is taken between every pixel and every sampling place.
    """
    batch, _, height, width = x.shape
    fields = F.conv2d(x, branch_weight, branch_bias, padding=1)
    rows = torch.arange(height, dtype=x.dtype)
    columns = torch.arange(width, dtype=x.dtype)
    out = x.new_zeros(batch, weight.shape[0], height, width)
    for n in range(9):
        y = rows[:, None] + n // 3 - 1 + fields[:, 2 * n]
        z = columns[None, :] + n % 3 - 1 + fields[:, 2 * n + 1]
        near_rows = (1 - (rows - y[..., None]).abs()).clamp(min=0)
        near_columns = (1 - (columns - z[..., None]).abs()).clamp(min=0)
        samples = torch.einsum("bcqr,bijq,bijr->bcij", x, near_rows, near_columns)
        if scale is not None:
            samples = samples * (scale / (1 + torch.exp(-fields[:, 18 + n])))[:, None]
        out = out + torch.einsum("dc,bcij->bdij", weight[:, :, n // 3, n % 3], samples)
    return out


class Restated:
    """The network and its steps, on tensors of their own."""

    def __init__(self, tensors, factor, scale):
        self.tensors = {name: t.detach().clone().requires_grad_() for name, t in tensors.items()}
        self.speed = {name: torch.zeros_like(t) for name, t in self.tensors.items()}
        self.factor, self.scale = factor, scale

    def step(self, x, labels):
        t = self.tensors
        for layer in "13":
            x = restated_layer(
                x, t[f"{layer}.weight"], t[f"{layer}.offsets.weight"], t[f"{layer}.offsets.bias"], self.scale
            ).clamp(min=0)
        logits = x.mean((2, 3)) @ t["7.weight"].T + t["7.bias"]
        chosen = logits[torch.arange(len(labels)), labels]
        loss = (logits.exp().sum(1).log() - chosen).mean()
        gradients = torch.autograd.grad(loss, list(t.values()))
        with torch.no_grad():
            for (name, parameter), gradient in zip(t.items(), gradients, strict=True):
                rate = LR * (self.factor if ".offsets." in name else 1)
                self.speed[name] = MOMENTUM * self.speed[name] + gradient + DECAY * parameter
                parameter.sub_(rate * self.speed[name])
        return float(loss.detach())


@pytest.mark.parametrize(
    ("modulated", "scale", "factor"),
    [(False, None, 1.0), (True, 2.0, 0.1), (True, 1.0, 0.1)],
    ids=["DCNv1", "DCNv2, its example", "DCNv2, its paper"],
)
def test_three_steps_are_those_of_the_paper(modulated, scale, factor):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Identity(),
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 3),
    ).double()
    deformable(net, ["1", "3"], modulated=modulated, modulation_scale=scale or 2.0)
    for name, parameter in net.named_parameters():
        if "offsets" in name:  # off the whole pixels, where either side's derivative is right
            nn.init.normal_(parameter, std=0.3)
    restated = Restated(dict(net.named_parameters()), factor, scale)
    groups = parameter_groups(net, LR, offset_factor=factor)
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, weight_decay=DECAY)
    x, labels = torch.rand(4, 3, 7, 6, dtype=torch.float64), torch.tensor([0, 2, 1, 2])
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        assert math.isclose(loss.item(), restated.step(x, labels), rel_tol=1e-10)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter, restated.tensors[name], rtol=1e-8, atol=1e-10)
