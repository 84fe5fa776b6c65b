"""What a counter was taught, as the command line tells it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.terminal import marked, say
from likewise.json_text import json_text

if TYPE_CHECKING:
    from likewise.predict.adaptation_card import AdaptationCard
    from likewise.predict.taught import Taught


def taught_values(taught: Taught) -> dict[str, Any]:
    """What was taught as plain JSON values."""
    return {
        "base": taught.base,
        "base_sha256": taught.sha256,
        "chosen": taught.chosen,
        "error_before": taught.before,
        "error_after": taught.after,
        "candidates": [vars(each) for each in taught.candidates],
        "without_boxes": [vars(each) for each in taught.without_boxes],
        "pictures": [vars(each) for each in taught.pictures],
        "seed": taught.seed,
        "version": taught.version,
        "stopped": taught.stopped,
    }


def verdict(taught: Taught) -> str:
    """What came of it, in a sentence."""
    many = f"{len(taught.pictures)} pictures, each counted by what the others teach"
    if taught.chosen == taught.candidates[0].name:
        return f"kept nothing: nothing that was tried is better on {many} (mean relative error {taught.before:.3f})"
    return f"kept {taught.chosen}: mean relative error {taught.before:.3f} -> {taught.after:.3f} on {many}"


def print_candidates(taught: Taught) -> None:
    """The ways that were tried, as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("way", "error", "+-", "", box=None, padding=(0, 2, 0, 0))
    for each in taught.candidates:
        kept = "kept" if each.name == taught.chosen else ""
        table.add_row(marked(each.name), f"{each.error:.3f}", f"{each.spread:.3f}", kept)
    Console(highlight=False).print(table)
    if taught.stopped:
        say(f"{taught.stopped}: only what is in the table was tried to its end")
    say(verdict(taught))


def card_rows(path: Path) -> list[tuple[str, str]]:
    """Everything about a card, a name and a text for each row."""
    from likewise.predict.adaptation_card import read_card

    card = read_card(path)
    taught = card.taught
    changed = f"{len(taught.changed)} tensors of the decoder" if taught.changed else "nothing of the network"
    pictures = [
        f"{each.name}: {each.truth:g}, counted {each.before:.1f} before, {each.after:.1f} after ({each.kind})"
        for each in taught.pictures
    ]
    ways = [f"{each.name}: {each.error:.3f} +- {each.spread:.3f}" for each in taught.candidates]
    return [
        ("name", path.stem),
        ("task", "count"),
        ("taught to", f"{taught.base}, tensors with the hash {taught.sha256}"),
        ("weights", f"in {path}, {path.stat().st_size / 1e3:.0f} kB, to be used with those of {taught.base}"),
        ("outcome", verdict(taught)),
        (
            "factor",
            f"{card.inference.factor:.4g} with boxes, {(card.by_examples or card.inference).factor:.4g} without",
        ),
        ("changed", changed),
        ("examples", _examples(card)),
        ("pictures", "\n".join(pictures)),
        ("tried", "\n".join(ways)),
        (
            "made by",
            f"likewise {taught.version}, seed {taught.seed}" + (f", {taught.stopped}" if taught.stopped else ""),
        ),
    ]


def print_card_json(path: Path) -> None:
    """The same as one JSON object."""
    from likewise.predict.adaptation_card import read_card

    card = read_card(path)
    told = {"name": path.stem, "task": "count", **taught_values(card.taught), "factor": card.inference.factor}
    told["factor_without_boxes"] = (card.by_examples or card.inference).factor
    say(json_text({**told, "changed": list(card.taught.changed), "examples": len(card.exemplars)}))


def _examples(card: AdaptationCard) -> str:
    if not card.exemplars:
        return "none: every picture needs a prompt of its own"
    negatives = next((len(v) for name, v in card.tensors.items() if name.endswith("negatives.sizes")), 0)
    return f"{len(card.exemplars)}, and {negatives} look-alikes: pictures are counted without a box"
