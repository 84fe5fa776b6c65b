"""Deformable convolution on the CPU through `likewise.native`, as an operator that torch's compilers know.

`likewise.ops.deform.conv2d.deform_conv2d` says what is computed and checks the shapes; here everything is float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from likewise import native
from likewise.ops.deform.conv2d_torch import deform_conv2d_torch


@torch.library.custom_op("likewise::deform_conv2d", mutates_args=(), device_types="cpu")
def deform_conv2d_native(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """See `likewise.ops.deform.conv2d.deform_conv2d`; float32 on the CPU."""
    if not native.available():  # a graph exported where it was
        return deform_conv2d_torch(x, offset, weight, bias, mask, stride, padding, dilation)
    plan = _Plan(x, offset, weight, stride, padding, dilation)
    out = _empty_out(x, offset, weight)
    flat = out.permute(0, 2, 3, 1) if _channels_last(x) else out
    fields = [None if t is None else t.contiguous() for t in (offset, weight, bias, mask)]
    packed, scratch = x.new_empty(plan.packed), x.new_zeros(plan.threads, plan.scratch)
    native.call("deform_conv2d_forward", plan.geometry, plan.rows(x), *fields, packed, scratch, flat, plan.threads)
    return out


@torch.library.custom_op("likewise::deform_conv2d_backward", mutates_args=(), device_types="cpu")
def _backward(
    grad: Tensor,
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of input, offset (with it mask) and weight; those not ``wanted`` are empty."""
    plan, (for_x, for_offset, for_weight) = _Plan(x, offset, weight, stride, padding, dilation), wanted
    _, grad_offset, grad_mask, _ = results = _empty_results(x, offset, weight, mask, wanted)
    grad_offset.zero_(), grad_mask.zero_()  # these are added to
    grad_rows = x.new_zeros(plan.threads if for_x else 0, plan.row_size)
    grad_packed = x.new_zeros(plan.threads if for_weight else 0, plan.packed_gradient)
    given = [t if t.numel() else None for t in (grad_rows, grad_packed, *results)]
    fields = [None if t is None else t.contiguous() for t in (offset, weight, mask, grad)]
    packed = x.new_empty(plan.packed_turned if for_x or for_offset else 0)
    scratch = x.new_zeros(plan.threads, plan.scratch_backward)
    native.call("deform_conv2d_backward", plan.geometry, plan.rows(x), *fields, packed, scratch, *given, plan.threads)
    return results


class _Plan:
    """The sizes that the compiled functions want to know, and those of the buffers that they want to have."""

    def __init__(
        self,
        x: Tensor,
        offset: Tensor,
        weight: Tensor,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
    ) -> None:
        channels = x.shape[1]
        out_channels, group_channels, *kernel = weight.shape
        groups = (channels // group_channels, offset.shape[1] // (2 * kernel[0] * kernel[1]))
        sizes = [
            _channels_last(x),
            *x.shape,
            out_channels,
            *kernel,
            *stride,
            *padding,
            *dilation,
            *groups,
            *offset.shape[2:],
        ]
        self.geometry, wanted = torch.tensor(sizes), torch.empty(5, dtype=torch.int64)
        native.call("deform_conv2d_sizes", self.geometry, wanted)
        self.packed, self.packed_turned, self.scratch, self.scratch_backward, self.packed_gradient = wanted.tolist()
        self.threads, self.row_size = torch.get_num_threads(), math.prod(x.shape[1:])

    def rows(self, x: Tensor) -> Tensor:
        """The pictures' pixels one after the other, channels last."""
        if _channels_last(x):
            return x.permute(0, 2, 3, 1)
        rows = x.new_empty(x.shape[0], self.row_size)
        native.call("deform_conv2d_rows", self.geometry, x.contiguous(), rows, self.threads)
        return rows


def _channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _empty_out(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """The result, in the layout of the pictures."""
    layout = torch.channels_last if _channels_last(x) else torch.contiguous_format
    shape = (x.shape[0], weight.shape[0], *offset.shape[2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


@deform_conv2d_native.register_fake
def _(x: Tensor, offset: Tensor, weight: Tensor, *_: object) -> Tensor:
    return _empty_out(x, offset, weight)


@_backward.register_fake
def _(grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    return _empty_results(x, offset, weight, mask, wanted=rest[-1])


def _empty_results(
    x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, wanted: Sequence[bool]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    def like(tensor: Tensor | None, want: bool) -> Tensor:
        return x.new_empty(tensor.shape if want and tensor is not None else 0)

    for_x, for_offset, for_weight = wanted
    return like(x, for_x), like(offset, for_offset), like(mask, for_offset), like(weight, for_weight)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, offset, weight, _, mask, *ctx.grid = inputs
    ctx.save_for_backward(x, offset, weight, mask)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, offset, weight, mask = ctx.saved_tensors
    needs = ctx.needs_input_grad
    wanted = [needs[0], needs[1] or needs[4], needs[2]]
    grad_x, grad_offset, grad_mask, grad_weight = _backward(grad, x, offset, weight, mask, *ctx.grid, wanted)
    grad_bias = grad.sum((0, 2, 3)) if needs[3] else None
    found = (grad_x, grad_offset, grad_weight, grad_bias, grad_mask)
    return *(g if need else None for g, need in zip(found, needs[:5], strict=True)), None, None, None


deform_conv2d_native.register_autograd(_gradients, setup_context=_remember)


def _remember_all(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.stride, ctx.padding, ctx.dilation, ctx.wanted = inputs
    ctx.save_for_backward(*tensors)


def _second_gradients(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of the gradients, by the exact torch path."""
    saved: tuple[Tensor, ...] = ctx.saved_tensors
    with torch.enable_grad():
        grad, x, offset, weight = (t.detach().requires_grad_() for t in saved[:4])
        mask = None if saved[4] is None else saved[4].detach().requires_grad_()
        leaves = (grad, x, offset, weight, mask)
        out = deform_conv2d_torch(x, offset, weight, None, mask, ctx.stride, ctx.padding, ctx.dilation)
        inputs = [t for t in (x, offset, mask, weight) if t is not None]
        first = iter(torch.autograd.grad(out, inputs, grad, create_graph=True))
        results = [None if t is None else next(first) for t in (x, offset, mask, weight)]
    wanted = (ctx.wanted[0], ctx.wanted[1], ctx.wanted[1], ctx.wanted[2])
    pairs = [(r, g) for r, g, want in zip(results, grads, wanted, strict=True) if want and r is not None]
    found = iter(
        torch.autograd.grad(
            [r for r, _ in pairs], [t for t in leaves if t is not None], [g for _, g in pairs], allow_unused=True
        )
    )
    return *(None if t is None else next(found) for t in leaves), None, None, None, None


_backward.register_autograd(_second_gradients, setup_context=_remember_all)
