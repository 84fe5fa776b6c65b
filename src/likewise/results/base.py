"""What every result writes to a folder: its plot and its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image


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
    path.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    plot.save(path)
    return path
