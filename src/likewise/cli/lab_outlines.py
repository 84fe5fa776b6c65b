"""The table of ``likewise lab outlines``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.cli.terminal import say

if TYPE_CHECKING:
    from likewise.lab.suite.outline_scores import OutlineErrors
    from likewise.lab.suite.outlines import Row

_HEADER = (
    "| set | questions | masks: F1 | AP50 | mean IoU | Otsu and watershed: F1 | mean IoU | boxes: F1 | mean IoU "
    "| median area off by |"
)


def outlines(data: Path, cache: Path, *, shown: bool) -> None:
    """Print the table in markdown, as it stands in docs/results.md; ``cache`` is not needed."""
    from rich.console import Console

    from likewise.lab.suite.outlines import measure
    from likewise.predict import Counter

    say(_HEADER)
    say("|---" * (_HEADER.count("|") - 1) + "|")
    with Console(stderr=True, quiet=not shown).status("outlining") as status:
        counter = Counter.load("spdcn-lite")
        for row in measure(counter, data, lambda done, total: status.update(f"set {done + 1} of {total}")):
            say(_line(row))


def _line(row: Row) -> str:
    masks = ("f1", "average_precision", "mean_overlap")
    cells = (
        row.name,
        str(row.pictures),
        *_numbers(row.masks, masks),
        *_numbers(row.peer, ("f1", "mean_overlap")),
        *_numbers(row.boxes, ("f1", "mean_overlap")),
        "-" if row.area is None else f"{row.area:.0%}",
    )
    return "| " + " | ".join(cells) + " |"


def _numbers(errors: OutlineErrors | None, names: tuple[str, ...]) -> list[str]:
    values = [math.nan if errors is None else getattr(errors, name) for name in names]
    return ["-" if math.isnan(value) else f"{value:.3f}" for value in values]
