"""Which picture a hand count is of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError, nearest
from likewise.plain_text import printable


def places(names: Sequence[str], listed: Sequence[str], what: str, source: str) -> NDArray[np.int64]:
    """Where names stand in a list: as they are, or where only one of the list ends as the name does, or is its end.

    Two pictures of one name in different folders are two pictures: of ``b/1.jpg`` and ``c/1.jpg`` none is the other.

    Args:
        names: to look for.
        listed: to look in, each once.
        what: a name is, for messages.
        source: of the list, for messages.

    Raises:
        LikewiseError: one is not there (says which is nearest), fits several, or two are the same one.
    """
    at = {name: place for place, name in enumerate(listed)}
    called: dict[str, list[str]] = {}
    for name in listed:
        called.setdefault(_parts(name)[-1], []).append(name)
    found: dict[int, str] = {}
    for name in names:
        alike = called.get(_parts(name)[-1], [])
        fitting = [name] if name in at else [other for other in alike if _is_end(_parts(name), _parts(other))]
        if len(fitting) != 1:
            raise LikewiseError(f"{what} {printable(name)!r} is not in {source}{_hint(name, fitting, alike, listed)}")
        place = at[fitting[0]]
        if place in found:
            both = f"{printable(found[place])!r} and {printable(name)!r} are" if found[place] != name else ""
            raise LikewiseError(f"{both or repr(printable(name)) + ' is'} there twice; expected every {what} once")
        found[place] = name
    return np.array(list(found), np.int64)


def _parts(name: str) -> tuple[str, ...]:
    """Folders and name, without the root and without what only says: here."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", ".")) or (name,)


def _is_end(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the shorter path is the end of the longer one."""
    length = min(len(one), len(other))
    return one[-length:] == other[-length:]


def _hint(name: str, fitting: Sequence[str], alike: Sequence[str], listed: Sequence[str]) -> str:
    if fitting:
        return f"; {len(fitting)} pictures there are called so: give the folder, too"
    if alike:
        return f"; {printable(alike[0])!r} there lies in another folder; give the name as it stands there"
    return nearest(name, listed, listed=3)
