"""Deformable convolution against a slow loop, torchvision, an ordinary convolution and gradcheck."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
import torchvision.ops

from likewise.ops.deform_conv import DeformConv2d, active_backend, deform_conv2d


@dataclass(frozen=True)
class Case:
    batch: int = 2
    channels: int = 8
    size: tuple[int, int] = (9, 11)
    out: int = 6
    kernel: tuple[int, int] = (3, 3)
    groups: int = 1
    offset_groups: int = 1
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    masked: bool = True

    def tensors(self, *, spread: float = 3.0, whole: bool = False):
        size = [
            (self.size[i] + 2 * self.padding[i] - self.dilation[i] * (self.kernel[i] - 1) - 1) // self.stride[i] + 1
            for i in range(2)
        ]
        positions = math.prod(self.kernel)
        x = torch.randn(self.batch, self.channels, *self.size, dtype=torch.float64)
        offset = spread * torch.randn(self.batch, 2 * self.offset_groups * positions, *size, dtype=torch.float64)
        weight = torch.randn(self.out, self.channels // self.groups, *self.kernel, dtype=torch.float64)
        bias = torch.randn(self.out, dtype=torch.float64)
        mask = torch.rand(self.batch, self.offset_groups * positions, *size, dtype=torch.float64)
        tensors = [x, offset.round() if whole else offset, weight, bias, mask if self.masked else None]
        return [t if t is None else t.requires_grad_() for t in tensors]

    def run(self, tensors, backend="torch"):
        x, offset, weight, bias, mask = tensors
        return deform_conv2d(x, offset, weight, bias, self.stride, self.padding, self.dilation, mask, backend=backend)


CASES = [
    Case(),
    Case(masked=False),
    Case(groups=2, offset_groups=4, stride=(2, 1), padding=(0, 2), dilation=(2, 1)),
    Case(kernel=(1, 5), padding=(0, 2), size=(7, 5), batch=1),
    Case(kernel=(2, 4), groups=4, out=8, offset_groups=8, stride=(3, 2), padding=(2, 3), dilation=(1, 2)),
    Case(batch=3, channels=3, out=1, size=(1, 1)),
]


def slow_deform_conv2d(case: Case, x, offset, weight, bias, mask):
    """Every output place, kernel position, channel and neighbouring pixel, one at a time, by the definition."""
    height, width = x.shape[2:]
    positions = math.prod(case.kernel)
    out = torch.zeros(x.shape[0], case.out, *offset.shape[2:], dtype=x.dtype)
    per_group, per_offset = case.channels // case.groups, case.channels // case.offset_groups
    for b, d, i, j in torch.cartesian_prod(*(torch.arange(n) for n in out.shape)).tolist():
        total = bias[d].item()
        for c in range(per_group):
            channel = (d // (case.out // case.groups)) * per_group + c
            group = channel // per_offset
            for n in range(positions):
                dy, dx = divmod(n, case.kernel[1])
                at = 2 * (group * positions + n)
                y = i * case.stride[0] - case.padding[0] + dy * case.dilation[0] + offset[b, at, i, j].item()
                z = j * case.stride[1] - case.padding[1] + dx * case.dilation[1] + offset[b, at + 1, i, j].item()
                value = sum(
                    x[b, channel, q, r].item() * max(0, 1 - abs(q - y)) * max(0, 1 - abs(r - z))
                    for q in range(height)
                    for r in range(width)
                )
                gain = 1.0 if mask is None else mask[b, group * positions + n, i, j].item()
                total += weight[d, c, dy, dx].item() * value * gain
        out[b, d, i, j] = total
    return out


@pytest.mark.parametrize("backend", ["torch", "torchvision"])
@pytest.mark.parametrize(
    "case", [Case(batch=1, channels=4, out=2, size=(4, 5), groups=2, offset_groups=2, stride=(1, 2)), CASES[-1]]
)
def test_agrees_with_the_definition(case, backend):
    tensors = case.tensors(spread=2)
    torch.testing.assert_close(case.run(tensors, backend), slow_deform_conv2d(case, *tensors))


@pytest.mark.parametrize("whole", [False, True], ids=["fractional", "integer places"])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_torchvision_in_value_and_gradients(case, whole):
    tensors = case.tensors(whole=whole)
    inputs = [t for t in tensors if t is not None]
    results = []
    for backend in ("torch", "torchvision"):
        out = case.run(tensors, backend)
        upstream = torch.arange(out.numel(), dtype=out.dtype).cos().view(out.shape)
        results.append((out, *torch.autograd.grad(out, inputs, upstream)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_gradients_agree_with_finite_differences():
    case = Case(batch=1, channels=4, size=(4, 5), out=2, groups=2, offset_groups=2)
    assert torch.autograd.gradcheck(lambda *t: case.run(t), case.tensors())


@pytest.mark.parametrize("groups", [1, 4])
def test_without_offsets_it_is_an_ordinary_convolution(groups):
    x, weight = torch.randn(2, 8, 13, 7), torch.randn(4, 8 // groups, 3, 3)
    out = deform_conv2d(x, torch.zeros(2, 18, 7, 4), weight, stride=2, padding=1)
    torch.testing.assert_close(out, torch.conv2d(x, weight, stride=2, padding=1, groups=groups), rtol=1e-4, atol=1e-4)


def test_samples_far_outside_are_zero_and_harm_nothing():
    x, offset, weight, bias, _ = Case().tensors()
    out = deform_conv2d(x, offset.detach() * 0 + 1e6, weight, bias, padding=1)
    torch.testing.assert_close(out, bias[None, :, None, None].expand_as(out))


def test_channels_last_pictures_and_weights_change_nothing():
    case = Case(masked=False)
    x, offset, weight, bias, _ = case.tensors()
    last = torch.channels_last
    moved = [x.contiguous(memory_format=last), offset, weight.contiguous(memory_format=last), bias, None]
    torch.testing.assert_close(case.run(moved), case.run([x, offset, weight, bias, None]))


def test_half_precision_is_computed_in_float32_and_autocast_cannot_change_that():
    x, offset, weight, bias, mask = (t.detach().float() for t in Case().tensors())
    exact = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(deform_conv2d(x, offset, weight, bias, padding=1, mask=mask), exact)
    half = deform_conv2d(x.bfloat16(), offset, weight, bias, padding=1, mask=mask)
    assert half.dtype == torch.bfloat16
    rounded_input = deform_conv2d(x.bfloat16().float(), offset, weight, bias, padding=1, mask=mask)
    assert torch.equal(half, rounded_input.bfloat16())


def test_module_is_the_function_with_its_own_weights():
    conv = DeformConv2d(8, 6, 3, stride=2, padding=1, dilation=1, groups=2)
    theirs = torchvision.ops.DeformConv2d(8, 6, 3, stride=2, padding=1, groups=2)
    theirs.load_state_dict(conv.state_dict(), strict=True)
    x, offset = torch.randn(2, 8, 9, 9), torch.randn(2, 18, 5, 5)
    torch.testing.assert_close(conv(x, offset), theirs(x, offset), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": torch.zeros(2, 18, 3, 3)}, r"offset has shape \(2, 18, 3, 3\); expected \(2, 18 x offset groups"),
        ({"mask": torch.zeros(2, 9, 3, 3)}, r"mask has shape \(2, 9, 3, 3\); expected \(2, 9, 9, 11\)"),
        ({"weight": torch.zeros(6, 3, 3, 3)}, "8 input channels cannot be shared"),
        ({"x": torch.zeros(8, 9, 11)}, "four axes"),
    ],
)
def test_shapes_that_do_not_belong_together_are_named(change, message):
    tensors = dict(zip(("x", "offset", "weight", "bias", "mask"), Case().tensors(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        Case().run(tensors.values())


def test_the_environment_chooses_the_backend_and_a_wrong_name_is_refused(monkeypatch):
    monkeypatch.delenv("LIKEWISE_DEFORM_CONV", raising=False)
    assert (active_backend("cpu"), active_backend("cuda")) == ("torch", "torchvision")
    monkeypatch.setenv("LIKEWISE_DEFORM_CONV", "torchvision")
    assert active_backend("cpu") == "torchvision"
    monkeypatch.setenv("LIKEWISE_DEFORM_CONV", "mmcv")
    with pytest.raises(ValueError, match="names no backend"):
        active_backend("cpu")
