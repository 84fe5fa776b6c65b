"""DCNv3's and DCNv4's operators against a slow loop, torchvision, grid_sample, gradcheck and a pooled mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
import torchvision.ops

from likewise import native
from likewise.ops.deform.grouped import dcnv3, dcnv4
from likewise.ops.deform.grouped_native import deform_grouped_native

needs_native = pytest.mark.skipif(not native.available(), reason=f"compiled functions are {native.why_not()}")


@dataclass(frozen=True)
class Case:
    batch: int = 2
    channels: int = 8
    groups: int = 2
    size: tuple[int, int] = (6, 7)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    scale: float = 1.0
    remove_center: bool = False

    @property
    def points(self) -> int:
        return math.prod(self.kernel) - self.remove_center

    @property
    def out(self) -> list[int]:
        spans = [self.dilation[i] * (self.kernel[i] - 1) + 1 for i in range(2)]
        return [(self.size[i] + 2 * self.padding[i] - spans[i]) // self.stride[i] + 1 for i in range(2)]

    def tensors(self, dtype=torch.float64, *, spread: float = 1.5, whole: bool = False):
        x = torch.randn(self.batch, self.channels, *self.size, dtype=dtype)
        offset = spread * torch.randn(self.batch, 2 * self.groups * self.points, *self.out, dtype=dtype)
        mask = torch.randn(self.batch, self.groups * self.points, *self.out, dtype=dtype)
        return [t.requires_grad_() for t in (x, offset.round() if whole else offset, mask)]

    def run(self, tensors, backend=None, operator=dcnv4):
        grid = (self.kernel, self.stride, self.padding, self.dilation, self.groups, self.scale)
        return operator(*tensors, *grid, remove_center=self.remove_center, backend=backend)


CASES = [
    Case(),
    Case(scale=1.7, groups=4, stride=(2, 1), padding=(0, 2), dilation=(2, 1)),
    Case(remove_center=True, scale=0.5, channels=3, groups=3, size=(5, 4)),
    Case(kernel=(1, 5), padding=(0, 2), groups=1, batch=1),
    Case(kernel=(2, 4), padding=(2, 1), dilation=(3, 2), scale=1.3, batch=1),
    Case(kernel=(5, 3), padding=(2, 1), remove_center=True, batch=1, size=(1, 1)),
]
#: Together these take every width of channels and several blocks of outputs.
LARGE_CASES = [
    Case(channels=64, groups=2, size=(13, 17)),
    Case(channels=29 * 3, groups=3, size=(20, 11), scale=1.3, remove_center=True),
    Case(channels=7, groups=1, size=(10, 10), kernel=(5, 5), padding=(2, 2), stride=(2, 1)),
    Case(channels=24, groups=2, size=(9, 9), batch=3),
]


def slow(case: Case, x, offset, mask):
    """Every output, point, channel and neighbouring pixel, one at a time, by the definition."""
    height, width = x.shape[2:]
    out = torch.zeros(case.batch, case.channels, *case.out, dtype=torch.float64)
    own = case.channels // case.groups
    middle = [case.dilation[i] * (case.kernel[i] - 1) // 2 for i in range(2)]
    for b, c, i, j in torch.cartesian_prod(*(torch.arange(n) for n in out.shape)).tolist():
        group, point = c // own, -1
        for column in range(case.kernel[1]):
            for row in range(case.kernel[0]):
                if case.remove_center and (row, column) == (case.kernel[0] // 2, case.kernel[1] // 2):
                    continue
                point += 1
                at = group * case.points + point
                dx, dy = offset[b, 2 * at, i, j].item(), offset[b, 2 * at + 1, i, j].item()
                y0 = i * case.stride[0] - case.padding[0] + middle[0]
                x0 = j * case.stride[1] - case.padding[1] + middle[1]
                y = y0 + case.scale * (row * case.dilation[0] - middle[0] + dy)
                z = x0 + case.scale * (column * case.dilation[1] - middle[1] + dx)
                value = sum(
                    x[b, c, q, r].item() * max(0, 1 - abs(q - y)) * max(0, 1 - abs(r - z))
                    for q in range(height)
                    for r in range(width)
                )
                out[b, c, i, j] += mask[b, at, i, j].item() * value
    return out


def gradients(case: Case, tensors, backend, operator=dcnv4):
    out = case.run(tensors, backend, operator)
    upstream = torch.arange(out.numel(), dtype=out.dtype).cos().view(out.shape)
    return (out, *torch.autograd.grad(out, tensors, upstream))


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_definition(case):
    tensors = case.tensors()
    expected = slow(case, *tensors)
    torch.testing.assert_close(case.run(tensors), expected, rtol=1e-12, atol=1e-12)
    if native.available():
        single = case.run([t.float() for t in tensors], "native")
        torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES[:4])
def test_dcnv3_takes_a_softmax_over_each_groups_points(case):
    x, offset, logits = case.tensors()
    shares = torch.zeros_like(logits)
    for group in range(case.groups):
        own = slice(group * case.points, (group + 1) * case.points)
        shares[:, own] = logits[:, own].exp() / logits[:, own].exp().sum(1, keepdim=True)
    out = case.run((x, offset, logits), operator=dcnv3)
    torch.testing.assert_close(out, slow(case, x, offset, shares), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("whole", [False, True], ids=["fractional", "integer places"])
@pytest.mark.parametrize(
    "case", [Case(), Case(groups=4, stride=(2, 1), padding=(0, 2), dilation=(2, 1), kernel=(3, 5))]
)
def test_unscaled_it_is_torchvisions_operator_with_a_kernel_of_ones(case, whole):
    x, offset, mask = tensors = case.tensors(whole=whole)
    rows, columns = case.kernel
    # theirs: points along the kernel's rows, y before x
    order = [column * rows + row for row in range(rows) for column in range(columns)]
    fields = offset.unflatten(1, (case.groups, case.points, 2))[:, :, order].flip(3).flatten(1, 3)
    shares = mask.unflatten(1, (case.groups, case.points))[:, :, order].flatten(1, 2)
    ones = torch.ones(case.channels, 1, rows, columns, dtype=x.dtype)
    theirs = torchvision.ops.deform_conv2d(x, fields, ones, None, case.stride, case.padding, case.dilation, shares)
    upstream = torch.arange(theirs.numel(), dtype=x.dtype).cos().view(theirs.shape)
    expected = (theirs, *torch.autograd.grad(theirs, tensors, upstream))
    for ours, truth in zip(gradients(case, tensors, "torch"), expected, strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-10, atol=1e-10)


@needs_native
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("case", [*CASES, *LARGE_CASES])
def test_the_compiled_path_agrees_with_the_exact_one(case, layout):
    single = [t.detach().float().contiguous(memory_format=layout).requires_grad_() for t in case.tensors()]
    for ours, truth in zip(gradients(case, single, "native"), gradients(case, single, "torch"), strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-5, atol=1e-5 * truth.abs().max().item())


@needs_native
@pytest.mark.parametrize("frozen", [(0,), (1, 2), (1,)])
def test_gradients_that_nobody_wants_are_not_needed_for_the_others(frozen):
    case, found = Case(channels=16), []
    tensors = [t.detach().float() for t in case.tensors()]
    for backend in ("native", "torch"):
        leaves = [t.clone().requires_grad_(i not in frozen) for i, t in enumerate(tensors)]
        case.run(leaves, backend).square().sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for ours, truth in zip(*found, strict=True):
        assert (ours is None) == (truth is None)
        assert truth is None or torch.allclose(ours, truth, rtol=1e-4, atol=1e-4)


@needs_native
def test_threads_do_not_change_the_compiled_path_at_all():
    case, threads = LARGE_CASES[1], torch.get_num_threads()
    single = [t.detach().float().requires_grad_() for t in case.tensors()]
    try:
        results = []
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(gradients(case, single, "native"))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, three) for one, three in zip(*results, strict=True))


@needs_native
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # opcheck's own
def test_the_compiled_operator_keeps_torchs_rules_for_operators():
    tensors = [t.detach().float().requires_grad_() for t in Case(channels=6).tensors()]
    points = ([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [0.0, 1.0, 2.0] * 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = tensors[0].detach().contiguous(memory_format=layout).requires_grad_()
        torch.library.opcheck(deform_grouped_native, (x, *tensors[1:], *points, [1, 1], [1, 1], 2, 1.0))


@pytest.mark.parametrize("operator", [dcnv3, dcnv4])
def test_gradients_agree_with_finite_differences_twice(operator):
    case = Case(batch=1, channels=4, size=(3, 4), remove_center=True, scale=1.3, kernel=(3, 1), padding=(1, 0))
    assert torch.autograd.gradcheck(lambda *t: case.run(t, operator=operator), case.tensors())
    assert torch.autograd.gradgradcheck(lambda *t: case.run(t, operator=operator), case.tensors())


@needs_native
def test_the_compiled_path_can_be_differentiated_twice():
    case, found = Case(batch=1, channels=4, size=(4, 5)), []
    tensors = [t.detach().float().requires_grad_() for t in case.tensors()]
    for backend in ("native", "torch"):
        first = torch.autograd.grad(case.run(tensors, backend).square().sum(), tensors, create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in first), tensors))
    for ours, truth in zip(*found, strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-4 * truth.abs().max().item())


def test_without_offsets_and_logits_it_is_average_pooling():
    x = torch.randn(2, 8, 9, 7)
    out = dcnv3(x, torch.zeros(2, 36, 9, 7), torch.zeros(2, 18, 9, 7), groups=2)
    torch.testing.assert_close(out, torch.nn.functional.avg_pool2d(x, 3, 1, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize("far", [1e6, -1e6, 3e38, -3e38, math.nan, math.inf, -math.inf])
def test_places_far_outside_or_not_finite_read_nothing_and_harm_nothing(far, backend):
    case = Case(channels=19, groups=1)
    x, offset, mask = (t.detach().float() for t in case.tensors())
    x, offset = torch.full_like(x, math.inf), torch.full_like(offset, far)
    leaves = [t.requires_grad_() for t in (x, offset, mask)]
    out = case.run(leaves, backend)
    found = torch.autograd.grad(out.sum(), leaves)
    assert not out.any()
    assert all(not g.any() for g in found)


@pytest.mark.parametrize("backend", ["torch", pytest.param("native", marks=needs_native)])
def test_a_batch_of_none_and_views_of_larger_tensors(backend):
    case = Case(batch=0)
    tensors = [t.detach().float().requires_grad_() for t in case.tensors()]
    out = case.run(tensors, backend)
    assert out.shape == (0, 8, 6, 7)
    assert [g.shape for g in torch.autograd.grad(out.sum(), tensors)] == [t.shape for t in tensors]
    whole = [t.detach().float() for t in Case().tensors()]
    strided = [torch.stack([t, t], -1)[..., 0] for t in whole]
    assert not strided[0].is_contiguous()
    torch.testing.assert_close(Case().run(strided, backend), Case().run(whole, backend))


def test_half_precision_is_computed_in_float32_and_precisions_may_differ():
    x, offset, mask = (t.detach().float() for t in Case().tensors())
    exact = Case().run((x, offset, mask))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Case().run((x, offset, mask)), exact)
    half = Case().run((x.bfloat16(), offset, mask.double()))
    assert torch.equal(half, Case().run((x.bfloat16().float(), offset, mask)).bfloat16())


def test_the_meta_device_and_compilers_know_its_shape():
    meta = [t.to("meta") for t in Case().tensors(torch.float32)]
    for operator in (dcnv3, dcnv4):
        assert Case().run(meta, operator=operator).shape == (2, 8, 6, 7)
    tensors = [t.detach().float().requires_grad_() for t in Case().tensors()]
    torch.compiler.reset()
    compiled = torch.compile(lambda *t: Case().run(t, operator=dcnv3), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*tensors), Case().run(tensors, operator=dcnv3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": torch.zeros(2, 35, 6, 7)}, r"offset has shape \(2, 35, 6, 7\); expected \(2, 36, 6, 7\)"),
        ({"mask": torch.zeros(2, 18, 6, 6)}, r"mask has shape \(2, 18, 6, 6\); expected \(2, 18, 6, 7\)"),
        ({"input": torch.zeros(8, 6, 7)}, "four axes"),
        ({"input": torch.zeros(2, 8, 6, 7, dtype=torch.int64)}, r"torch\.int64; expected floating point"),
        ({"groups": 3}, "groups = 3: expected a divisor of 8 channels"),
        ({"groups": 0}, "groups = 0"),
        ({"padding": "same"}, "padding is 'same'; expected a whole number"),
        ({"stride": 0}, "stride is 0; expected at least 1"),
        ({"kernel_size": 9}, r"kernel \(9, 9\) does not fit into an input of \(6, 7\)"),
        ({"kernel_size": (2, 3), "remove_center": True}, "has no centre; expected odd sizes"),
        ({"kernel_size": 1, "remove_center": True}, "has no other"),
        ({"backend": "mmcv"}, "backend is 'mmcv'; expected one of"),
        ({"input": torch.zeros(2, 8, 6, 7).double(), "backend": "native"}, "'native' cannot run here"),
    ],
)
def test_what_does_not_belong_together_is_named(change, message):
    sensible = {
        "input": torch.zeros(2, 8, 6, 7),
        "offset": torch.zeros(2, 36, 6, 7),
        "mask": torch.zeros(2, 18, 6, 7),
        "groups": 2,
    }
    with pytest.raises(ValueError, match=message):
        dcnv4(**(sensible | change))
