"""What all deformable operators ask of their arguments."""

from __future__ import annotations

import torch
from torch import Tensor


def pair(value: int | tuple[int, int], name: str, *, least: int) -> tuple[int, int]:
    """A setting for rows and columns from one number or two.

    Raises:
        ValueError: anything else, such as torch's padding="same", or a number below ``least``.
    """
    both = (value, value) if isinstance(value, int) else value
    numbers = isinstance(both, (tuple, list, torch.Size)) and len(both) == 2
    if not numbers or not all(isinstance(n, int) and not isinstance(n, bool) for n in both):
        raise ValueError(f"{name} is {value!r}; expected a whole number, or two for rows and columns")
    if min(both) < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")
    return both[0], both[1]


def check_floating(*tensors: Tensor | None) -> None:
    """Make sure that tensors hold real numbers, of any precision: their precisions may differ.

    Raises:
        ValueError: whole or complex numbers.
    """
    for tensor in tensors:
        if tensor is not None and not tensor.is_floating_point():
            raise ValueError(f"a tensor is {tensor.dtype}; expected floating point: call .float() on it")
