"""What an error says: what was wrong, what was expected, and the nearest valid thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Name = TypeVar("Name", bound=str)


class LikewiseError(ValueError):
    """An error the caller can mend: says what was wrong, what was expected and the nearest valid thing.

    Example:
        >>> import likewise as lw
        >>> lw.load("spdcn-light")
        Traceback (most recent call last):
            ...
        likewise.errors.LikewiseError: no model named 'spdcn-light'; did you mean 'spdcn-lite'?
    """


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


def one_of(what: str, name: str, valid: Sequence[Name]) -> Name:
    """The valid name that a text is, so that its type is known.

    Args:
        what: the name is of, for the message.
        name: what was asked for.
        valid: what could have been asked for.

    Raises:
        LikewiseError: it is none of them.

    Example:
        >>> one_of("colour", "grean", ("red", "green"))
        Traceback (most recent call last):
            ...
        likewise.errors.LikewiseError: no colour 'grean'; did you mean 'green'?
    """
    for each in valid:
        if each == name:
            return each
    raise LikewiseError(f"no {what} {name!r}{nearest(name, valid)}")


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Say which optional part has to be installed where an import in it finds nothing.

    Args:
        what: is done with what is imported, for the message.
        extra: the optional part's name.

    Raises:
        LikewiseError: a module is missing.

    Example:
        >>> with needs_extra("a table of gold", "gold"):
        ...     import likewise.gold
        Traceback (most recent call last):
            ...
        likewise.errors.LikewiseError: a table of gold needs likewise.gold: pip install 'likewise[gold]', or in
        likewise's folder pip install '.[gold]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        where = f"pip install 'likewise[{extra}]', or in likewise's folder pip install '.[{extra}]'"
        raise LikewiseError(f"{what} needs {error.name}: {where}") from error
