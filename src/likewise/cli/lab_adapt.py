"""The table of ``likewise lab adapt``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.cli.terminal import say
from likewise.json_text import json_text

if TYPE_CHECKING:
    from likewise.lab.suite.adaptation import AdaptationScore

_HEADER = (
    "| set | pictures | before | one factor | adapted | adapted / before | without a box | kept | in the interval "
    "| its width |"
)
#: Draws of corrected pictures: none that anything was settled on.
SEEDS = (2, 3, 4)
#: Pictures that are counted of each set, and how long each adaptation may take.
PICTURES, SECONDS = 20, 180.0


def adapt(data: Path, cache: Path, *, shown: bool) -> None:
    """Print the table in markdown, as it stands in docs/results.md; what the cache holds is not measured again."""
    from rich.console import Console

    from likewise.lab.suite.adaptation import SETS, AdaptationScore, check_sets, mean_of, measure_set
    from likewise.predict import Counter

    check_sets(data, SETS)
    counter, means = Counter.load("spdcn-lite"), []
    with Console(stderr=True, quiet=not shown).status("adapting") as status:
        for name in SETS:
            held = cache / f"adapt_{name}.json"
            if held.is_file():
                scores = [AdaptationScore(**each) for each in json.loads(held.read_text(encoding="utf-8"))]
            else:
                scores = measure_set(
                    counter, data, name, SEEDS, limit=PICTURES, seconds=SECONDS, progress=status.update
                )
                cache.mkdir(parents=True, exist_ok=True)
                held.write_text(json_text([vars(each) for each in scores]), encoding="utf-8")
            means.append(mean_of(scores))
    _show(means)


def _show(scores: Sequence[AdaptationScore]) -> None:
    from likewise.lab.suite.adaptation import geometric_mean

    say(_HEADER)
    say("|---" * (_HEADER.count("|") - 1) + "|")
    for each in scores:
        kept = ", ".join(f"{each.chosen.count(way)} x {way}" for way in dict.fromkeys(each.chosen))
        widths = f"{each.width:.2f} (before {each.width_before:.2f})"
        say(
            f"| {each.name} | {each.pictures} | {each.before:.3f} | {each.factor:.3f} | {each.after:.3f} | "
            f"{each.ratio:.2f} | {each.alone:.3f} | {kept} | {each.inside:.0%} | {widths} |"
        )
    ratio, peer = (geometric_mean([getattr(s, key) for s in scores]) for key in ("ratio", "factor_ratio"))
    say("")
    say(f"geometric mean of error after / before: {ratio:.2f}; of one factor: {peer:.2f}")
