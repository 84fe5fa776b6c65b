"""What was published about a training run, beside what a recipe does: a table that stands in the recipe's file.

A recipe's module holds ``PUBLISHED``, a tuple of `Setting`; ``likewise train RECIPE --published`` prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any

from likewise.errors import LikewiseError, nearest


@dataclass(frozen=True)
class Setting:
    """One setting of a published run.

    Attributes:
        name: what it is.
        published: its value, as plain Python.
        source: where it was published: a file of the authors' repository, or the paper.
        ours: gives the value that the recipe has; it is asked for, never written down twice.
        why: why ours is another one, where it is.
    """

    name: str
    published: object
    source: str
    ours: Callable[[], object]
    why: str = ""

    @property
    def same(self) -> bool:
        """Whether ours is the published value; floats may differ by rounding."""
        mine = self.ours()
        if isinstance(mine, float) and isinstance(self.published, int | float):
            return abs(mine - self.published) <= 1e-9 * max(abs(mine), abs(self.published))
        return mine == self.published

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Name, published value, ours and source as text."""
        ours = _text(self.ours())
        return self.name, _text(self.published), ours if self.same else f"{ours} ({self.why})", self.source


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def default(settings: type, name: str) -> Callable[[], Any]:
    """What gives the default of a field of a dataclass, such as a recipe's settings.

    Raises:
        LikewiseError: there is no such field, or it has no default; when it is asked for.
    """

    def found() -> Any:
        known = {each.name: each for each in fields(settings)}
        if name not in known or (known[name].default is MISSING and known[name].default_factory is MISSING):
            raise LikewiseError(f"{settings.__name__} has no default of {name!r}{nearest(name, known)}")
        each = known[name]
        return each.default if each.default_factory is MISSING else each.default_factory()

    return found
