"""``likewise eval``: how good a model is on data whose truth is known."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from likewise.cli.measured import show
from likewise.errors import LikewiseError
from likewise.lazy import resolve

#: Task -> what measures it, and the options that are for it alone.
MEASURES = {
    "count": (
        "likewise.cli.eval_count:measure",
        ("category", "exemplars", "both", "prompts", "trust", "sum", "protocol"),
    ),
    "recognize": ("likewise.cli.eval_recognize:measure", ()),
    "segment": ("likewise.cli.eval_segment:measure", ("shots", "fold", "seed")),
}
#: What measures a suite of sets, instead of one set.
SUITE = ("likewise.cli.eval_suite:measure", ("suite", "trust", "sum"))


def evaluate(
    model: str,
    /,
    *,
    data: Path,
    split: str | None = None,
    limit: int | None = None,
    category: str | None = None,
    exemplars: int | None = None,
    prompts: Literal["classes", "texts"] | None = None,
    both: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    trust: Literal["fast", "full"] | None = None,
    plain: Annotated[bool, Parameter(name="--sum", negative="", show_default=False)] = False,
    protocol: str | None = None,
    suite: Literal["generalisation"] | None = None,
    shots: int | None = None,
    fold: int | None = None,
    seed: int | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Measure a model on a folder of data with the metrics of its task.

    A counter that takes names is also asked, of every picture that shows several kinds, for each of them and for one
    that is absent.

    Args:
        model: A name from 'likewise models', or a .safetensors file.
        data: A folder with annotations.json and pictures, or the FSC-147 folder; to recognise, of named pictures.
        split: Only this split, such as val.
        limit: Only the first so many pictures; segmenting, so many episodes of each fold. [default: all; 1000 episodes]
        category: Counting: only this kind of thing, where pictures show several.
        exemplars: Counting: at most so many exemplars a picture; of CARPK and PUCPR+, which have none, own boxes.
        prompts: Counting FSC-147 by name: with its classes' names, or FSC-147-D's descriptions. [default: classes]
        both: Counting: prompt with exemplars and name at once, where the model takes both.
        trust: Counting: judge by what counting works out anyway, or also by looking twice more. [default: fast]
        plain: Counting: sum the density as it is, where the weights take each clear peak for one thing.
        protocol: Counting: read pictures as in the published evaluation of a set, fsc147 or carpk, for a model that has
            one. [default: as the model does anyway]
        suite: Counting: all sets of a suite, in the folders of DATA; limit is of each. generalisation: what was never
            trained on, with template matching beside it.
        shots: Segmenting: examples an episode. [default: 1]
        fold: Segmenting: only the novel classes of this fold. [default: all folds, and their mean]
        seed: Segmenting: of the episodes that are drawn. [default: 0]
        as_json: Print one JSON object, with every picture, instead of a table.

    Returns:
        Exit code: 1 when something of the data could not be used.
    """
    from likewise.predict import load

    if limit is not None and limit < 1:
        raise LikewiseError(f"--limit {limit}: expected at least 1")
    loaded = load(model)
    given = {"category": category, "exemplars": exemplars, "prompts": prompts, "both": both or None}
    given |= {"trust": trust, "sum": plain or None, "protocol": protocol}
    given |= {"shots": shots, "fold": fold, "seed": seed}
    given["suite"] = suite
    where, own = SUITE if suite and loaded.task == "count" else MEASURES[loaded.task]
    for option, value in given.items():
        if value is not None and option not in own:
            whom = (
                f"the suite {suite!r}" if own is SUITE[1] else f"a model that is there to {loaded.task}, as {model} is"
            )
            raise LikewiseError(f"--{option} is not for {whom}")
    if given.pop("sum"):
        loaded = loaded.summed()  # type: ignore[union-attr]  # only counters take the option
    if asked := given.pop("protocol"):
        loaded = resolve("likewise.predict.published_protocol:under_protocol")(loaded, asked)
    chosen = {option: given[option] for option in own if given.get(option) is not None}
    with _progress(shown=not as_json and sys.stderr.isatty()) as advance:
        measured = resolve(where)(loaded, data, split=split, limit=limit, progress=advance, **chosen)
    if as_json:
        print(json.dumps(measured.values))
    else:
        show(measured, f"{model} on {data}{f' ({split})' if split else ''}")
    return 1 if measured.errors else 0


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("measuring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
