"""A question that nobody waits for any more stops at the next tile: who asks says how to find out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from likewise.errors import LikewiseError

#: What is asked now in this thread.
_cancelled: ContextVar[Callable[[], bool] | None] = ContextVar("cancelled", default=None)


class CancelledQuestionError(LikewiseError):
    """Nobody waits for the answer any more."""


@contextmanager
def cancellable(cancelled: Callable[[], bool]) -> Iterator[None]:
    """While it lasts, `check_cancelled` raises once ``cancelled()`` is true."""
    before = _cancelled.set(cancelled)
    try:
        yield
    finally:
        _cancelled.reset(before)


def check_cancelled() -> None:
    """Called between steps that take long.

    Raises:
        CancelledQuestionError: nobody waits for what is being done.
    """
    cancelled = _cancelled.get()
    if cancelled is not None and cancelled():
        raise CancelledQuestionError("nobody waits for the answer any more")
