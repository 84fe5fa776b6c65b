"""What a transport plan's sums are as functions of the weights and the cost, its potentials held fixed.

With K = exp((f_i + g_j - C_ij) / eps) the plan is P_ij = a_i b_j K_ij. Every function here takes and gives vectors;
what it needs of K beyond the sums that the solver leaves behind it takes from the cost, block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from likewise.ops.checks import differentiable_once, shapes_only
from likewise.ops.transport.costs import Cost
from likewise.ops.transport.solver import LOG_ZERO


@dataclass(frozen=True, eq=False)
class Kernel:
    """K of a solved problem, by its factors.

    Attributes:
        cost: (M, N).
        eps: strength of the entropy.
        f: (M,) potential.
        g: (N,) potential.
        log_a: (M,) logarithms of the weights, `LOG_ZERO` for 0.
        log_b: (N,) the same.
        row_sums: (M,) K b.
        column_sums: (N,) K^T a.
    """

    cost: Cost
    eps: float
    f: Tensor
    g: Tensor
    log_a: Tensor
    log_b: Tensor
    row_sums: Tensor
    column_sums: Tensor

    @classmethod
    def of(
        cls, cost: Cost, eps: float, f: Tensor, g: Tensor, a: Tensor, b: Tensor, row_sums: Tensor, column_sums: Tensor
    ) -> Kernel:
        """From the weights themselves."""
        return cls(cost, eps, f, g, log_weights(a), log_weights(b), row_sums, column_sums)

    def transposed(self) -> Kernel:
        """The same with rows and columns exchanged."""
        return Kernel(
            self.cost.transposed(), self.eps, self.g, self.f, self.log_b, self.log_a, self.column_sums, self.row_sums
        )

    def row_means(self, v: Tensor) -> Tensor:
        """sum_j K_ij b_j v_j, shape (M,)."""
        if shapes_only(self.f):
            return torch.empty_like(self.f)
        return self.row_sums * self.cost.means(self.eps, self._exponents(), v)

    def row_logs(self) -> Tensor:
        """Mean of log(K_ij b_j) over j with weights K_ij b_j, shape (M,)."""
        if shapes_only(self.f):
            return torch.empty_like(self.f)
        return self.f / self.eps + self.cost.means(self.eps, self._exponents(), None)

    def vjp(self) -> tuple[Tensor, ...]:
        """Gradients of sum_ij P_ij C_ij in the cost's parameters, P held fixed."""
        if shapes_only(self.f):
            return tuple(torch.empty_like(p) for p in self.cost.parameters)
        return self.cost.vjp(self.eps, self.log_a + self.f / self.eps, self._exponents())

    def dense(self) -> Tensor:
        """K itself, (M, N)."""
        return ((self.f[:, None] + self.g - self.cost.matrix()) / self.eps).exp()

    def _exponents(self) -> Tensor:
        return self.log_b + self.g / self.eps


def kernel(cost: Cost, eps: float, f: Tensor, g: Tensor, a: Tensor, b: Tensor) -> Kernel:
    """`Kernel` for potentials of any origin: its sums are taken here."""
    f, g = f.detach(), g.detach()
    rows, columns = cost.rows(eps, log_weights(b) + g / eps), cost.columns(eps, log_weights(a) + f / eps)
    return Kernel.of(cost.detached(), eps, f, g, a, b, ((f - rows) / eps).exp(), ((g - columns) / eps).exp())


def log_weights(weights: Tensor) -> Tensor:
    """Logarithms of weights (n,), finite where these are 0."""
    return weights.detach().log().clamp(min=LOG_ZERO)


def total_mass(kernel: Kernel, a: Tensor, b: Tensor) -> Tensor:
    """sum_ij P_ij; its gradient also reaches the cost's parameters."""
    return torch.as_tensor(_Mass.apply(kernel, a, b, *kernel.cost.parameters))


def marginals(kernel: Kernel, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """P 1 (M,) and P^T 1 (N,)."""
    sent, received = _Marginals.apply(kernel, a, b)
    return sent, received


def entropy(kernel: Kernel, a: Tensor, b: Tensor) -> Tensor:
    """sum_ij P_ij log P_ij."""
    return torch.as_tensor(_Entropy.apply(kernel, a, b))


class _Mass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Kernel, a: Tensor, b: Tensor, *parameters: Tensor) -> Tensor:
        ctx.kernel = kernel
        return b @ kernel.column_sums

    @staticmethod
    @differentiable_once("sinkhorn")
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kernel: Kernel = ctx.kernel
        pulls: tuple[Tensor | None, ...] = tuple(None for _ in kernel.cost.parameters)
        if any(ctx.needs_input_grad[3:]):
            pulls = tuple(vjp * (-grad / kernel.eps) for vjp in kernel.vjp())
        return None, grad * kernel.row_sums, grad * kernel.column_sums, *pulls


class _Marginals(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Kernel, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        ctx.kernel = kernel
        ctx.set_materialize_grads(False)
        return a * kernel.row_sums, b * kernel.column_sums

    @staticmethod
    @differentiable_once("sinkhorn")
    def backward(ctx: Any, sent: Tensor | None, received: Tensor | None) -> tuple[Tensor | None, ...]:
        kernel: Kernel = ctx.kernel
        to_a = _gathered(kernel, sent, received) if ctx.needs_input_grad[1] else None
        to_b = _gathered(kernel.transposed(), received, sent) if ctx.needs_input_grad[2] else None
        return None, to_a, to_b


def _gathered(kernel: Kernel, own: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Gradient in the rows' weights of what rows send (``own``) and columns receive (``other``)."""
    direct = None if own is None else own * kernel.row_sums
    if other is None:
        return direct
    across = kernel.row_means(other.contiguous())
    return across if direct is None else direct + across


class _Entropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Kernel, a: Tensor, b: Tensor) -> Tensor:
        ctx.kernel, ctx.logs = kernel, kernel.row_logs()
        return (torch.xlogy(a, a) + a * ctx.logs) @ kernel.row_sums

    @staticmethod
    @differentiable_once("sinkhorn")
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kernel: Kernel = ctx.kernel
        to_a = grad * kernel.row_sums * (kernel.log_a + ctx.logs + 1)
        if not ctx.needs_input_grad[2]:
            return None, to_a, None
        transposed = kernel.transposed()
        return None, to_a, grad * transposed.row_sums * (transposed.log_a + transposed.row_logs() + 1)
