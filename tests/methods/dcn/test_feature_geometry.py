"""Where units lie and look is compared with the gradient of the network, which knows nothing of frames."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from likewise.methods.dcn.feature_geometry import deformable_readings
from likewise.nn.deform import DeformableConv2d


class ChannelsLast(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x):
        return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Gated(nn.Module):
    """A squeeze gate of another shape and a shortcut: neither moves the map."""

    def forward(self, x):
        return nn.functional.avg_pool2d(x, x.shape[-2:]).sigmoid().detach() * x + x


BEFORE = {
    "nothing": [],
    "strided convolution": [nn.Conv2d(3, 3, 3, 2, 1)],
    "unpadded convolution": [nn.Conv2d(3, 3, 5, 2)],
    "dilated convolution": [nn.Conv2d(3, 3, 3, 1, 2, 2), nn.Conv2d(3, 3, 2, 2)],
    "pooling": [nn.Conv2d(3, 3, 3, 2, 1), nn.AvgPool2d(2), nn.AvgPool2d(3, 1, 1)],
    "uneven padding": [nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(3, 3, 3, 2)],
    "another layout": [nn.Conv2d(3, 3, 4, 4), ChannelsLast(3)],
    "a gate": [nn.Conv2d(3, 3, 3, 2, 1), Gated(), nn.Conv2d(3, 3, 3, 2, 1)],
    "adaptive pooling": [nn.Conv2d(3, 3, 3, 1, 1), nn.AdaptiveAvgPool2d((16, 12))],
    "enlarged": [nn.Conv2d(3, 3, 4, 4), nn.Upsample(scale_factor=2, mode="nearest")],
}


def positive(model):
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
    return model


@pytest.mark.parametrize("before", BEFORE)
def test_the_centre_of_a_unit_is_the_centre_of_what_it_sees(before):
    layer = DeformableConv2d(nn.Conv2d(3, 1, 3, 2, 1))
    model = nn.Sequential(*positive(nn.Sequential(*BEFORE[before])), layer).double()
    nn.init.constant_(layer.weight, 1.0)
    x = torch.rand(1, 3, 64, 48, dtype=torch.float64, requires_grad=True)
    (reading,) = deformable_readings(model, x)
    unit = (reading.size[0] // 2, reading.size[1] // 2)
    model(x)[0, 0, unit[0], unit[1]].backward()
    seen = x.grad[0].abs().sum(0)
    rows = (seen.sum(1) * torch.arange(64)).sum() / seen.sum()
    columns = (seen.sum(0) * torch.arange(48)).sum() / seen.sum()
    expected = [u * step + start for u, step, start in zip(unit, reading.out.step, reading.out.start, strict=True)]
    tolerance = 0.5 if before in ("enlarged",) else 1e-6  # enlarging by repetition moves a unit within its cell
    assert [rows.item(), columns.item()] == pytest.approx(expected, abs=tolerance)


def test_max_pooling_is_a_window_like_any_other():
    model = nn.Sequential(nn.MaxPool2d(3, 2, 1), DeformableConv2d(nn.Conv2d(3, 1, 3)))
    (reading,) = deformable_readings(model, torch.rand(1, 3, 20, 20))
    assert reading.grid.step == (2, 2)
    assert reading.grid.start == (0, 0)


def test_branches_are_followed_to_the_layer_they_come_from():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = DeformableConv2d(nn.Conv2d(3, 3, 3, padding=1))
            self.b = DeformableConv2d(nn.Conv2d(3, 3, 3, padding=1))
            self.c = DeformableConv2d(nn.Conv2d(3, 3, 3, padding=1))

        def forward(self, x):
            a, b = self.a(x), self.b(x)  # b runs after a but does not come from it
            return self.c(x + a) + b  # the shortcut comes through no layer

    model = Branches().train()
    model.b.eval()
    readings = deformable_readings(model, torch.rand(1, 3, 8, 8))
    assert [(r.name, r.grid.via_layer) for r in readings] == [("a", -1), ("b", -1), ("c", 0)]
    assert model.training
    assert not model.b.training
    with torch.inference_mode():
        assert len(deformable_readings(model, torch.rand(1, 3, 8, 8))) == 3
