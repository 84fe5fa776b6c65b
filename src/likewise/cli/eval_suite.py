"""How well a counter counts a whole suite of sets, and a peer beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from likewise.cli.eval_count import trust_rows
from likewise.cli.measured import Measured, Row
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.lab.suite.generalisation import Score, Suite
    from likewise.predict import Counter, NamedCounter


def measure(
    counter: Counter | NamedCounter,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
    suite: Literal["generalisation"],
    trust: Literal["fast", "full"] | None = None,
) -> Measured:
    """Count every set of the suite and compare with the truth; sets and splits are the suite's own."""
    from likewise.lab.suite import generalisation

    if split is not None:
        raise LikewiseError(f"--split {split}: the suite {suite!r} has splits of its own")
    peer = generalisation.the_peer()
    found = generalisation.run(counter, generalisation.sets(data), limit, peer=peer, trust=trust, progress=progress)
    caption = "" if peer else "without template matching beside it: pip install opencv-python-headless"
    tables = [(caption, _rows(found))]
    if trusted := found.everything.trust():
        tables.append(("can the counts be trusted?", trust_rows(trusted)))
    return Measured(found.to_dict(), tuple(tables), found.errors)


def _rows(found: Suite) -> tuple[Row, ...]:
    theirs = found.peer or (None,) * len(found.scores)
    return tuple(_row(mine, its) for mine, its in zip(found.scores, theirs, strict=True))


def _row(mine: Score, its: Score | None) -> Row:
    beside = f"; template matching {its.relative:.1%} ({its.middle:.1%}), {its.mae:.3g}" if its else ""
    value = f"{mine.relative:.1%} ({mine.middle:.1%})"
    own = f"{mine.pictures} pictures of {mine.mean_count:.3g}, MAE {mine.mae:.3g}, bias {mine.bias:+.0%}"
    return mine.name, value, own + beside
