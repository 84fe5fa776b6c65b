"""What results check their arrays for, and how they write them down."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from likewise.errors import LikewiseError


def check(name: str, array: np.ndarray, expected: str, good: bool) -> None:
    """See that an array is what it is said to be.

    Raises:
        LikewiseError: it is not ``good``; says what was expected and what came.
    """
    if not good:
        raise LikewiseError(f"{name} must have shape {expected}, got {array.shape} of {array.dtype}")


def finite(name: str, array: np.ndarray) -> None:
    """See that every value is a finite number.

    Raises:
        LikewiseError: one is not.
    """
    if not np.isfinite(array).all():
        raise LikewiseError(f"{name} holds values that are not finite numbers; a result never may")


def rounded(array: np.ndarray, digits: int) -> list[Any]:
    """An array as (nested) lists of plain numbers with so many digits."""
    return [[round(v, digits) for v in row] if isinstance(row, list) else round(row, digits) for row in array.tolist()]


def xywh(box: tuple[float, ...]) -> list[float]:
    """A box (x0, y0, x1, y1) as COCO writes it: x, y, width, height."""
    x0, y0, x1, y1 = box
    return [round(v, 2) for v in (x0, y0, math.fabs(x1 - x0), math.fabs(y1 - y0))]
