"""``likewise eval``: how good a model is on data whose truth is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from likewise.cli.measured import show
from likewise.cli.terminal import say
from likewise.errors import LikewiseError, nearest
from likewise.json_text import json_text
from likewise.lazy import resolve

#: Task -> what measures it, and the options that are for it alone.
MEASURES = {
    "count": (
        "likewise.cli.eval_count:measure",
        ("category", "exemplars", "both", "prompts", "trust", "sum", "protocol"),
    ),
    "recognize": ("likewise.cli.eval_recognize:measure", ()),
    "segment": ("likewise.cli.eval_segment:measure", ("shots", "fold", "seed", "support")),
}
#: What measures a suite of sets, instead of one set.
SUITES = {
    "generalisation": ("likewise.cli.eval_suite:measure", ("suite", "trust", "sum")),
    "kinds": ("likewise.cli.eval_kinds:measure", ("suite", "sum")),
    "names": ("likewise.cli.eval_names:measure", ("suite", "sum")),
}
#: Protocols that ask pictures for several things each, of any counter; other protocols are a model's own.
TESTS = {
    "pairtally": ("likewise.cli.eval_prompts:measure_pairtally", ("prompts", "sum", "protocol")),
    "praco": ("likewise.cli.eval_prompts:measure_praco", ("prompts", "sum", "protocol")),
}


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
    protocol: Annotated[Sequence[str], Parameter(negative="", metavar="NAME", show_default=False)] = (),
    suite: Literal["generalisation", "kinds", "names"] | None = None,
    shots: int | None = None,
    fold: int | None = None,
    seed: int | None = None,
    support: Literal["mask", "box", "click"] | None = None,
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
        protocol: Counting: as in a published evaluation. fsc147, carpk: as its authors measured the model on that set,
            where they did. pairtally, praco: does the count follow the prompt? Pictures are asked for each kind that
            they show, or for what they do not show. Repeat to combine. [default: the model's own]
        suite: Counting: all sets of a suite, in the folders of DATA; limit is of each. generalisation: what was never
            trained on, with template matching beside it. kinds: several kinds at once, each place as one of them.
            names: by name, in photographs.
        shots: Segmenting: examples an episode. [default: 1]
        fold: Segmenting: only the novel classes of this fold. [default: all folds, and their mean]
        seed: Segmenting: of the episodes that are drawn. [default: 0]
        support: Segmenting: show the examples' masks, a box round each, or one click on each. [default: mask]
        as_json: Print one JSON object, with every picture, instead of a table.

    Returns:
        Exit code: 1 when something of the data could not be used.
    """
    from likewise.predict import load

    if limit is not None and limit < 1:
        raise LikewiseError(f"--limit {limit}: expected at least 1")
    loaded = load(model)
    given = {"category": category, "exemplars": exemplars, "prompts": prompts, "both": both or None}
    given |= {"trust": trust, "sum": plain or None, "protocol": " ".join(protocol) or None}
    given |= {"shots": shots, "fold": fold, "seed": seed, "support": support}
    given["suite"] = suite
    where, own, whom = _measure(loaded.task, model, suite, protocol)
    for option, value in given.items():
        if value is not None and option not in own:
            raise LikewiseError(f"--{option} is not for {whom}")
    if given.pop("sum"):
        loaded = loaded.summed()  # type: ignore[union-attr]  # only counters take the option
    del given["protocol"]
    for asked in protocol:
        if asked not in TESTS:
            loaded = resolve("likewise.predict.published_protocol:under_protocol")(loaded, asked)
    chosen = {option: given[option] for option in own if given.get(option) is not None}
    with _progress(shown=not as_json and sys.stderr.isatty()) as advance:
        measured = resolve(where)(loaded, data, split=split, limit=limit, progress=advance, **chosen)
    if as_json:
        say(json_text(measured.values))
    else:
        show(measured, f"{model} on {data}{f' ({split})' if split else ''}")
    return 1 if measured.errors else 0


def _measure(task: str, model: str, suite: str | None, protocol: Sequence[str]) -> tuple[str, tuple[str, ...], str]:
    """What measures, which options it takes, and what it is called in the error of another one."""
    tests = [each for each in protocol if each in TESTS]
    for each in protocol:
        if each not in TESTS and get_close_matches(each, TESTS):  # what is like none of them is a model's own, or not
            raise LikewiseError(f"there is no protocol {each!r}{nearest(each, TESTS)}")
    if task != "count" or not (suite or tests):
        return *MEASURES[task], f"a model that is there to {task}, as {model} is"
    if suite:
        return *SUITES[suite], f"the suite {suite!r}"
    if len(tests) > 1:
        raise LikewiseError(f"--protocol {' and '.join(tests)}: expected one of them, which is a test of its own")
    return *TESTS[tests[0]], f"the protocol {tests[0]!r}"


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
