"""``likewise estimate``: the total of all pictures, from counts of all and hand counts of some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from likewise.cli.terminal import say
from likewise.cli.writable import check_file
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.plain_text import printable

if TYPE_CHECKING:
    from likewise.estimation import Estimate

#: Endings of the file that is written, and what is in it.
_WRITTEN = {
    ".json": "everything",
    ".csv": "a row for the total and each group",
    ".txt": "what is printed, and the paragraph",
}


def estimate(
    counts: Path,
    /,
    *,
    hand: Annotated[Path, Parameter(metavar="FILE")],
    level: float = 0.95,
    by: Annotated[str | None, Parameter(metavar="COLUMN")] = None,
    compare: Annotated[str | None, Parameter(metavar="A,B")] = None,
    design: Literal["random"] | None = None,
    estimator: Literal["difference", "ratio", "regression", "horvitz-thompson", "hand"] = "difference",
    interval: Literal["log", "t", "bootstrap"] = "log",
    taught: Annotated[Sequence[str], Parameter(negative="", metavar="PICTURE", show_default=False)] = (),
    methods: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"), metavar="FILE")] = None,
    plot: Annotated[Path | None, Parameter(metavar="FILE")] = None,
) -> None:
    """Estimate the true total of all pictures, with an interval that holds whatever mistakes the model makes.

    It takes the counts of all pictures, and true counts of those that 'likewise sample' drew.

    Args:
        counts: The table of 'likewise count DIR --csv', or any with the columns image and count.
        hand: The file of 'likewise sample', its column 'hand' filled in; or a table with image and hand, with --design.
        level: How often the interval is to hold the truth.
        by: Estimate each group of this column, such as plate, too; folder: each folder of pictures.
        compare: Two groups, to say how they differ. [default: where there are two, those]
        design: For hand counts that no 'likewise sample' drew: random says that their pictures were drawn at random.
        estimator: How the total is worked out; to try several and keep the narrowest interval is to fool oneself.
        interval: log: by Student's t on a log scale. t: the same, symmetric. bootstrap: by bootstrap-t.
        taught: A picture that the model was taught by, beside those that the table marks in a column 'taught'. Repeat.
        methods: Print the paragraph for a paper, too.
        as_json: Print one JSON object.
        output: Write it to this file: .json everything, .csv a row a group, .txt what is printed with the paragraph.
        plot: Write a picture to this file: counted against true, and the interval against the number of hand counts.
    """
    from likewise.drawings import save_text
    from likewise.estimation import estimate as work_out

    if output is not None and output.suffix not in _WRITTEN:
        expected = ", ".join(f"{suffix} ({what})" for suffix, what in _WRITTEN.items())
        raise LikewiseError(f"-o {printable(output)}: expected a name that ends in {expected}")
    for option, path in (("-o", output), ("--plot", plot)):
        if path is not None:
            check_file(option, path)
    found = work_out(
        counts,
        hand,
        design,
        level=level,
        by=by,
        compare=None if compare is None else _pair(compare),
        estimator=estimator,
        interval=interval,
        taught=taught,
    )
    found = _with_hash(found)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        save_text(_written(found, output.suffix), output)
    if plot is not None:
        _save_plot(found, plot)
    if as_json:
        say(json_text(found.to_dict()))
        return
    for line in found.lines():
        say(line)
    if methods:
        for line in ("", *found.methods().split("\n")):
            say(line)


def _with_hash(found: Estimate) -> Estimate:
    """The estimate with the SHA-256 of the weights that counted, where they are there."""
    from dataclasses import replace

    from likewise.registry import preset
    from likewise.weights import file_sha256

    model = found.made.about.get("model", "")
    try:
        digest = file_sha256(Path(model)) if Path(model).is_file() else preset(model).card.sha256
    except LikewiseError:  # counts of another program
        return found
    about = {**found.made.about, **({"sha256": digest} if digest else {})}
    return replace(found, made=replace(found.made, about=about))


def _pair(text: str) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise LikewiseError(
            f"--compare {text!r}: expected two groups with a comma between them, such as control,treated"
        )
    return names[0], names[1]


def _written(found: Estimate, suffix: str) -> str:
    if suffix == ".json":
        return json_text(found.to_dict(), indent=2) + "\n"
    if suffix == ".txt":
        return "\n".join([*map(printable, found.lines()), "", found.methods(), ""])
    from likewise.plain_text import csv_field, text_cell

    header = ("group", "pictures", "by_hand", "counted", "total", "low", "high", "mean", "mean_low", "mean_high")
    ends = [("", len(found.names), found.by_hand, found.counted, found.total, found.mean)]
    ends += [(each.name, each.pictures, each.by_hand, each.counted, each.total, each.mean) for each in found.groups]
    lines = [",".join(header)]
    for name, pictures, by_hand, counted, total, mean in ends:
        numbers = (counted, total.value, total.low, total.high, mean.value, mean.low, mean.high)
        cells = ["" if number is None else f"{number:.4f}" for number in numbers]
        lines.append(",".join((csv_field(text_cell(name)), str(pictures), str(by_hand), *cells)))
    return "\n".join(lines) + "\n"


def _save_plot(found: Estimate, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        found.plot().save(path)
    except ValueError as error:  # an ending that is no picture's
        raise LikewiseError(f"--plot {printable(path)}: {error}; expected a name that ends in .png") from None
