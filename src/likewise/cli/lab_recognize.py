"""The table of ``likewise lab recognize``."""

from __future__ import annotations

from pathlib import Path

from likewise.cli.terminal import say

_HEADER = "| names | pictures of each | nearest mean | taught | left out | taken for a name | others refused |"


def recognize(data: Path, cache: Path, *, shown: bool) -> None:
    """Print the table in markdown, as it stands in docs/results.md; pictures are looked at once."""
    from rich.console import Console

    from likewise.lab.few_names import NAMES, SEEDS, SHOTS, looked, mean_score, measure

    with Console(stderr=True, quiet=not shown).status("looking") as status:
        sets = looked(data, cache, status.update)
    say(_HEADER)
    say("|---" * (_HEADER.count("|") - 1) + "|")
    for names in NAMES:
        for shots in SHOTS:
            scores = [measure(sets, names, shots, seed) for seed in SEEDS]
            mean, right = mean_score(scores), [each.right for each in scores]
            spread = f"{mean.right:.1%} ({min(right):.1%} to {max(right):.1%})"
            say(
                f"| {names} | {shots} | {mean.peer:.1%} | {spread} | {mean.left_out:.1%} | {mean.accepted:.1%} | "
                f"{mean.refused:.1%} |"
            )
