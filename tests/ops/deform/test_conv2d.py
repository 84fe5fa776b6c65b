"""Deformable convolution against a slow loop, torchvision, an ordinary convolution, gradcheck and ONNX Runtime."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
import torchvision.ops

from likewise import native
from likewise.ops.deform.conv2d import DeformConv2d, active_backend, deform_conv2d
from likewise.ops.deform.conv2d_native import deform_conv2d_native

needs_native = pytest.mark.skipif(not native.available(), reason=f"compiled functions are {native.why_not()}")


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


#: Together these cut the work in every way the compiled path does: several blocks of places, stretches of positions
#: or of one position's channels, panels of output channels, groups across and along the pieces.
LARGE_CASES = [
    Case(batch=2, channels=64, size=(13, 17), out=40),
    Case(batch=1, channels=300, size=(10, 11), out=70, masked=False),
    Case(batch=1, channels=280, size=(5, 6), out=290, offset_groups=7),
    Case(batch=3, channels=48, size=(15, 9), out=66, groups=3, offset_groups=4, stride=(2, 1), dilation=(2, 1)),
    Case(batch=1, channels=540, size=(7, 7), out=34, groups=2, offset_groups=2, kernel=(1, 3), padding=(0, 1)),
    Case(batch=1, channels=33, size=(20, 23), out=33, groups=33, kernel=(5, 5), padding=(2, 2)),
]
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


def values_and_gradients(case: Case, tensors, backend):
    inputs = [t for t in tensors if t is not None and t.requires_grad]
    out = case.run(tensors, backend)
    upstream = torch.arange(out.numel(), dtype=out.dtype).cos().view(out.shape)
    return (out, *torch.autograd.grad(out, inputs, upstream))


@needs_native
@pytest.mark.parametrize("whole", [False, True], ids=["fractional", "integer places"])
@pytest.mark.parametrize("case", CASES + LARGE_CASES)
def test_the_compiled_path_agrees_with_the_exact_one(case, whole):
    exact = case.tensors(whole=whole)
    single = [t if t is None else t.detach().float().requires_grad_() for t in exact]
    pairs = zip(values_and_gradients(case, single, "native"), values_and_gradients(case, exact, "torch"), strict=True)
    for ours, truth in pairs:
        assert ours.dtype == torch.float32
        assert (ours - truth).abs().max() <= 1e-5 * truth.abs().max()


@needs_native
@pytest.mark.parametrize("frozen", range(5), ids=["input", "offset", "weight", "bias", "mask"])
def test_the_compiled_path_leaves_out_what_needs_no_gradient(frozen):
    case = Case(channels=20, out=24, size=(12, 11))
    single = [t.detach().float().requires_grad_(i != frozen) for i, t in enumerate(case.tensors())]
    pairs = zip(values_and_gradients(case, single, "native"), values_and_gradients(case, single, "torch"), strict=True)
    for ours, truth in pairs:
        torch.testing.assert_close(ours, truth, rtol=1e-5, atol=1e-5 * truth.abs().max().item())


@needs_native
@pytest.mark.parametrize("case", [LARGE_CASES[0], LARGE_CASES[3]])
def test_the_compiled_path_takes_and_gives_channels_last(case):
    x, *rest = [t.detach().float().requires_grad_() for t in case.tensors()]
    turned = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    planes, last = (values_and_gradients(case, [image, *rest], "native") for image in (x, turned))
    assert last[0].is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(planes, last, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * one.abs().max().item())


@needs_native
def test_threads_do_not_change_the_compiled_path():
    case, threads = Case(channels=16, out=16, size=(40, 40)), torch.get_num_threads()
    single = [t.detach().float().requires_grad_() for t in case.tensors()]
    try:
        results = []
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(values_and_gradients(case, single, "native"))
    finally:
        torch.set_num_threads(threads)
    for one, three in zip(*results, strict=True):
        torch.testing.assert_close(one, three, rtol=1e-5, atol=1e-5 * one.abs().max().item())


@needs_native
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # opcheck's own
def test_the_compiled_operator_keeps_torchs_rules_for_operators():
    case = Case(channels=5, out=4, size=(6, 5))
    x, offset, weight, bias, mask = (t.detach().float().requires_grad_() for t in case.tensors())
    last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    for image in (x, last):
        torch.library.opcheck(deform_conv2d_native, (image, offset, weight, bias, mask, [1, 1], [1, 1], [1, 1]))


@needs_native
def test_a_graph_that_holds_the_compiled_operator_runs_without_it(monkeypatch):
    case = Case(channels=5, out=4, size=(6, 5))
    x, offset, weight, bias, mask = (t.detach().float() for t in case.tensors())
    arguments = (x, offset, weight, bias, mask, [1, 1], [1, 1], [1, 1])
    expected = deform_conv2d_native(*arguments)
    monkeypatch.setenv(native.VARIABLE, "0")
    torch.testing.assert_close(deform_conv2d_native(*arguments), expected, rtol=1e-5, atol=1e-5)


@needs_native
def test_the_compiled_path_refuses_what_it_cannot_do(monkeypatch):
    case = Case()
    with pytest.raises(ValueError, match=r"float32 on the CPU, not in torch\.float64 on cpu"):
        case.run(case.tensors(), "native")
    monkeypatch.setenv(native.VARIABLE, "0")
    with pytest.raises(ValueError, match="switched off by LIKEWISE_NATIVE=0; use 'torch'"):
        case.run([t.detach().float() for t in case.tensors()], "native")


def test_gradients_agree_with_finite_differences():
    case = Case(batch=1, channels=4, size=(4, 5), out=2, groups=2, offset_groups=2)
    assert torch.autograd.gradcheck(lambda *t: case.run(t), case.tensors())


def test_gradients_of_gradients_agree_with_finite_differences():
    case = Case(batch=1, channels=2, size=(3, 4), out=2)
    assert torch.autograd.gradgradcheck(lambda *t: case.run(t), case.tensors())


@needs_native
@pytest.mark.parametrize("masked", [False, True])
def test_the_compiled_path_can_be_differentiated_twice(masked):
    case, found = Case(batch=1, channels=4, size=(4, 5), masked=masked), []
    tensors = [None if t is None else t.detach().float().requires_grad_() for t in case.tensors()]
    inputs = [t for t in tensors if t is not None]
    for backend in ("native", "torch"):
        first = torch.autograd.grad(case.run(tensors, backend).square().sum(), inputs, create_graph=True)
        penalty = sum(g.square().sum() for g in first)
        found.append(torch.autograd.grad(penalty, inputs, allow_unused=True))
    for ours, truth in zip(*found, strict=True):
        assert (ours is None) == (truth is None)
        if truth is not None:
            torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-4 * truth.abs().max().item())


@pytest.mark.parametrize("backend", ["torch", "torchvision", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize("strange", [math.nan, math.inf, -3e38])
def test_an_offset_that_is_not_finite_reads_nothing_and_has_no_gradient_in_any_backend(strange, backend):
    case = Case(masked=False)
    tensors = [None if t is None else t.detach().float() for t in case.tensors()]
    clean = tensors[1].clone()
    clean[0, :6, 2:5, 3] = 1e6
    tensors[1][0, :6, 2:5, 3] = strange
    found = []
    for offset in (tensors[1], clean):
        leaves = [None if t is None else t.clone().requires_grad_() for t in (tensors[0], offset, *tensors[2:])]
        out = case.run(leaves, backend)
        found.append((out, *torch.autograd.grad(out.square().sum(), [t for t in leaves if t is not None])))
    for ours, truth in zip(*found, strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, truth)


def test_the_meta_device_knows_its_shape():
    x, offset, weight, bias, mask = (t.detach().to("meta") for t in Case().tensors())
    for backend in (None, "torch"):
        out = deform_conv2d(x.float(), offset, weight, bias, padding=1, mask=mask, backend=backend)
        assert (out.shape, out.dtype) == ((2, 6, 9, 11), torch.float32)


@pytest.mark.parametrize("groups", [1, 4])
def test_without_offsets_it_is_an_ordinary_convolution(groups):
    x, weight = torch.randn(2, 8, 13, 7), torch.randn(4, 8 // groups, 3, 3)
    out = deform_conv2d(x, torch.zeros(2, 18, 7, 4), weight, stride=2, padding=1)
    torch.testing.assert_close(out, torch.conv2d(x, weight, stride=2, padding=1, groups=groups), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("far", [1e6, -1e6, 3e38, -3e38, math.nan, math.inf, -math.inf])
def test_samples_far_outside_are_zero_and_harm_nothing(far, dtype):
    x, offset, weight, bias, _ = (t.detach().to(dtype) for t in Case().tensors())
    x = torch.full_like(x, math.inf)
    out = deform_conv2d(x, torch.full_like(offset, far), weight, bias, padding=1)
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


class Network(torch.nn.Module):
    """A deformable layer as it is used: an ordinary convolution gives its offsets."""

    def __init__(self):
        super().__init__()
        self.places = torch.nn.Conv2d(8, 18, 3, padding=1)
        self.conv = DeformConv2d(8, 6, 3, padding=1)

    def forward(self, x):
        return self.conv(x, self.places(x))


BATCH, HEIGHT, WIDTH = (torch.export.Dim(name, min=2) for name in ("batch", "height", "width"))
ANY_SIZE = ({0: BATCH, 2: HEIGHT, 3: WIDTH},)


def test_it_compiles_into_one_graph_with_its_gradients():
    network, x = Network(), torch.randn(2, 8, 9, 11)
    torch.compiler.reset()
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    gradients = [torch.autograd.grad(f(x).square().sum(), list(network.parameters())) for f in (network, compiled)]
    torch.testing.assert_close(compiled(x), network(x))
    for eager, traced in zip(*gradients, strict=True):
        torch.testing.assert_close(traced, eager, rtol=1e-5, atol=1e-5 * eager.abs().max().item())


def test_it_is_exported_for_any_size():
    network = Network().eval()
    exported = torch.export.export(network, (torch.randn(2, 8, 9, 11),), dynamic_shapes=ANY_SIZE).module()
    x = torch.randn(3, 8, 6, 7)
    torch.testing.assert_close(exported(x), network(x))


def test_onnx_runtime_runs_it_as_one_operator():
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the [export] extra")
    pytest.importorskip("onnxscript", reason="needs the [export] extra")
    network = Network().eval()
    program = torch.onnx.export(
        network, (torch.randn(2, 8, 9, 11),), dynamo=True, opset_version=20, dynamic_shapes=ANY_SIZE, verbose=False
    )
    model = program.model_proto
    assert [node.op_type for node in model.graph.node] == ["Conv", "DeformConv"]
    assert [opset.version for opset in model.opset_import if opset.domain == ""] == [20]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = torch.randn(3, 8, 6, 7)
    (out,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(out), network(x).detach(), rtol=1e-4, atol=1e-5)


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
        ({"offset": torch.zeros(2, 0, 9, 11)}, r"offset has shape \(2, 0, 9, 11\)"),
        ({"weight": torch.zeros(6, 3, 3, 3)}, "8 input channels cannot be shared"),
        ({"weight": torch.zeros(6, 0, 3, 3)}, "kernels of 0 channels"),
        ({"weight": torch.zeros(6, 2, 3, 3)}, "6 output channels cannot be shared by 4 groups"),
        ({"weight": torch.zeros(6, 8, 13, 3)}, r"kernel \(13, 3\) does not fit into an input of \(9, 11\)"),
        ({"bias": torch.zeros(5)}, r"bias has shape \(5,\); expected \(6,\)"),
        ({"x": torch.zeros(8, 9, 11)}, "four axes"),
    ],
)
def test_shapes_that_do_not_belong_together_are_named(change, message):
    tensors = dict(zip(("x", "offset", "weight", "bias", "mask"), Case().tensors(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        Case().run(tensors.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"padding": "same"}, "padding is 'same'; expected a whole number, or two"),
        ({"stride": 0}, "stride is 0; expected at least 1"),
        ({"dilation": (1, 0)}, r"dilation is \(1, 0\); expected at least 1"),
        ({"padding": -1}, "padding is -1; expected at least 0"),
        ({"stride": 1.5}, r"stride is 1\.5; expected a whole number"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(settings, message):
    x, offset, weight = torch.zeros(1, 4, 5, 5), torch.zeros(1, 18, 5, 5), torch.zeros(2, 4, 3, 3)
    with pytest.raises(ValueError, match=message):
        deform_conv2d(x, offset, weight, **({"padding": 1} | settings))
    with pytest.raises(ValueError, match=message):
        DeformConv2d(4, 2, 3, **settings)


def test_whole_numbers_are_refused_and_precisions_may_differ():
    x, offset, weight = torch.rand(1, 4, 5, 5), torch.rand(1, 18, 5, 5), torch.rand(2, 4, 3, 3)
    expected = deform_conv2d(x, offset, weight, padding=1)
    assert torch.equal(deform_conv2d(x, offset.double(), weight.double(), padding=1), expected)
    with pytest.raises(ValueError, match=r"a tensor is torch\.int64; expected floating point"):
        deform_conv2d(x.long(), offset, weight, padding=1)


def test_the_environment_chooses_the_backend_and_a_wrong_name_is_refused(monkeypatch):
    monkeypatch.delenv("LIKEWISE_DEFORM_CONV", raising=False)
    assert active_backend("cpu") == ("native" if native.available() else "torch")
    assert (active_backend("cpu", torch.float64), active_backend("cuda")) == ("torch", "torchvision")
    monkeypatch.setenv("LIKEWISE_NATIVE", "0")
    assert active_backend("cpu") == "torch"
    monkeypatch.setenv("LIKEWISE_DEFORM_CONV", "torchvision")
    assert active_backend("cpu") == "torchvision"
    monkeypatch.setenv("LIKEWISE_DEFORM_CONV", "mmcv")
    with pytest.raises(ValueError, match="names no backend"):
        active_backend("cpu")
