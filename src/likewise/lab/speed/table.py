"""Rows of a benchmark as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from likewise.lab.speed.machine import Machine
from likewise.lab.speed.timing import Comparison

HEADINGS = ("what", "shape", "against", "threads", "ratio", "aim", "met", "largest error", "note")


def cells(row: Comparison) -> tuple[str, ...]:
    """A row under `HEADINGS`; empty where there is nothing to say."""
    return (
        row.what,
        row.shape,
        row.against,
        str(row.threads),
        "" if math.isnan(row.ratio) else f"{_digits(row.ratio)} ×",
        ", ".join(_asked(row)),
        {None: "", True: "yes", False: "no"}[row.met],
        "" if row.error is None else f"{row.error:.1e}",
        row.note,
    )


def summary(rows: Sequence[Comparison]) -> str:
    """How many of the aims were met."""
    asked = [row.met for row in rows if row.met is not None]
    return f"{sum(asked)} of {len(asked)} aims met"


def markdown(machine: Machine, rows: Sequence[Comparison]) -> str:
    """The table as it stands in docs/benchmarks.md, under the machine's name."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(cells, rows)]
    table = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
    return "\n".join([f"Machine: {machine}.", "", *table, "", f"{summary(rows)}."])


def _asked(row: Comparison) -> list[str]:
    aim = [] if row.aim is None else [f"≥ {_digits(row.aim)} ×"]
    return aim + ([] if row.tolerance is None else [f"error ≤ {row.tolerance:.0e}"])


def _digits(ratio: float) -> str:
    return f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"
