"""JSON in which no number is NaN or infinite: everything that is written or answered as JSON goes through here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from likewise.errors import LikewiseError


def json_text(
    value: Any,
    *,
    what: str = "the answer",
    indent: int | None = None,
    compact: bool = False,
    ascii_only: bool = True,
    sort_keys: bool = False,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """A value as JSON.

    Args:
        value: of plain values.
        what: it is, for the message.
        indent: spaces a level; None: everything in one line.
        compact: without spaces between the parts.
        ascii_only: letters beyond ASCII are written by their numbers.
        sort_keys: names in their order.
        default: what is written for a value that is not plain; None: there is none.

    Raises:
        LikewiseError: it holds a number that is not finite, which JSON has no word for and nobody could use.

    Example:
        >>> json_text({"count": 24.0})
        '{"count": 24.0}'
    """
    try:
        return json.dumps(
            value,
            allow_nan=False,
            indent=indent,
            separators=(",", ":") if compact else None,
            ensure_ascii=ascii_only,
            sort_keys=sort_keys,
            default=default,
        )
    except ValueError as error:
        raise LikewiseError(
            f"{what} holds numbers that are not finite, so it cannot be trusted; expected finite ones: try other "
            "examples, or another model"
        ) from error
