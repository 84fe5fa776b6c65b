"""Handwritten digits, and how they look when they are scaled, turned, sheared and warped.

Convention
----------
Pictures are (B, 1, S, S) in [0, 1], white on black. A warp acts about the centre of the picture, samples four places
a pixel so that a shrunk stroke keeps its weight, and puts black where it looks outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.errors import LikewiseError, nearest

FILE = "mnist_t10k.npz"
#: Pixels over which neighbours move together in an elastic warp (standard deviation of the smoothing).
SMOOTHNESS = 4.0

WarpKind = Literal["scale", "rotate", "shear", "elastic"]


@dataclass(frozen=True)
class Digits:
    """Pictures (N, 28, 28) uint8 and their labels (N,), 0 to 9."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Warp:
    """One way to deform pictures, each to its own side.

    Attributes:
        kind: "scale" by ``amount`` or 1 / ``amount``; "rotate" by ``amount`` degrees, either way; "shear" a row at
            the distance y from the centre sideways by ``amount`` times y, either way; "elastic": every pixel moves
            by smooth noise, along each axis by ``amount`` pixels (root mean square over a picture).
        amount: above 0; above 1 for "scale".
    """

    kind: WarpKind
    amount: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(WarpKind):
            raise LikewiseError(f"no warp named {self.kind!r}{nearest(self.kind, get_args(WarpKind))}")
        least = 1.0 if self.kind == "scale" else 0.0
        if not least < self.amount < math.inf:
            raise LikewiseError(f"amount = {self.amount} of {self.kind}: expected a number above {least:g}")


def load_digits(folder: str | Path, split: Literal["train", "test"]) -> Digits:
    """The digits of a folder with ``mnist_t10k.npz``: images, labels, is_test.

    Args:
        folder: as the development data has it, ``DATA/digits``.
        split: 8 000 for training, 2 000 for testing.

    Raises:
        LikewiseError: there is no such file.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise LikewiseError(f"no such file: {path}; expected a folder with {FILE}")
    with np.load(path, allow_pickle=False) as file:
        chosen = file["is_test"] == (split == "test")
        images, labels = file["images"][chosen], file["labels"][chosen]
    return Digits(torch.from_numpy(images), torch.from_numpy(labels).long())


def on_canvas(images: Tensor, side: int, shift: Tensor | None = None) -> Tensor:
    """Put pictures (B, h, w) uint8 in the middle of black ones: (B, 1, side, side) in [0, 1].

    Args:
        images: the pictures.
        side: of the canvas, at least theirs.
        shift: (B, 2) whole pixels by which each is moved down and right of the middle; must leave it inside.
    """
    count, height, width = images.shape
    canvas = torch.zeros(count, 1, side, side)
    corner = torch.tensor([(side - height) // 2, (side - width) // 2]).expand(count, 2)
    corner = corner if shift is None else corner + shift
    rows = corner[:, 0, None, None] + torch.arange(height)[:, None]
    columns = corner[:, 1, None, None] + torch.arange(width)
    canvas[torch.arange(count)[:, None, None], 0, rows, columns] = images.float() / 255
    return canvas


def warped(pictures: Tensor, warp: Warp, generator: torch.Generator) -> Tensor:
    """Deform every picture by the same amount, each to a side of its own.

    Args:
        pictures: (B, 1, S, S).
        warp: how.
        generator: gives the sides, and the noise of an elastic warp.

    Returns:
        (B, 1, S, S), clean where a warp looks outside: black.
    """
    count, side = len(pictures), pictures.shape[-1]
    sign = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1
    # Two samples a pixel along each axis; at the end each four are averaged.
    fine = F.affine_grid(_where_from(warp, sign), [count, 1, 2 * side, 2 * side], align_corners=False)
    if warp.kind == "elastic":
        fine = fine + _smooth_noise(count, side, warp.amount, generator)
    return F.avg_pool2d(F.grid_sample(pictures, fine, align_corners=False), 2)


def _where_from(warp: Warp, sign: Tensor) -> Tensor:
    """(B, 2, 3): from a place of the result, (x, y) about the centre, to where it is read."""
    amount = warp.amount * sign
    one, none = torch.ones_like(sign), torch.zeros_like(sign)
    if warp.kind == "scale":
        factor = warp.amount**-sign
        rows = [[factor, none, none], [none, factor, none]]
    elif warp.kind == "rotate":
        cos, sin = torch.cos(torch.deg2rad(amount)), torch.sin(torch.deg2rad(amount))
        rows = [[cos, sin, none], [-sin, cos, none]]
    elif warp.kind == "shear":
        rows = [[one, amount, none], [none, one, none]]
    else:
        rows = [[one, none, none], [none, one, none]]
    return torch.stack([torch.stack(row, -1) for row in rows], 1)


def _smooth_noise(count: int, side: int, amount: float, generator: torch.Generator) -> Tensor:
    """Displacements (B, 2 side, 2 side, 2) in the units of a sampling grid, a side being 2 of them."""
    reach = round(3 * SMOOTHNESS)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / SMOOTHNESS) ** 2)
    bell = bell / bell.sum()
    noise = torch.randn(count * 2, 1, side + 2 * reach, side + 2 * reach, generator=generator)
    noise = F.conv2d(F.conv2d(noise, bell.view(1, 1, -1, 1)), bell.view(1, 1, 1, -1)).view(count, 2, side, side)
    noise = noise / noise.square().mean((2, 3), keepdim=True).sqrt() * (amount * 2 / side)
    return F.interpolate(noise, scale_factor=2, mode="bilinear").permute(0, 2, 3, 1)
