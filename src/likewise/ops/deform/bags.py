"""Weighted sums of rows of a table: how every deformable operator reads its input in plain torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_bags(table: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    """Sum rows of a table by bags: ``out[p] = sum_s weights[p, s] table[indices[p, s]]``.

    Differentiable in table and weights, any number of times. Torch's own bag of embeddings is as fast, but cannot be
    differentiated twice: its gradient is used only where nobody asks for the gradient's own.

    Args:
        table: (R, C).
        indices: (P, S) whole numbers from 0 to R - 1.
        weights: (P, S) of the table's dtype.

    Returns:
        (P, C).
    """
    # A compiler traces one call of torch's; it never asks for the gradient of a gradient.
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return _bags(table, indices, weights)
    out: Tensor = _WeightedBags.apply(table, indices, weights)
    return out


def finite(places: Tensor) -> Tensor:
    """Places as they are; those that are not finite become -2, which lies outside of everything and has no gradient."""
    return torch.where(places.isfinite(), places, -2.0)


def _bags(table: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    if table.is_meta:  # torch's bags want to read the indices
        return table.new_empty(indices.shape[0], table.shape[1])
    return F.embedding_bag(indices, table, mode="sum", per_sample_weights=weights)


class _WeightedBags(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(table, indices, weights)
        return _bags(table, indices, weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        table, indices, weights = ctx.saved_tensors
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[2])
        how = _differentiable_gradients if torch.is_grad_enabled() or table.is_meta else _gradients
        grad_table, grad_weights = how(grad, table, indices, weights, wanted)
        return grad_table, None, grad_weights


def _gradients(
    grad: Tensor, table: Tensor, indices: Tensor, weights: Tensor, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """As torch's own bag has them, which keeps no rows: it is run again to have its gradient."""
    with torch.enable_grad():
        leaves = [t.detach().requires_grad_(want) for t, want in zip((table, weights), wanted, strict=True)]
        out = _bags(leaves[0], indices, leaves[1])
    found = iter(torch.autograd.grad(out, [leaf for leaf in leaves if leaf.requires_grad], grad))
    grad_table, grad_weights = (next(found) if want else None for want in wanted)
    return grad_table, grad_weights


def _differentiable_gradients(
    grad: Tensor, table: Tensor, indices: Tensor, weights: Tensor, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The same by operations that autograd knows."""
    grad_table = grad_weights = None
    if wanted[0]:
        rows = (grad[:, None] * weights[:, :, None]).flatten(0, 1)
        grad_table = torch.zeros_like(table).index_add(0, indices.flatten(), rows)
    if wanted[1]:
        grad_weights = (grad[:, None] * table[indices]).sum(-1)
    return grad_table, grad_weights
