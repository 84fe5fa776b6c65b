"""Grouped deformable aggregation: the operators of DCNv3 and DCNv4.

Wang et al., "InternImage", CVPR 2023, eq. 2; Xiong et al., "Efficient Deformable ConvNets", CVPR 2024. Every group of
channels samples K points and adds them up with weights of its own, without a kernel of weights:
``y_g(p0) = sum_k m_gk x_g(p0 + s (p_k + dp_gk))``. In DCNv3 the m_gk of a group are a softmax over its points, in
DCNv4 they are what the network gives.

Shapes: B batch, C channels, G groups of C / G channels, K points of the kernel.

Convention
----------
That of the operators with which networks were published, but for the order of axes, which is (B, C, H, W) here:

- offset channel ``2 (g K + k)`` is x and ``2 (g K + k) + 1`` is y, in pixels of the input (`deform_conv2d`: y, then x);
  mask channel ``g K + k``;
- points run down the kernel's columns: ``k = column * kernel rows + row`` (`deform_conv2d`: along its rows). Without
  its centre (``remove_center``, odd kernels) the later points move up by one;
- p0 is where the kernel's middle lies: ``stride * i - padding + dilation * (size - 1) // 2`` on each axis, and p_k are
  distances from there;
- s, ``offset_scale``, stretches the kernel itself as well as the offsets;
- zeros lie outside: a sample in (-1, 0) or (H - 1, H) is interpolated against them. A place that is not finite lies
  outside and has no gradient. At exactly integer places the gradient of an offset is the one-sided difference towards
  larger x or y.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from likewise.ops.checks import without_autocast
from likewise.ops.deform.checks import check_floating, pair
from likewise.ops.deform.conv2d import active_backend, why_not_native
from likewise.ops.deform.grouped_native import deform_grouped_native
from likewise.ops.deform.grouped_torch import deform_grouped_torch

GroupedBackend = Literal["native", "torch"]


def dcnv4(
    input: Tensor,  # noqa: A002  # the name that torch's convolutions give it
    offset: Tensor,
    mask: Tensor,
    kernel_size: int | tuple[int, int] = 3,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    offset_scale: float = 1.0,
    *,
    remove_center: bool = False,
    backend: GroupedBackend | None = None,
) -> Tensor:
    """Add up K samples of every group of channels, each with the weight it is given: DCNv4's operator.

    Half precision input (under autocast too) is computed in float32 and returned in its own dtype.

    Args:
        input: (B, C, H, W).
        offset: (B, 2 G K, H', W'), (x, y) for each point of each group, see Convention.
        mask: (B, G K, H', W'), any numbers.
        kernel_size: of the regular grid of points, (rows, columns); K is their product, one less without the centre.
        stride: of the output grid.
        padding: zeros round the input.
        dilation: of the kernel.
        groups: G; must divide C.
        offset_scale: factor on offsets and on the kernel's own reach.
        remove_center: leave out the point in the middle of an odd kernel.
        backend: "native" (float32 on the CPU), "torch" (any device and precision), or None for the faster one that
            can run. Both give the same result to rounding.

    Returns:
        (B, C, H', W').

    Raises:
        ValueError: shapes or settings that do not belong together, or "native" where it cannot run.
    """
    kernel, steps = pair(kernel_size, "kernel_size", least=1), pair(stride, "stride", least=1)
    margins, spread = pair(padding, "padding", least=0), pair(dilation, "dilation", least=1)
    points = _points(kernel, spread, offset_scale, remove_center=remove_center)
    _check(input, offset, mask, groups)
    size = _out_size(input, kernel, steps, margins, spread)
    _check_fields(offset, mask, input.shape[0], groups * len(points[0]), size)
    compute = torch.float64 if input.dtype == torch.float64 else torch.float32
    run = deform_grouped_native if _backend(backend, input.device, compute) == "native" else deform_grouped_torch
    # Autocast would round the sampling places.
    with without_autocast(input.device):
        x, moved, shares = (t.to(compute) for t in (input, offset, mask))
        out = run(x, moved, shares, *points, steps, margins, groups, float(offset_scale))
    return out.to(input.dtype)


def dcnv3(
    input: Tensor,  # noqa: A002
    offset: Tensor,
    logits: Tensor,
    kernel_size: int | tuple[int, int] = 3,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    offset_scale: float = 1.0,
    *,
    remove_center: bool = False,
    backend: GroupedBackend | None = None,
) -> Tensor:
    """Average K samples of every group of channels by a softmax over its points: DCNv3's operator.

    Where the softmax was taken already, `dcnv4` does the rest.

    Args:
        input: (B, C, H, W).
        offset: as for `dcnv4`, as all that is not named here.
        logits: (B, G K, H', W'): each group's K numbers are taken through a softmax.
        kernel_size: see `dcnv4`.
        stride: see `dcnv4`.
        padding: see `dcnv4`.
        dilation: see `dcnv4`.
        groups: see `dcnv4`.
        offset_scale: see `dcnv4`.
        remove_center: see `dcnv4`.
        backend: see `dcnv4`.

    Returns:
        (B, C, H', W').

    Raises:
        ValueError: as `dcnv4`.
    """
    check_floating(input, offset, logits)
    if groups < 1 or logits.dim() != 4 or logits.shape[1] % groups:
        raise ValueError(f"logits have shape {tuple(logits.shape)}; expected (B, {groups} groups x points, H', W')")
    precise = logits if logits.dtype == torch.float64 else logits.float()
    mask = precise.unflatten(1, (groups, logits.shape[1] // groups)).softmax(2).flatten(1, 2)
    grid = (kernel_size, stride, padding, dilation, groups, offset_scale)
    return dcnv4(input, offset, mask, *grid, remove_center=remove_center, backend=backend)


def _points(
    kernel: tuple[int, int], spread: tuple[int, int], scale: float, *, remove_center: bool
) -> tuple[list[float], list[float]]:
    """Distances x and y of every point from the place of the output times the stride, less the padding."""
    if remove_center and not (kernel[0] % 2 and kernel[1] % 2):
        raise ValueError(f"remove_center: a kernel of {kernel} has no centre; expected odd sizes")
    middle = [spread[axis] * (kernel[axis] - 1) // 2 for axis in range(2)]
    places = [
        (column, row)
        for column in range(kernel[1])
        for row in range(kernel[0])
        if not (remove_center and (row, column) == (kernel[0] // 2, kernel[1] // 2))
    ]
    if not places:
        raise ValueError("remove_center: a kernel of one point has no other; expected a larger one")
    xs = [middle[1] + scale * (column * spread[1] - middle[1]) for column, _ in places]
    ys = [middle[0] + scale * (row * spread[0] - middle[0]) for _, row in places]
    return xs, ys


def _backend(named: GroupedBackend | None, device: torch.device, dtype: torch.dtype) -> GroupedBackend:
    if named is None:
        return "native" if active_backend(device, dtype) == "native" else "torch"
    if named not in get_args(GroupedBackend):
        raise ValueError(f"backend is {named!r}; expected one of {get_args(GroupedBackend)} or None")
    reason = why_not_native(device, dtype) if named == "native" else ""
    if reason:
        raise ValueError(f"backend 'native' cannot run here: {reason}; use 'torch', or None for the best there is")
    return named


def _check(x: Tensor, offset: Tensor, mask: Tensor, groups: int) -> None:
    if x.dim() != 4 or offset.dim() != 4 or mask.dim() != 4:
        shapes = [tuple(t.shape) for t in (x, offset, mask)]
        raise ValueError(f"expected input, offset and mask with four axes, got shapes {shapes}")
    check_floating(x, offset, mask)
    if groups < 1 or x.shape[1] % groups:
        raise ValueError(f"groups = {groups}: expected a divisor of {x.shape[1]} channels")


def _check_fields(offset: Tensor, mask: Tensor, batch: int, channels: int, size: tuple[int, ...]) -> None:
    for name, field, times in (("offset", offset, 2), ("mask", mask, 1)):
        expected = (batch, times * channels, *size)
        if tuple(field.shape) != expected:
            raise ValueError(f"{name} has shape {tuple(field.shape)}; expected {expected}")


def _out_size(
    x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], spread: tuple[int, int]
) -> tuple[int, ...]:
    size = tuple((x.shape[2 + i] + 2 * padding[i] - spread[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2))
    if min(size) < 1:
        raise ValueError(f"kernel {kernel} does not fit into an input of {tuple(x.shape[2:])}")
    return size
