"""What all results share: how their arrays are checked, and what they write to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.results.formats import format_of, format_suffix
from likewise.types import Task


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


def stem_in(directory: str | Path, name: str | None, source: str | None) -> Path:
    """Where a result's files go, without their endings; the folder is made where it is missing.

    Args:
        directory: the folder.
        name: None: the picture's own name without its ending, or ``picture`` where it has none.
        source: the picture's file name, where it has one.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / (name or (Path(source).stem if source else "picture"))


def write(stem: Path, ending: str, record: dict[str, Any], plot: Image.Image) -> Path:
    """Write STEM_ENDING.json and STEM_ENDING.png; the path of the latter."""
    path = stem.with_name(f"{stem.name}_{ending}.png")
    path.with_suffix(".json").write_text(json_text(record, indent=2) + "\n", encoding="utf-8")
    plot.save(path)
    return path


def write_formats(stem: Path, task: Task, names: Sequence[str], annotations: Any) -> None:
    """Write what was found in one picture in forms that other programs read: STEM_NAME.json, or as the form ends.

    Raises:
        LikewiseError: a form that there is not; nothing is written then.
    """
    texts = {format_suffix(task, name): format_of(task, name).write([annotations], {}) for name in names}
    for suffix, text in texts.items():
        stem.with_name(stem.name + suffix).write_text(text, encoding="utf-8")
