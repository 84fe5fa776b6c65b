"""DCNv3's and DCNv4's operators against the same in plain torch, as it is written where there is no operator.

That way takes all samples with torch's `grid_sample`, one picture a group, then multiplies and adds. 3 x 3 kernels,
groups of 16 channels, one picture; offsets are drawn from N(0, 2 pixels), as for `deform_conv2d`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.lab.speed.deform_conv import OFFSET_PIXELS, relative_error
from likewise.lab.speed.timing import Comparison, aimed, interleave
from likewise.ops.deform.grouped import dcnv3, dcnv4

GROUP_CHANNELS = 16
POINTS = 9
#: Wanted of both operators and passes.
AIM = 4.0
TOLERANCE = 1e-4
#: Channels and the side of the picture.
SHAPES = ((64, 96), (128, 48))
QUICK_SHAPES = ((32, 8),)


@dataclass(frozen=True)
class Problem:
    """Tensors that want gradients, and the gradient that reaches the output."""

    image: Tensor
    offset: Tensor
    mask: Tensor
    gradient: Tensor

    @classmethod
    def draw(cls, channels: int, side: int) -> Problem:
        """The same random numbers for everybody."""
        generator, groups = torch.Generator().manual_seed(0), channels // GROUP_CHANNELS
        many = (channels, 2 * groups * POINTS, groups * POINTS, channels)
        image, offset, mask, gradient = (torch.randn(1, n, side, side, generator=generator) for n in many)
        return cls(image.requires_grad_(), (OFFSET_PIXELS * offset).requires_grad_(), mask.requires_grad_(), gradient)

    @property
    def groups(self) -> int:
        """Groups of channels."""
        return self.image.shape[1] // GROUP_CHANNELS


Operator = Callable[[Problem], Tensor]


def sampled(problem: Problem, mask: Tensor) -> Tensor:
    """The operator by `grid_sample`: places from -1 to 1 over the padded picture, every sample kept, then one sum."""
    (batch, channels, height, width), groups = problem.image.shape, problem.groups
    padded = F.pad(problem.image, (1, 1, 1, 1)).reshape(batch * groups, GROUP_CHANNELS, height + 2, width + 2)
    rows, columns = torch.meshgrid(torch.arange(1.0, height + 1), torch.arange(1.0, width + 1), indexing="ij")
    centres = torch.stack([columns, rows], -1).view(1, 1, height * width, 1, 2)
    across, along = torch.meshgrid(torch.arange(-1.0, 2), torch.arange(-1.0, 2), indexing="ij")
    points = torch.stack([across, along], -1).view(1, 1, 1, POINTS, 2)
    moved = problem.offset.view(batch, groups, POINTS, 2, height * width).permute(0, 1, 4, 2, 3)
    places = 2 * (centres + points + moved + 0.5) / torch.tensor([width + 2.0, height + 2.0]) - 1
    samples = F.grid_sample(padded, places.view(batch * groups, height * width, POINTS, 2), align_corners=False)
    shares = mask.view(batch * groups, 1, POINTS, height * width).transpose(2, 3)
    return (samples * shares).sum(-1).view(batch, channels, height, width)


#: Name -> ours, and the same in plain torch.
OPERATORS: dict[str, tuple[Operator, Operator]] = {
    "dcnv3": (
        lambda p: dcnv3(p.image, p.offset, p.mask, groups=p.groups),
        lambda p: sampled(p, p.mask.unflatten(1, (p.groups, POINTS)).softmax(2).flatten(1, 2)),
    ),
    "dcnv4": (lambda p: dcnv4(p.image, p.offset, p.mask, groups=p.groups), lambda p: sampled(p, p.mask)),
}


def forward(operator: Operator, problem: Problem) -> Sequence[Tensor]:
    """The output, with nothing kept for a backward pass."""
    with torch.no_grad():
        return (operator(problem),)


def forward_backward(operator: Operator, problem: Problem) -> Sequence[Tensor]:
    """The gradients of image, offset and mask."""
    return torch.autograd.grad(operator(problem), (problem.image, problem.offset, problem.mask), problem.gradient)


def compare(threads: int, *, quick: bool) -> Iterator[Comparison]:
    """A row for each operator, shape and pass."""
    for name, (ours, theirs) in OPERATORS.items():
        for channels, side in QUICK_SHAPES if quick else SHAPES:
            problem = Problem.draw(channels, side)
            for label, run in (("forward", forward), ("forward + backward", forward_backward)):
                mine, peer = (functools.partial(run, way, problem) for way in (ours, theirs))
                seconds = interleave(mine, peer, 2 if quick else 11)
                yield Comparison(
                    what=f"{name}, {label}",
                    shape=f"C = {channels}, {problem.groups} groups, {side} × {side}",
                    against="grid_sample",
                    threads=threads,
                    ratio=seconds[1] / seconds[0],
                    error=relative_error(mine(), peer()),
                    aim=aimed(AIM, threads, quick=quick),
                    tolerance=TOLERANCE,
                )
