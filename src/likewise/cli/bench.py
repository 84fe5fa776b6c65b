"""``likewise bench``: how much faster than others, measured side by side on this machine."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from likewise.cli.terminal import marked, say, tell
from likewise.errors import LikewiseError
from likewise.json_text import json_text

if TYPE_CHECKING:
    from likewise.lab.speed.machine import Machine
    from likewise.lab.speed.timing import Comparison

_COLOURS = {None: "default", True: "green", False: "red"}


def bench(
    name: str | None = None,
    /,
    *,
    threads: Annotated[str | None, Parameter(metavar="N,N", show_default=False)] = None,
    quick: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
    markdown: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Measure operators against other implementations, in turns, and print the ratios.

    A ratio above 1 means that likewise takes less, of time or of memory. The machine should have nothing else to do.

    Args:
        name: The benchmark; without it, all are listed.
        threads: Numbers of threads; by default 1, and 2 where there are two cores.
        quick: Small shapes and few turns: shows that everything works, not how fast it is.
        as_json: Print one JSON object a line: the machine, then the rows.
        markdown: Print the table as it stands in docs/benchmarks.md.

    Returns:
        Exit code: 1 when a benchmark failed; the others are shown.
    """
    from likewise.lab.speed.registry import chosen, listed

    if as_json and markdown:
        raise LikewiseError("--json and --markdown exclude each other; give one of them")
    if name is None:
        _show_list(listed(), as_json=as_json)
        return 0
    failures: list[str] = []
    rows = _rows(chosen(name), _parse_threads(threads), failures, quick=quick)
    _show(rows, as_json=as_json, markdown=markdown)
    for failure in failures:
        tell(f"error: {failure}")
    return 1 if failures else 0


def _parse_threads(text: str | None) -> tuple[int, ...]:
    from likewise.lab.speed.registry import check_threads, usable_cores

    if text is None:
        return (1, 2) if usable_cores() > 1 else (1,)
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise LikewiseError(f"--threads {text!r}: expected whole numbers with commas between them, such as 1,2")
    numbers = tuple(int(word) for word in words)
    check_threads(numbers)
    return numbers


def _rows(names: Iterable[str], threads: tuple[int, ...], failures: list[str], *, quick: bool) -> Iterator[Comparison]:
    """The rows of several benchmarks; which one is at work shows on stderr where that is a terminal.

    One that fails adds its message to ``failures``: the minutes that the others took are not lost.
    """
    from rich.console import Console

    from likewise.lab.speed.registry import measure

    console = Console(stderr=True)
    for name in names:
        try:
            with console.status(f"measuring {name}"):
                yield from measure(name, threads, quick=quick)
        except LikewiseError as error:
            failures.append(f"{name}: {error}")


def _show(rows: Iterator[Comparison], *, as_json: bool, markdown: bool) -> None:
    from likewise.lab.speed import registry, table
    from likewise.lab.speed.machine import this_machine

    machine = this_machine()
    if as_json:
        say(json_text({"machine": dataclasses.asdict(machine)}))
        for row in rows:
            say(registry.to_json(row))
    elif markdown:
        for line in table.markdown(machine, list(rows)).split("\n"):
            say(line)
    else:
        _show_table(machine, list(rows))


def _show_table(machine: Machine, rows: list[Comparison]) -> None:
    from rich.console import Console
    from rich.table import Table

    from likewise.lab.speed.table import HEADINGS, cells, summary

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("threads", "ratio", "largest error") else "left")
    for row in rows:
        table.add_row(*map(marked, cells(row)), style=_COLOURS[row.met])
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(marked(str(machine)) + "\n")
    console.print(table)
    console.print("\n" + summary(rows))


def _show_list(lines: dict[str, str], *, as_json: bool) -> None:
    for name, line in lines.items():
        say(json_text({"name": name, "measures": line}) if as_json else f"{name:<14}{line}")
    if not as_json:
        say("likewise bench NAME runs one.")
