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
    from likewise.engine.evaluate import CountReport


def evaluate(
    model: str,
    /,
    *,
    data: Path,
    split: str | None = None,
    category: str | None = None,
    limit: int | None = None,
    exemplars: int | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Count every picture of a data set and compare with the truth.

    Args:
        model: A name from 'likewise models', or a .safetensors file.
        data: A folder with annotations.json and pictures, or the FSC-147 folder.
        split: Only this split, such as val.
        category: Only this kind of thing, where pictures show several.
        limit: Only the first so many pictures.
        exemplars: At most so many exemplars a picture.
        as_json: Print one JSON object, with every picture, instead of a table.

    Returns:
        Exit code: 1 when a picture could not be counted.
    """
    from likewise.data.layouts import open_counting
    from likewise.engine.evaluate import evaluate as measure
    from likewise.predict import load

    dataset = open_counting(data, split, category)
    counter = load(model)
    with _progress(shown=not as_json and sys.stderr.isatty()) as advance:
        report = measure(counter, dataset, limit, exemplars=exemplars, progress=advance)
    if as_json:
        print(json.dumps(report.to_dict()))
    else:
        _show(report, f"{model} on {data}{f' ({split})' if split else ''}")
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


def _show(report: CountReport, title: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    summary = report.summary()
    explained = {
        "images": "pictures counted",
        "mae": "mean absolute error, objects",
        "rmse": "root mean squared error, objects",
        "nae": "mean relative error" + (f", {report.empty} empty pictures left out" if report.empty else ""),
        "sre": "squared relative error",
        "seconds_per_image": "seconds a picture",
    }
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for key, meaning in explained.items():
        value = f"{summary[key]:.1%}" if key == "nae" else f"{summary[key]:.4g}"
        table.add_row(f"[bold]{key}[/]", value, meaning)
    console = Console(highlight=False)
    console.print(escape(title), soft_wrap=True)
    console.print(table)
    for image, error in report.errors:
        print(f"not counted: {image}: {error}", file=sys.stderr)
