"""What ``likewise eval`` measured, and how it is shown."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from likewise.plain_text import printable

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
    from rich.markup import escape

    console = Console(highlight=False)
    console.print(escape(printable(title)), soft_wrap=True)
    for caption, rows in measured.tables:
        if caption:
            console.print(escape(printable(caption)), soft_wrap=True)
        console.print(_table(rows))
    for image, error in measured.errors:
        print(printable(f"left out: {image}: {error}"), file=sys.stderr)


def _table(rows: tuple[Row, ...]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value, meaning in rows:
        table.add_row(f"[bold]{escape(name)}[/]", value, meaning)
    return table
