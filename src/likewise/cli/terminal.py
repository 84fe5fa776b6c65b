"""All that the command line says, as plain text: whatever a file is called, a terminal acts on none of it."""

from __future__ import annotations

import sys

from likewise.plain_text import printable


def say(line: object) -> None:
    """A line on stdout, at once."""
    print(printable(line), flush=True)


def tell(line: object) -> None:
    """A line on stderr, at once: what is not asked for, but has to be known."""
    print(printable(line), file=sys.stderr, flush=True)


def marked(text: object) -> str:
    """A text, of several lines or not, as rich's tables and lines take it."""
    from rich.markup import escape

    return escape("\n".join(map(printable, str(text).split("\n"))))
