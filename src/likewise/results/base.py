"""What all results share: how their arrays are checked, and what they write to a folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likewise.drawings import plan_drawings, save_drawing, save_text
from likewise.errors import LikewiseError
from likewise.json_text import json_text


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


@dataclass(frozen=True)
class Files:
    """Where a result's files go, which all begin with one stem; the folder is made where it is missing.

    Without a name they are called as the command line calls a picture's drawings (`likewise.drawings`): each
    picture's own, found again, and never those of another.

    Args:
        directory: the folder.
        name: None: the picture's own name, or ``picture`` where it has none.
        source: the picture's file, where it has one.
        drawn: ends of the drawings' names.
        others: ends of the names of what goes with them.
    """

    directory: str | Path
    name: str | None
    source: str | None
    drawn: tuple[str, ...]
    others: tuple[str, ...]

    @cached_property
    def stem(self) -> Path:
        """Where they go, without their ends."""
        folder = Path(self.directory)
        folder.mkdir(parents=True, exist_ok=True)
        if self.name or not self.source:
            return folder / (self.name or "picture")
        [[first, *_]] = plan_drawings([Path(self.source)], folder, self.drawn, self.others)
        return first.with_name(first.name.removesuffix(self.drawn[0]))

    def path(self, end: str) -> Path:
        """The file with that end."""
        return self.stem.with_name(self.stem.name + end)

    def draw(self, end: str, drawing: Image.Image) -> Path:
        """Write a drawing; its path."""
        save_drawing(drawing, self.path(end), Path(self.source or self.stem))
        return self.path(end)

    def note(self, end: str, record: dict[str, Any]) -> None:
        """Write numbers as JSON."""
        save_text(json_text(record, indent=2) + "\n", self.path(end))
