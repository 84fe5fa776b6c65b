"""Whether plain values, such as JSON holds, are of the types that a config's fields are declared with."""

from __future__ import annotations

import types
import typing
from typing import Any


def fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a declared type: a class, a union, a `typing.Literal`, a tuple of these.

    Whole numbers are floats too; True and False are no numbers. Of what else is made of parts, such as a mapping, the
    parts are not looked at; what is declared as anything else takes any value.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(part, value) for part in parts)
    if origin is typing.Literal:
        return value in parts
    if origin is tuple and isinstance(value, tuple):
        kinds = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(kinds) == len(value) and all(map(fits, kinds, value))
    if isinstance(origin, type):
        return isinstance(value, origin)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return hint is Any or not isinstance(hint, type) or isinstance(value, hint)


def type_name(hint: Any) -> str:
    """A declared type in an error's words."""
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
