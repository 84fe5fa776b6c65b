"""Deformable convolution of volumes against a slow loop, the 2-D operator, an ordinary convolution and gradcheck."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
import torchvision.ops

from likewise.ops.deform import conv3d as operator
from likewise.ops.deform.conv3d import DeformConv3d, deform_conv3d


@dataclass(frozen=True)
class Case:
    batch: int = 2
    channels: int = 4
    size: tuple[int, int, int] = (3, 4, 5)
    out: int = 2
    kernel: tuple[int, int, int] = (3, 3, 3)
    groups: int = 1
    offset_groups: int = 1
    stride: tuple[int, int, int] = (1, 1, 1)
    padding: tuple[int, int, int] = (1, 1, 1)
    dilation: tuple[int, int, int] = (1, 1, 1)
    masked: bool = True

    def tensors(self, *, spread: float = 1.5, whole: bool = False):
        size = [
            len(range(0, n + 2 * pad - spacing * (k - 1), step))
            for n, k, step, pad, spacing in zip(
                self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        ]
        positions = self.offset_groups * math.prod(self.kernel)
        x = torch.randn(self.batch, self.channels, *self.size, dtype=torch.float64)
        offset = spread * torch.randn(self.batch, 3 * positions, *size, dtype=torch.float64)
        weight = torch.randn(self.out, self.channels // self.groups, *self.kernel, dtype=torch.float64)
        bias = torch.randn(self.out, dtype=torch.float64)
        mask = torch.rand(self.batch, positions, *size, dtype=torch.float64)
        tensors = [x, offset.round() if whole else offset, weight, bias, mask if self.masked else None]
        return [t if t is None else t.requires_grad_() for t in tensors]

    def run(self, tensors):
        x, offset, weight, bias, mask = tensors
        return deform_conv3d(x, offset, weight, bias, self.stride, self.padding, self.dilation, mask)


CASES = [
    Case(size=(2, 3, 4)),
    Case(masked=False, size=(5, 3, 1), batch=1),
    Case(groups=2, offset_groups=4, stride=(2, 1, 3), padding=(0, 2, 1), dilation=(1, 2, 1), size=(5, 3, 4), batch=1),
    Case(kernel=(2, 1, 4), groups=4, out=8, offset_groups=2, padding=(2, 0, 3), dilation=(2, 1, 1), stride=(1, 3, 2)),
    Case(batch=3, channels=3, out=1, size=(1, 1, 1)),
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def slow_deform_conv3d(case: Case, x, offset, weight, bias, mask):
    """Every output place, kernel position and offset group, one at a time: hats over every voxel of the volume."""
    axes = [torch.arange(n, dtype=x.dtype) for n in case.size]
    positions, per_group = math.prod(case.kernel), case.channels // case.groups
    outputs = []
    for b, *at in torch.cartesian_prod(*(torch.arange(n) for n in (case.batch, *offset.shape[2:]))).tolist():
        total = bias
        for n in range(positions):
            tap = [n // (case.kernel[1] * case.kernel[2]), n // case.kernel[2] % case.kernel[1], n % case.kernel[2]]
            samples = []
            for g in range(case.offset_groups):
                moved = offset[(b, slice(3 * (g * positions + n), 3 * (g * positions + n) + 3), *at)]
                hats = [
                    (
                        1
                        - (
                            axes[i] - (at[i] * case.stride[i] - case.padding[i] + tap[i] * case.dilation[i] + moved[i])
                        ).abs()
                    ).clamp(min=0)
                    for i in range(3)
                ]
                part = x[b].chunk(case.offset_groups)[g]
                gain = 1.0 if mask is None else mask[(b, g * positions + n, *at)]
                samples.append(part @ hats[2] @ hats[1] @ hats[0] * gain)
            column = torch.cat(samples).view(case.groups, per_group)
            kernels = weight[(..., *tap)].view(case.groups, -1, per_group)
            total = total + (kernels * column[:, None]).sum(2).flatten()
        outputs.append(total)
    return torch.stack(outputs).view(case.batch, *offset.shape[2:], case.out).permute(0, 4, 1, 2, 3)


def with_gradients(out, tensors):
    upstream = torch.arange(out.numel(), dtype=out.dtype).cos().view(out.shape)
    return [out, *torch.autograd.grad(out, [t for t in tensors if t is not None], upstream)]


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_definition_in_value_and_gradients(case):
    tensors = case.tensors()
    expected = with_gradients(slow_deform_conv3d(case, *tensors), tensors)
    for ours, theirs in zip(with_gradients(case.run(tensors), tensors), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_gradients_agree_with_finite_differences():
    case = Case(batch=1, size=(2, 3, 2), kernel=(2, 2, 1), groups=2, offset_groups=2, padding=(1, 0, 0))
    assert torch.autograd.gradcheck(lambda *t: case.run(t), case.tensors())


@pytest.mark.parametrize("groups", [1, 4])
def test_without_offsets_it_is_an_ordinary_convolution(groups):
    x, weight, bias = torch.randn(2, 8, 7, 5, 9), torch.randn(4, 8 // groups, 3, 1, 3), torch.randn(4)
    settings = {"stride": (2, 1, 2), "padding": (1, 0, 2), "dilation": (1, 1, 2)}
    expected = torch.conv3d(x, weight, bias, groups=groups, **settings)
    out = deform_conv3d(x, torch.zeros(2, 27, *expected.shape[2:]), weight, bias, **settings)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("whole", [False, True], ids=["fractional", "integer places"])
@pytest.mark.parametrize("flat", [0, 1, 2])
def test_a_volume_of_one_slice_along_any_axis_is_the_operator_of_pictures(flat, whole):
    x, offset, mask = (
        torch.randn(2, 4, 7, 6).double(),
        2 * torch.randn(2, 36, 7, 3).double(),
        torch.rand(2, 18, 7, 3).double(),
    )
    weight, bias = torch.randn(6, 2, 3, 3).double(), torch.randn(6).double()
    tensors = [t.requires_grad_() for t in (x, offset.round() if whole else offset, weight, bias, mask)]
    x, offset, weight, bias, mask = tensors
    expected = with_gradients(torchvision.ops.deform_conv2d(x, offset, weight, bias, (1, 2), 1, 1, mask), tensors)
    moved = list(offset.view(2, 18, 2, 7, 3).unbind(2))
    moved.insert(flat, torch.zeros_like(moved[0]))
    stride, padding = [1, 2], [1, 1]
    stride.insert(flat, 1)
    padding.insert(flat, 0)
    x, weight, mask = (t.unsqueeze(2 + flat) for t in (x, weight, mask))
    volume = torch.stack(moved, 2).flatten(1, 2).unsqueeze(2 + flat)
    out = deform_conv3d(x, volume, weight, bias, tuple(stride), tuple(padding), 1, mask).squeeze(2 + flat)
    for ours, theirs in zip(with_gradients(out, tensors), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_at_integer_places_the_offset_gradient_is_the_difference_towards_the_next_voxel():
    case = Case(batch=1, channels=2, out=1, size=(2, 2, 2), kernel=(2, 1, 2), padding=(0, 0, 1))
    tensors = case.tensors(whole=True)
    out = case.run(tensors)
    (gradient,) = torch.autograd.grad(out.sum(), tensors[1])
    # Between two integers the value is linear in one coordinate: a whole step is the exact one-sided difference.
    steps = torch.eye(gradient.numel(), dtype=torch.float64).view(-1, *gradient.shape[1:])
    x, offset, weight, bias, mask = tensors
    moved = case.run(
        [x.expand(len(steps), -1, -1, -1, -1), offset + steps, weight, bias, mask.expand(len(steps), -1, -1, -1, -1)]
    )
    torch.testing.assert_close(gradient.flatten(), moved.sum((1, 2, 3, 4)) - out.sum())


def test_half_a_voxel_outside_half_is_left_and_a_whole_one_outside_nothing():
    x, weight = torch.ones(1, 1, 3, 1, 1), torch.ones(1, 1, 1, 1, 1)
    offset = torch.zeros(1, 3, 3, 1, 1)
    offset[0, 0, :, 0, 0] = torch.tensor([-0.5, 1.5, 1.0])
    torch.testing.assert_close(deform_conv3d(x, offset, weight).flatten(), torch.tensor([0.5, 0.5, 0.0]))


@pytest.mark.parametrize("far", [1e6, -1e30, math.inf])
def test_samples_far_outside_are_zero_and_harm_nothing(far):
    x, offset, weight, bias, _ = Case().tensors()
    offset = (offset.detach() * 0 + far).requires_grad_()
    out = deform_conv3d(x, offset, weight, bias, padding=1)
    torch.testing.assert_close(out, bias[None, :, None, None, None].expand_as(out))
    for gradient in torch.autograd.grad(out.sum(), (x, offset, weight)):
        assert not gradient.any()


@pytest.mark.parametrize("case", CASES)
def test_an_output_computed_in_parts_is_the_same_with_its_gradients(case, monkeypatch):
    tensors = case.tensors()
    expected = with_gradients(case.run(tensors), tensors)
    monkeypatch.setattr(operator, "PART_NUMBERS", 8000)
    for ours, theirs in zip(with_gradients(case.run(tensors), tensors), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_parts_do_not_keep_their_samples_for_the_backward_pass(monkeypatch):
    tensors = Case(batch=1, size=(4, 6, 6)).tensors()
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    sizes = []
    for limit in (1 << 24, 20000):
        monkeypatch.setattr(operator, "PART_NUMBERS", limit)
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            Case().run(tensors)
        sizes.append(sum(kept.values()))
    inputs = sum(t.nbytes for t in tensors)
    assert sizes[0] > 5 * inputs
    assert sizes[1] < 2 * inputs


def test_half_precision_is_computed_in_float32_and_autocast_cannot_change_that():
    x, offset, weight, bias, mask = (t.detach().float() for t in Case().tensors())
    exact = deform_conv3d(x, offset, weight, bias, padding=1, mask=mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(deform_conv3d(x, offset, weight, bias, padding=1, mask=mask), exact)
    half = deform_conv3d(x.bfloat16(), offset, weight, bias, padding=1, mask=mask)
    assert half.dtype == torch.bfloat16
    rounded_input = deform_conv3d(x.bfloat16().float(), offset, weight, bias, padding=1, mask=mask)
    assert torch.equal(half, rounded_input.bfloat16())


def test_module_is_the_function_with_its_own_weights_and_all_of_them_learn():
    conv = DeformConv3d(4, 6, (1, 3, 3), stride=2, padding=(0, 1, 1), groups=2)
    plain = torch.nn.Conv3d(4, 6, (1, 3, 3), stride=2, padding=(0, 1, 1), groups=2)
    plain.load_state_dict(conv.state_dict(), strict=True)
    x, offset = torch.randn(2, 4, 3, 5, 5), torch.randn(2, 27, 2, 3, 3)
    torch.testing.assert_close(conv(x, 0 * offset), plain(x), rtol=1e-4, atol=1e-4)
    mask = torch.rand(2, 9, 2, 3, 3)
    expected = deform_conv3d(x, offset, conv.weight, conv.bias, 2, (0, 1, 1), 1, mask)
    torch.testing.assert_close(conv(x, offset, mask), expected)
    expected.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in conv.parameters())
    assert DeformConv3d(4, 6, 3, bias=False).bias is None


def test_an_empty_batch_stays_empty():
    out = deform_conv3d(torch.zeros(0, 4, 3, 3, 3), torch.zeros(0, 24, 2, 2, 2), torch.zeros(6, 4, 2, 2, 2))
    assert out.shape == (0, 6, 2, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(4, 3, 4, 5)}, "five axes"),
        ({"weight": torch.zeros(2, 4, 9, 3, 3)}, r"kernel of \(9, 3, 3\), dilated by \(1, 1, 1\), does not fit"),
        (
            {"offset": torch.zeros(2, 81, 3, 3, 3)},
            r"offset has shape \(2, 81, 3, 3, 3\); expected \(2, 81 x offset groups, 3, 4, 5\)",
        ),
        ({"offset": torch.zeros(2, 54, 3, 4, 5)}, r"expected \(2, 81 x offset groups"),
        ({"offset": torch.zeros(1, 81, 3, 4, 5)}, r"expected \(2, 81 x offset groups"),
        ({"offset": torch.zeros(2, 0, 3, 4, 5), "mask": None}, "by 0 offset groups"),
        ({"mask": torch.zeros(2, 27, 3, 4, 4)}, r"mask has shape \(2, 27, 3, 4, 4\); expected \(2, 27, 3, 4, 5\)"),
        ({"weight": torch.zeros(2, 3, 3, 3, 3)}, "4 input channels cannot be shared"),
        ({"weight": torch.zeros(3, 2, 3, 3, 3)}, "3 output channels cannot be shared by the 2 groups"),
        ({"bias": torch.zeros(3)}, r"bias has shape \(3,\); expected \(2,\)"),
    ],
)
def test_shapes_that_do_not_belong_together_are_named(change, message):
    tensors = dict(zip(("x", "offset", "weight", "bias", "mask"), Case().tensors(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        Case().run(tensors.values())
