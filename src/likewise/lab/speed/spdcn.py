"""A whole picture through ``spdcn`` (paper size) against the same network on torchvision's operator.

Weights are random, and every offset branch is scaled so that its offsets spread over two pixels, as trained ones
do: fresh ones hardly move, and would be read from memory in order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
import torchvision.ops
from torch import Tensor, nn

from likewise.lab.speed.deform_conv import OFFSET_PIXELS, relative_error
from likewise.lab.speed.timing import Comparison, aimed, interleave
from likewise.methods.spdcn import SPDCN_PAPER
from likewise.methods.spdcn.scale_prior import ScalePriorConv
from likewise.ops.deform.conv2d import DeformConv2d, active_backend
from likewise.types import PromptBatch

SIZE = (384, 576)
QUICK_SIZE = (32, 48)
AIM = 3.0
TOLERANCE = 1e-4


class TorchvisionDeformConv2d(nn.Module):
    """A layer's weights, run by torchvision's operator."""

    def __init__(self, layer: DeformConv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, input: Tensor, offset: Tensor) -> Tensor:  # noqa: A002  # the replaced layer's name
        """The layer's output."""
        its = self.layer
        return torchvision.ops.deform_conv2d(input, offset, its.weight, its.bias, its.stride, its.padding, its.dilation)


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """One row: the network in eval mode, without gradients, three exemplars."""
    height, width = QUICK_SIZE if quick else SIZE
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[2.0, 3.0, 18.0, 17.0], [20.0, 8.0, 34.0, 25.0], [9.0, 12.0, 27.0, 30.0]])
    prompt = PromptBatch(exemplars=(boxes,))
    model = spread_offsets(SPDCN_PAPER.build().eval(), image, prompt)
    mine, theirs = _run(model, image, prompt), _run(on_torchvision(model), image, prompt)
    seconds = interleave(mine, theirs, 1 if quick else 3)
    yield Comparison(
        what=f"spdcn ({active_backend()}), one picture",
        shape=f"{height} × {width}",
        against="spdcn on torchvision",
        threads=threads,
        ratio=seconds[1] / seconds[0],
        error=relative_error([mine()], [theirs()]),
        aim=aimed(AIM, threads, quick=quick),
        tolerance=TOLERANCE,
    )


def on_torchvision(model: nn.Module) -> nn.Module:
    """A copy whose deformable convolutions are torchvision's."""
    other = copy.deepcopy(model)
    for block in _blocks(other):
        block.conv = TorchvisionDeformConv2d(block.conv)  # type: ignore[assignment]  # it is called alike
    return other


def spread_offsets(model: nn.Module, image: Tensor, prompt: PromptBatch) -> nn.Module:
    """Scale the last layer of every offset branch, in place, so that on ``image`` its offsets spread as said above."""
    hooks = [block.fuse[-1].register_forward_hook(_scale_to_spread) for block in _blocks(model)]
    _run(model, image, prompt)()
    for hook in hooks:
        hook.remove()
    return model


def _scale_to_spread(layer: nn.Module, _: tuple[Tensor, ...], offset: Tensor) -> Tensor:
    factor = OFFSET_PIXELS / offset.std()
    layer.get_parameter("weight").data.mul_(factor)
    layer.get_parameter("bias").data.mul_(factor)
    return offset * factor


def _blocks(model: nn.Module) -> Iterator[ScalePriorConv]:
    return (block for block in model.modules() if isinstance(block, ScalePriorConv))


def _run(model: nn.Module, image: Tensor, prompt: PromptBatch) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.inference_mode():
            density: Tensor = model(image, prompt)
        return density

    return run
