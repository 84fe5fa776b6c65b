"""How well a counter tells several kinds of thing apart, set by set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from likewise.cli.measured import Measured
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.predict import Counter, NamedCounter


def measure(
    counter: Counter | NamedCounter,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
    suite: Literal["kinds"],
) -> Measured:
    """Count the kinds of every picture at once, and compare with the truth and with each kind by itself."""
    from likewise.lab.suite import kinds

    if split is not None:
        raise LikewiseError(f"--split {split}: the suite {suite!r} has splits of its own")
    if not {"exemplars", "negatives"} <= set(counter.prompts):
        raise LikewiseError(f"the suite {suite!r} shows examples and look-alikes; {counter.name} does not take both")
    scores = []
    opened = kinds.sets(data)
    for done, (name, samples) in enumerate(opened.items()):
        if progress is not None:
            progress(done, len(opened))
        scores.append(kinds.measure_set(counter, name, samples(limit)))
    rows = tuple(
        (
            each.name,
            f"{each.relative:.1%} ({each.middle:.1%})",
            f"{each.pictures} pictures; each by itself, the others as negatives {each.apart:.1%}, without "
            f"{each.alone:.1%}; {each.twice:.1%} of the points twice; all together {each.total:.2f} of the counts "
            f"alone, above that of one kind of all in {each.above:.0%}; in the interval {each.inside:.0%}; warned of "
            f"{each.warned:.0%}",
        )
        for each in scores
    )
    return Measured({"sets": [vars(each) for each in scores]}, (("", rows),))
