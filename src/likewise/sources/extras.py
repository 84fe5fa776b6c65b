"""What has to be installed beside the package to read some kinds of files."""

from __future__ import annotations

from likewise.errors import LikewiseError


def needs(extra: str, why: str) -> LikewiseError:
    """The error that says which extra is missing, and how it is installed."""
    return LikewiseError(f"{why}; pip install 'likewise[{extra}]' (from a clone: pip install '.[{extra}]')")
