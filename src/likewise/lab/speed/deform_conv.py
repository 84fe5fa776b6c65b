"""Deformable convolution against torchvision's operator, and against an ordinary convolution of the same shape.

3 x 3 kernels, one picture, as many output as input channels; offsets are drawn from N(0, 2 pixels), so that samples
of one place lie in other cells than its neighbours', as in a trained network.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchvision.ops
from torch import Tensor

from likewise.lab.speed.timing import Comparison, aimed, interleave
from likewise.ops.deform.conv2d import Backend, active_backend, deform_conv2d

#: Largest difference to torchvision that is allowed, relative to the largest value.
TOLERANCE = 1e-5
#: An ordinary convolution may be this much faster in the forward pass.
PLAIN_AIM = 1 / 1.6
OFFSET_PIXELS = 2.0


@dataclass(frozen=True)
class Shape:
    """One problem: channels in and out, side of the picture, and the ratios to torchvision that are asked for."""

    channels: int
    side: int
    forward_aim: float
    backward_aim: float

    def __str__(self) -> str:
        return f"C = {self.channels}, {self.side} × {self.side}"


SHAPES = (Shape(64, 96, 6, 12), Shape(128, 96, 4, 9), Shape(256, 48, 3, 6), Shape(512, 48, 2, 4))
QUICK_SHAPES = (Shape(8, 12, 6, 12),)


@dataclass(frozen=True)
class Problem:
    """Tensors that want gradients, and the gradient that reaches the output."""

    image: Tensor
    offset: Tensor
    weight: Tensor
    gradient: Tensor

    @classmethod
    def draw(cls, shape: Shape) -> Problem:
        """The same random numbers for everybody, whatever was drawn before."""
        generator = torch.Generator().manual_seed(0)
        channels, side = shape.channels, shape.side
        sizes = ((1, channels, side, side), (1, 18, side, side), (channels, channels, 3, 3), (1, channels, side, side))
        image, offset, weight, gradient = (torch.randn(size, generator=generator) for size in sizes)
        offset, weight = OFFSET_PIXELS * offset, weight / (9 * channels) ** 0.5
        return cls(image.requires_grad_(), offset.requires_grad_(), weight.requires_grad_(), gradient)


#: One operator on a problem's tensors: its output.
Operator = Callable[[Problem], Tensor]
#: An operator's forward pass, or both passes: what it gives.
Pass = Callable[[Operator, Problem], Sequence[Tensor]]


def ours(problem: Problem, backend: Backend | None = None) -> Tensor:
    """`likewise.ops.deform.conv2d.deform_conv2d`."""
    return deform_conv2d(problem.image, problem.offset, problem.weight, padding=1, backend=backend)


def torchvisions(problem: Problem) -> Tensor:
    """The operator that is compared with."""
    return torchvision.ops.deform_conv2d(problem.image, problem.offset, problem.weight, padding=1)


def plain(problem: Problem) -> Tensor:
    """An ordinary convolution: nothing is sampled, the offsets go unused."""
    return F.conv2d(problem.image, problem.weight, padding=1)


def forward(operator: Operator, problem: Problem) -> Sequence[Tensor]:
    """The output, with nothing kept for a backward pass."""
    with torch.no_grad():
        return (operator(problem),)


def forward_backward(operator: Operator, problem: Problem) -> Sequence[Tensor]:
    """The gradients of image, offset and weight; where an operator does not use the offset, of the others."""
    leaves = [problem.image, problem.offset, problem.weight]
    out = operator(problem)
    return [g for g in torch.autograd.grad(out, leaves, problem.gradient, allow_unused=True) if g is not None]


#: Name of a pass -> the pass, and how many turns it is timed in.
PASSES: dict[str, tuple[Pass, int]] = {"forward": (forward, 15), "forward + backward": (forward_backward, 7)}


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """The default implementation, then the exact torch path where that is another one."""
    default = active_backend()
    for backend in dict.fromkeys((default, "torch")):
        for shape in QUICK_SHAPES if quick else SHAPES:
            problem = Problem.draw(shape)
            for name in PASSES:
                yield from _against_both(problem, shape, name, backend, threads, asked=backend == default, quick=quick)


def relative_error(values: Sequence[Tensor], truths: Sequence[Tensor]) -> float:
    """The largest difference of a tensor to its truth, relative to the truth's largest value; the worst of several."""
    pairs = zip(values, truths, strict=True)
    return max(float((value - truth).abs().max() / truth.abs().max()) for value, truth in pairs)


def _against_both(
    problem: Problem, shape: Shape, name: str, backend: Backend, threads: int, *, asked: bool, quick: bool
) -> Iterator[Comparison]:
    run, rounds = PASSES[name]
    mine = functools.partial(run, functools.partial(ours, backend=backend), problem)
    theirs = functools.partial(run, torchvisions, problem)
    aims = {"torchvision": shape.forward_aim if run is forward else shape.backward_aim}
    if run is forward:
        aims["conv2d"] = PLAIN_AIM
    peers = {"torchvision": theirs, "conv2d": functools.partial(run, plain, problem)}
    for against, peer in peers.items():
        seconds = interleave(mine, peer, 2 if quick else rounds)
        same = against == "torchvision"
        yield Comparison(
            what=f"deform_conv2d ({backend}), {name}",
            shape=str(shape),
            against=against,
            threads=threads,
            ratio=seconds[1] / seconds[0],
            error=relative_error(mine(), theirs()) if same else None,
            aim=aimed(aims[against], threads, quick=quick) if asked and against in aims else None,
            tolerance=TOLERANCE if same else None,
        )
