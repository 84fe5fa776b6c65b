"""Things named by strings, so that a table of them imports nothing."""

from __future__ import annotations

import importlib
from typing import Any


def resolve(where: str) -> Any:
    """What ``module:attribute`` names; the module is imported now.

    >>> resolve("math:pi")
    3.141592653589793
    """
    module, _, attribute = where.partition(":")
    return getattr(importlib.import_module(module), attribute)
