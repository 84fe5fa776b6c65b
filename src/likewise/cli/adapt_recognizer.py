"""``likewise adapt`` for what recognises: names of one's own, from a few pictures of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.terminal import marked, say
from likewise.errors import LikewiseError
from likewise.json_text import json_text

if TYPE_CHECKING:
    from likewise.predict import Recognizer
    from likewise.predict.taught_names import TaughtNames


def adapt_to_names(
    recognizer: Recognizer, data: Path, split: str | None, output: Path, progress: Callable[[str, float], None] | None
) -> Recognizer:
    """Teach a recogniser the names of a folder, and write it."""
    from likewise.adaptation.recognizer import adapt_recognizer

    adapted = adapt_recognizer(recognizer, data, split=split, progress=progress)
    adapted.save(output)
    return adapted


def check_options(asked: dict[str, object], name: str) -> None:
    """See that nothing was asked that is for counters only.

    Raises:
        LikewiseError: something was.
    """
    given = [option for option, value in asked.items() if value]
    if given:
        raise LikewiseError(f"{given[0]} is for counters; {name} recognises: give --data, --split and -o")


def names_values(taught: TaughtNames) -> dict[str, Any]:
    """What was taught as plain JSON values."""
    return {
        "base": taught.base,
        "names": list(taught.names),
        "right": taught.right,
        "pictures": [vars(each) for each in taught.pictures],
        "version": taught.version,
    }


def print_names(adapted: Recognizer, output: Path, *, as_json: bool) -> None:
    """How often each name is right where a picture is left out, and which pictures are taken for something else."""
    taught = adapted.taught
    if taught is None:
        return
    if as_json:
        say(json_text({"file": str(output), **names_values(taught)}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "pictures", "right, left out", "taken for", box=None, padding=(0, 2, 0, 0))
    for name in taught.names:
        own = [each for each in taught.pictures if each.truth == name]
        wrong = [f"{each.found}: {each.name}" for each in own if each.found != name]
        table.add_row(marked(name), str(len(own)), str(len(own) - len(wrong)), marked("\n".join(wrong)))
    Console(highlight=False).print(table)
    say(str(taught))
    if adapted.model.config.open_set is None:
        say("too few pictures to learn when to say none of these: every picture gets one of the names")
    say(output)
