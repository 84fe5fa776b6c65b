"""Which picture a hand count is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, nearest
from likewise.plain_text import printable


def places(names: Sequence[str], listed: Sequence[str], what: str, source: str) -> NDArray[np.int64]:
    """Where names stand in a list: as they are, or by the file's name alone where only one has it.

    Args:
        names: to look for.
        listed: to look in, each once.
        what: a name is, for messages.
        source: of the list, for messages.

    Raises:
        LikewiseError: one is not there (says which is nearest), fits several, or two are the same one.
    """
    at = {name: place for place, name in enumerate(listed)}
    short = Counter(_short(name) for name in listed)
    alone = {_short(name): place for name, place in at.items() if short[_short(name)] == 1}
    found: dict[int, str] = {}
    for name in names:
        place = at.get(name, alone.get(_short(name)))
        if place is None:
            several = f"; {short[_short(name)]} pictures there are called so: give the folder, too"
            hint = several if short[_short(name)] > 1 else nearest(name, listed, listed=3)
            raise LikewiseError(f"{what} {printable(name)!r} is not in {source}{hint}")
        if place in found:
            both = f"{printable(found[place])!r} and {printable(name)!r} are" if found[place] != name else ""
            raise LikewiseError(f"{both or repr(printable(name)) + ' is'} there twice; expected every {what} once")
        found[place] = name
    return np.array(list(found), np.int64)


def _short(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name
