"""Where a feature map's cells lie on the picture, found by watching a network run.

Every operation that PyTorch runs is seen, so nothing need be known of the network: convolutions and poolings change
the frame of what they are given, the rest (norms, activations, sums, products) keeps it.

Convention
----------
Cell (row, column) of a map has its centre at (row, column) * step + start on the network's input, whose first pixel's
centre is (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from likewise.errors import LikewiseError
from likewise.nn.deform import DeformableConv2d

Pair = tuple[float, float]


@dataclass(frozen=True)
class FeatureGrid:
    """How a map lies on the picture.

    Attributes:
        step: rows and columns of the input between neighbouring cells.
        start: row and column of the first cell's centre on the input.
        via_layer: number of the last deformable layer (in the order in which they ran) that the map comes through;
            -1: none.
    """

    step: Pair = (1.0, 1.0)
    start: Pair = (0.0, 0.0)
    via_layer: int = -1

    def after_window(self, kernel: Pair, stride: Pair, before: Pair, dilation: Pair = (1, 1)) -> FeatureGrid:
        """The frame of what a sliding window gives, with ``before`` cells of padding above and left."""
        centre = [d * (k - 1) / 2 - p for k, p, d in zip(kernel, before, dilation, strict=True)]
        return replace(
            self,
            step=(self.step[0] * stride[0], self.step[1] * stride[1]),
            start=(self.start[0] + self.step[0] * centre[0], self.start[1] + self.step[1] * centre[1]),
        )


@dataclass(frozen=True)
class Reading:
    """One call of a deformable layer: its input (1, C, H, W) and how that lies on the picture."""

    name: str
    layer: DeformableConv2d
    input: Tensor
    grid: FeatureGrid
    out: FeatureGrid
    size: tuple[int, int]


def deformable_readings(model: nn.Module, x: Tensor) -> list[Reading]:
    """Run a network once, in eval mode, and tell every call of a deformable layer in order.

    Args:
        model: holds `DeformableConv2d`; left in the mode it was in.
        x: (1, C, H, W) its input.
    """
    watcher = _Watcher()
    watcher.frames[x] = FeatureGrid()
    readings: list[Reading] = []

    def record(name: str, layer: DeformableConv2d, given: Tensor, out: Tensor) -> None:
        grid = watcher.frames.get(given)
        if grid is None:
            raise LikewiseError(f"{name}: its input cannot be followed back to the picture")
        left, _, top, _ = layer.margins(given.shape[-2], given.shape[-1])
        after = grid.after_window(_two(layer.kernel_size), _two(layer.stride), (top, left), _two(layer.dilation))
        after = replace(after, via_layer=len(readings))
        readings.append(Reading(name, layer, given.detach(), grid, after, (out.shape[-2], out.shape[-1])))
        watcher.frames[out] = after

    # not under inference_mode, which runs some operations whole that are seen in parts otherwise
    with torch.inference_mode(mode=False), torch.no_grad(), _evaluating(model), _recording(model, record), watcher:
        model(x)
    return readings


class _Watcher(TorchDispatchMode):
    """Keeps the frame of every tensor that comes from the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: Any = WeakTensorKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        framed = [t for t in _tensors(args) if t in self.frames]
        for result in _tensors((out,)) if framed else ():
            # of a product with a gate, or a sum with a vector, the frame is that of the map
            like = [t for t in framed if t.shape == result.shape] or framed
            source = max(like, key=lambda t: self.frames[t].via_layer)
            self.frames[result] = _after(func, args, self.frames[source], source, result)
        return out


def _after(func: Any, args: tuple[Any, ...], grid: FeatureGrid, source: Tensor, out: Tensor) -> FeatureGrid:
    """The frame of an operation's result."""
    name = func.overloadpacket.__name__
    if name == "convolution":
        kernel, (stride, padding, dilation) = args[1].shape[2:], args[3:6]
        return grid if args[6] else grid.after_window(_two(kernel), _two(stride), _two(padding), _two(dilation))
    if name in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel, stride, padding = args[1], args[2] if len(args) > 2 else (), args[3] if len(args) > 3 else (0,)
        return grid.after_window(_two(kernel), _two(stride or kernel), _two(padding))
    if name.endswith(("_pad2d", "_pad_nd")) and len(args[1]) == 4:
        return grid.after_window((1, 1), (1, 1), (args[1][2], args[1][0]))
    if name.startswith(("upsample", "_upsample", "adaptive_", "_adaptive_", "pixel_")):
        ratio = [a / b for a, b in zip(source.shape[-2:], out.shape[-2:], strict=True)]
        # edges stay where they are: the centre of the first cell moves by half the change of its size
        return grid.after_window(_two(ratio), _two(ratio), (0, 0))
    return grid


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, and afterwards every module's own mode again."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


@contextmanager
def _recording(model: nn.Module, record: Any) -> Iterator[None]:
    """Call ``record(name, layer, input, output)`` after every deformable layer."""

    def hook(name: str) -> Any:
        return lambda layer, given, out: record(name, layer, given[0], out)

    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, DeformableConv2d)]
    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _two(values: Any) -> tuple[int, int]:
    return values[0], values[-1]
