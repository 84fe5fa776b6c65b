"""What all operators ask of their arguments: numbers that are finite, and no autocast where digits count.

Convention
----------
What a caller brings (costs, points, boxes, weights, sizes, masks, corners) is checked at the door. Maps that networks
make (features, densities, logits) are not: training in half precision overflows now and then, its scaler looks for
results that are not finite, and an error would end the run. Such a value makes the result of its own picture not
finite, and no other's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from likewise.errors import LikewiseError

Backward = TypeVar("Backward", bound=Callable[..., Any])


def has_values(*tensors: Tensor) -> bool:
    """Whether numbers can be looked at: not on the meta device, in fake tensors, nor while a graph is taken down."""
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return False
    return not any(t.is_meta or isinstance(t, FakeTensor) or torch._is_functional_tensor(t) for t in tensors)


def shapes_only(*tensors: Tensor) -> bool:
    """Whether nothing but shapes is asked for: on the meta device and in fake tensors, unless a graph is taken down.

    An operator whose work hangs on its values then gives results of the right shapes at once.
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None or get_proxy_mode() is not None:
        return False
    return any(t.is_meta or isinstance(t, FakeTensor) for t in tensors)


def check_finite(name: str, tensor: Tensor) -> None:
    """Make sure that every number of an argument is finite; an argument without values passes.

    Raises:
        LikewiseError: one is NaN or infinite; says which is the first.
    """
    if not tensor.is_floating_point() or not has_values(tensor):
        return
    tensor = tensor.detach()
    # a sum is finite only where every term is; it may overflow where all are, so a bad one is then looked for
    if not tensor.numel() or bool(tensor.sum(dtype=torch.float64 if tensor.device.type != "mps" else None).isfinite()):
        return
    bad = (~tensor.isfinite()).nonzero()
    if len(bad):
        place = tuple(bad[0].tolist())
        where = f"{name}[{', '.join(map(str, place))}]" if place else name
        raise LikewiseError(f"{where} is {float(tensor[place]):g}; expected finite numbers ({len(bad)} are not)")


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside, on any device: half precision rounds places by whole pixels and near-twins to one."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()  # such as "meta", which computes nothing


def differentiable_once(operator: str) -> Callable[[Backward], Backward]:
    """For the backward of an operator whose gradient is not itself differentiable: a second derivative is refused.

    What `torch.autograd.function.once_differentiable` does, but for its message, which does not say of whom it speaks.

    Args:
        operator: whose derivative it is, for the message.
    """

    def decorate(backward: Backward) -> Backward:
        @functools.wraps(backward)
        def once(ctx: Any, *grads: Tensor | None) -> Any:
            with torch.no_grad():
                found = backward(ctx, *grads)
            if not torch.is_grad_enabled():
                return found
            return tuple(None if f is None else _Refuse.apply(f.detach().requires_grad_(), operator) for f in found)

        return once  # type: ignore[return-value]  # it takes and gives the same

    return decorate


class _Refuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, operator: str) -> Tensor:
        ctx.operator = operator
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise LikewiseError(f"{ctx.operator} can be differentiated once; a second derivative is not known")
