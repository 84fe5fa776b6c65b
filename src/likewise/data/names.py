"""Names: the nearest valid one, for messages about an unknown one, and the order people expect them in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def nearest(name: str, valid: Iterable[str], *, listed: int = 8) -> str:
    """The end of a message: "; did you mean 'x'?" or, where nothing is near, the first few valid names.

    Args:
        name: what was asked for.
        valid: what could have been asked for.
        listed: this many names are given where none is near.
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1) or [n for n in names if n.lower() == name.lower()]
    if close:
        return f"; did you mean {close[0]!r}?"
    shown = ", ".join(names[:listed]) + (", ..." if len(names) > listed else "")
    return f"; there are {shown}" if names else ""


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by that puts IMG_9 before IMG_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
