"""Grouped deformable aggregation on the CPU through `likewise.native`, as an operator that torch's compilers know.

`likewise.ops.deform.grouped.dcnv4` says what is computed and checks the shapes; here everything is float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from likewise import native
from likewise.ops.deform.grouped_torch import deform_grouped_torch


@torch.library.custom_op("likewise::deform_grouped", mutates_args=(), device_types="cpu")
def deform_grouped_native(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    points_x: Sequence[float],
    points_y: Sequence[float],
    stride: Sequence[int],
    padding: Sequence[int],
    groups: int,
    scale: float,
) -> Tensor:
    """See `likewise.ops.deform.grouped_torch.deform_grouped_torch`; float32 on the CPU."""
    if not native.available():  # a graph exported where it was
        torchs = deform_grouped_torch(x, offset, mask, points_x, points_y, stride, padding, groups, scale)
        return torchs.contiguous(memory_format=_layout(x))
    plan = _Plan(x, offset, mask, points_x, points_y, stride, padding, groups)
    out = _like(x, (x.shape[0], x.shape[1], *offset.shape[2:]))
    native.call(
        "deform_grouped_forward",
        *(plan.geometry, plan.points, float(scale), plan.rows(x), plan.offset, plan.mask),
        *(plan.scratch(), _flat(out), plan.threads),
    )
    return out


@torch.library.custom_op("likewise::deform_grouped_backward", mutates_args=(), device_types="cpu")
def _backward(
    grad: Tensor,
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    points_x: Sequence[float],
    points_y: Sequence[float],
    stride: Sequence[int],
    padding: Sequence[int],
    groups: int,
    scale: float,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of input, and of offset and mask; those not ``wanted`` are empty."""
    plan = _Plan(x, offset, mask, points_x, points_y, stride, padding, groups)
    grad_x, grad_offset, grad_mask = results = _empty_results(x, offset, mask, wanted)
    rows = x.new_zeros(x.numel() if wanted[0] else 0)
    given = [_flat(t) if t.numel() else None for t in (grad_offset, grad_mask)]
    native.call(
        "deform_grouped_backward",
        *(plan.geometry, plan.points, float(scale), plan.rows(x), plan.offset, plan.mask),
        *(_flat(grad.contiguous(memory_format=_layout(x))), plan.scratch(), rows if wanted[0] else None),
        *(*given, plan.threads),
    )
    if wanted[0]:
        plan.give_back(rows, grad_x)
    return results


class _Plan:
    """The sizes that the compiled functions want to know, and the arrays that they read."""

    def __init__(
        self,
        x: Tensor,
        offset: Tensor,
        mask: Tensor,
        points_x: Sequence[float],
        points_y: Sequence[float],
        stride: Sequence[int],
        padding: Sequence[int],
        groups: int,
    ) -> None:
        sizes = [*x.shape, groups, len(points_x), *offset.shape[2:], *stride, *padding]
        self.geometry = torch.tensor([*sizes, *map(_channels_last, (x, offset, mask))])
        self.points = torch.tensor([list(points_x), list(points_y)], dtype=torch.float32)
        self.offset, self.mask = (_flat(t.contiguous(memory_format=_layout(t))) for t in (offset, mask))
        self.sizes = torch.tensor([x.shape[0] * groups, x.shape[1] // groups, x.shape[2] * x.shape[3]])
        self.threads = torch.get_num_threads()

    def scratch(self) -> Tensor:
        """Room for every thread."""
        size = torch.empty(1, dtype=torch.int64)
        native.call("deform_grouped_sizes", self.geometry, size)
        return torch.empty(self.threads, int(size))

    def rows(self, x: Tensor) -> Tensor:
        """The pictures' pixels one after the other: channels last, each group by itself where they come as planes."""
        if _channels_last(x):
            return _flat(x)
        rows = torch.empty(x.numel())
        native.call("planes_to_rows", self.sizes, x.contiguous(), rows, self.threads)
        return rows

    def give_back(self, rows: Tensor, planes: Tensor) -> None:
        """Write rows into a tensor of the pictures' layout."""
        if _channels_last(planes):
            _flat(planes).copy_(rows.view_as(_flat(planes)))
        else:
            native.call("rows_to_planes", self.sizes, rows, planes, self.threads)


def _channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _layout(x: Tensor) -> torch.memory_format:
    return torch.channels_last if _channels_last(x) else torch.contiguous_format


def _flat(x: Tensor) -> Tensor:
    """The same memory as a contiguous tensor."""
    return x.permute(0, 2, 3, 1) if _channels_last(x) else x


def _like(x: Tensor, shape: Sequence[int]) -> Tensor:
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_layout(x))


@deform_grouped_native.register_fake
def _(x: Tensor, offset: Tensor, *_: object) -> Tensor:
    return _like(x, (x.shape[0], x.shape[1], *offset.shape[2:]))


@_backward.register_fake
def _(grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _empty_results(x, offset, mask, wanted=rest[-1])


def _empty_results(x: Tensor, offset: Tensor, mask: Tensor, wanted: Sequence[bool]) -> tuple[Tensor, Tensor, Tensor]:
    first, *fields = (
        _like(t, t.shape) if want else t.new_empty(0)
        for t, want in ((x, wanted[0]), (offset, wanted[1]), (mask, wanted[1]))
    )
    return first, fields[0], fields[1]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, offset, mask, *ctx.grid = inputs
    ctx.save_for_backward(x, offset, mask)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    needs = ctx.needs_input_grad[:3]
    found = _backward(grad, *ctx.saved_tensors, *ctx.grid, [needs[0], needs[1] or needs[2]])
    return *(g if need else None for g, need in zip(found, needs, strict=True)), *([None] * 6)


deform_grouped_native.register_autograd(_gradients, setup_context=_remember)


def _remember_all(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    grad, x, offset, mask, *ctx.grid, ctx.wanted = inputs
    ctx.save_for_backward(grad, x, offset, mask)


def _second_gradients(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of the gradients, by the exact torch path."""
    with torch.enable_grad():
        leaves = [t.detach().requires_grad_() for t in ctx.saved_tensors]
        out = deform_grouped_torch(*leaves[1:], *ctx.grid)
        results = torch.autograd.grad(out, leaves[1:], leaves[0], create_graph=True)
    wanted = (ctx.wanted[0], ctx.wanted[1], ctx.wanted[1])
    pairs = [(r, g) for r, g, want in zip(results, grads, wanted, strict=True) if want]
    found = torch.autograd.grad([r for r, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True)
    return *found, *([None] * 7)


_backward.register_autograd(_second_gradients, setup_context=_remember_all)
