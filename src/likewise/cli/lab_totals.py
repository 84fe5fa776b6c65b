"""The table of ``likewise lab totals``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from likewise.cli.terminal import say

if TYPE_CHECKING:
    from likewise.lab.totals import Held, Row

_HEADER = (
    "| set | pictures | objects | model off | n | holds | ± | by hand alone: holds | ± | width by it | ppi-python: "
    "holds | ± | n for ±5 % | by hand alone |"
)


def totals(data: Path, cache: Path, *, shown: bool) -> None:
    """Print the table in markdown, as it stands in docs/results.md."""
    from rich.console import Console

    from likewise.lab.totals import SETS, run, summary

    with Console(stderr=True, quiet=not shown).status("drawing samples") as status:
        rows = run(data, cache, progress=lambda done, total: status.update(f"set {done + 1} of {total}"))
    say(_HEADER)
    say("|---" * (_HEADER.count("|") - 1) + "|")
    for row in rows:
        say(_line(row))
    found = summary(rows)
    say("")
    say(
        f"{len(SETS)} sets: width by that of hand counts alone {found['ratio']:.2f} (geometric mean), at most "
        f"{found['widest']:.2f}; 95 % intervals hold in 93 to 97 % of the samples in {found['held']} of "
        f"{found['rows']} rows, by hand alone in {found['held_alone']}."
    )


def _line(row: Row) -> str:
    ratio = f"{row.ratio:.2f}" if row.ratio == row.ratio else "-"
    cells = (row.name, row.pictures, f"{row.objects:.0f}", f"{row.off:+.0%}", row.n, *_cells(row.ours))
    beside = (*_cells(row.alone), ratio, *(_cells(row.peer) if row.peer else ("-", "-")), row.needed, row.needed_alone)
    return "| " + " | ".join(map(str, (*cells, *beside))) + " |"


def _cells(held: Held) -> tuple[str, str]:
    return f"{100 * held.coverage:.1f} %", f"{100 * held.width:.1f} %"
