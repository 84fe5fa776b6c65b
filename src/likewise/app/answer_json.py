"""Answers as JSON, in which no number is NaN or infinite."""

from __future__ import annotations

import json
from typing import Any

from likewise.errors import LikewiseError


def as_json(answer: dict[str, Any]) -> str:
    """An answer as JSON.

    Raises:
        LikewiseError: it holds a number that is not finite, which JSON has no word for and nobody could use.
    """
    try:
        return json.dumps(answer, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise LikewiseError(
            "the answer holds numbers that are not finite, so it cannot be trusted; expected finite ones: try other "
            "examples, or another model"
        ) from error
