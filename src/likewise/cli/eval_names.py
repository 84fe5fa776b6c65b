"""How well a counter counts by name in real photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from likewise.cli.measured import Measured, Row
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.lab.suite.names import Score
    from likewise.predict import Counter, NamedCounter


def measure(
    counter: Counter | NamedCounter,
    data: Path,
    *,
    split: str | None,
    limit: int | None,
    progress: Callable[[int, int], None] | None,
    suite: Literal["names"],
) -> Measured:
    """Ask for what is in the suite's pictures by name, and for what is not; sets and splits are the suite's own."""
    from likewise.lab.suite import names

    if split is not None:
        raise LikewiseError(f"--split {split}: the suite {suite!r} has splits of its own")
    if "text" not in counter.prompts:
        raise LikewiseError(f"{counter.name} takes no names; it takes {' and '.join(counter.prompts)}")
    asked = names.run(counter, names.sets(data), limit, progress)
    return Measured(names.to_dict(asked), (("", tuple(_row(score) for score in names.scores(asked))),))


def _row(score: Score) -> Row:
    value = f"{score.relative:.1%} ({score.middle:.1%})"
    about = [f"{score.questions} named kinds", f"absent ones counted as {score.absent:.1%}"]
    if score.pointed == score.pointed:
        about.append(f"the right kind pointed at in {score.pointed:.0%}")
    about += [f"{score.held:.0%} held" if score.held == score.held else "none held", f"{score.untrusted:.0%} untrusted"]
    return score.name, value, ", ".join(about)
