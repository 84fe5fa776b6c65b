"""What ``likewise eval`` measured, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likewise.cli.terminal import marked, tell

if TYPE_CHECKING:
    from rich.table import Table

#: Name of a number, its value as people read it, and what it is.
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
        values: everything, as JSON values.
        tables: a line above each, and its rows.
        errors: (picture, reason) of what could not be done.
    """

    values: dict[str, Any]
    tables: tuple[tuple[str, tuple[Row, ...]], ...]
    errors: tuple[tuple[str, str], ...] = ()


def show(measured: Measured, title: str) -> None:
    """Print tables on stdout, and what could not be done on stderr."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(marked(title), soft_wrap=True)
    for caption, rows in measured.tables:
        if caption:
            console.print(marked(caption), soft_wrap=True)
        console.print(_table(rows))
    for image, error in measured.errors:
        tell(f"left out: {image}: {error}")


def _table(rows: tuple[Row, ...]) -> Table:
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value, meaning in rows:
        table.add_row(f"[bold]{marked(name)}[/]", marked(value), marked(meaning))
    return table
