"""The table in which an ablation of a counter says how far off its counts are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def write_error_table(path: Path, remark: str, heading: str, rows: Iterable[tuple[str, Mapping[str, float]]]) -> None:
    """Write MAE, RMSE and NAE as Markdown; the folder is made where it is missing.

    Args:
        path: of the file.
        remark: a line above the table: how the numbers were made.
        heading: of the first column.
        rows: what is compared, each with its ``mae``, ``rmse`` and ``nae``.
    """
    lines = [
        remark,
        "",
        f"| {heading} | MAE | RMSE | NAE |",
        "|---|---|---|---|",
        *(f"| {name} | {s['mae']:.2f} | {s['rmse']:.2f} | {s['nae']:.3f} |" for name, s in rows),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
