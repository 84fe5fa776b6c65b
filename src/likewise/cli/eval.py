"""``likewise eval``: how well a model counts a folder of pictures whose counts are known."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.table import Table

    from likewise.engine.evaluate import CountReport
    from likewise.engine.sensitivity import Sensitivity


def evaluate(
    model: str,
    /,
    *,
    data: Path,
    split: str | None = None,
    category: str | None = None,
    limit: int | None = None,
    exemplars: int | None = None,
    both: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Count every picture of a data set and compare with the truth.

    A model that takes names is also asked, of every picture that shows several kinds, for each of them and for one
    that is absent.

    Args:
        model: A name from 'likewise models', or a .safetensors file.
        data: A folder with annotations.json and pictures, or the FSC-147 folder.
        split: Only this split, such as val.
        category: Only this kind of thing, where pictures show several.
        limit: Only the first so many pictures.
        exemplars: At most so many exemplars a picture.
        both: Prompt with exemplars and name at once, where the model takes both.
        as_json: Print one JSON object, with every picture, instead of a table.

    Returns:
        Exit code: 1 when a picture could not be counted.
    """
    from likewise.data.folder import CountingFolder
    from likewise.data.layouts import open_counting
    from likewise.engine.evaluate import evaluate as measure
    from likewise.engine.evaluate import takes
    from likewise.engine.sensitivity import prompt_sensitivity
    from likewise.predict import load

    dataset = open_counting(data, split, category)
    counter = load(model)
    with _progress(shown=not as_json and sys.stderr.isatty()) as advance:
        report = measure(counter, dataset, limit, exemplars=exemplars, both=both, progress=advance)
        several = isinstance(dataset, CountingFolder) and len(dataset.categories) > 1
        asked = several and "text" in takes(counter)
        kinds = CountingFolder(data, split, category, targets="all") if asked else None
        prompts = None if kinds is None else prompt_sensitivity(counter, kinds, limit, progress=advance)
    if as_json:
        print(json.dumps(report.to_dict() | ({} if prompts is None else {"prompts": prompts.to_dict()})))
    else:
        _show(report, prompts, f"{model} on {data}{f' ({split})' if split else ''}")
    return 1 if report.errors else 0


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("counting", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(report: CountReport, prompts: Sensitivity | None, title: str) -> None:
    from rich.console import Console
    from rich.markup import escape

    summary = report.summary()
    rows = [
        ("images", f"{summary['images']:.0f}", "pictures counted"),
        ("mae", f"{summary['mae']:.4g}", "mean absolute error, objects"),
        ("rmse", f"{summary['rmse']:.4g}", "root mean squared error, objects"),
        (
            "nae",
            f"{summary['nae']:.1%}",
            f"mean relative error{f', {report.empty} empty pictures left out' * bool(report.empty)}",
        ),
        ("sre", f"{summary['sre']:.4g}", "squared relative error"),
        ("seconds_per_image", f"{summary['seconds_per_image']:.4g}", "seconds a picture"),
    ]
    console = Console(highlight=False)
    console.print(escape(title), soft_wrap=True)
    console.print(_table(rows))
    if prompts is not None:
        console.print(f"asked for each kind by name in {prompts.pictures} pictures that show several")
        console.print(_table(_prompt_rows(prompts)))
    for image, error in report.errors:
        print(f"not counted: {image}: {error}", file=sys.stderr)


def _prompt_rows(prompts: Sensitivity) -> list[tuple[str, str, str]]:
    return [
        ("follows", f"{prompts.follows:.1%}", "of pairs of kinds, the count moves to the one that is named"),
        ("nae", f"{prompts.nae:.1%}", "mean relative error of the named kind"),
        ("absent", f"{prompts.absent:.1%}", "counted for a name that is not there, of the objects that are"),
    ]


def _table(rows: list[tuple[str, str, str]]) -> Table:
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value, meaning in rows:
        table.add_row(f"[bold]{name}[/]", value, meaning)
    return table
