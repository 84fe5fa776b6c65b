"""``likewise adapt``: teach a counter what a few corrected pictures show, or a recogniser names of one's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from likewise.cli.taught import print_candidates, taught_values
from likewise.cli.terminal import say, tell
from likewise.cli.writable import check_file
from likewise.errors import LikewiseError
from likewise.json_text import json_text


def adapt(
    model: str,
    /,
    *,
    data: Annotated[Path, Parameter(metavar="DIR")],
    output: Annotated[Path, Parameter(name=("--output", "-o"), metavar="CARD.safetensors")],
    split: str | None = None,
    category: str | None = None,
    limit: int | None = None,
    seconds: float = 60.0,
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> None:
    """Teach a counter what a few corrected pictures show, or a recogniser your names, and write that as a file.

    The file is given wherever a model is named: likewise count dishes/ --model CARD.safetensors. It counts pictures
    without any box by the examples that it was shown, and others by their own boxes. Each corrected picture is left out
    in turn, to see whether what the others teach helps; what does not is not kept. Five to twenty pictures are right,
    three are the least.

    DIR is a counting folder, such as the workbench's COCO export as annotations.json beside the pictures. A picture is
    corrected by its points, or by its count alone; "region", a list of corners [x, y], says which part was reviewed.

    A recogniser (cam-lite; s3n-lite for groceries) learns names from a folder a name, two pictures each or more, in
    seconds. It forgets those that it knew: likewise recognize garden.jpg --model CARD.safetensors.

    Args:
        model: A name from 'likewise models', or a .safetensors file.
        data: A folder with annotations.json and pictures; for a recogniser, a folder of named pictures.
        output: The file to write.
        split: Only this split, such as train.
        category: Only this kind of thing, where pictures show several.
        limit: Only the first so many pictures.
        seconds: After so long, the best that was found is kept; Ctrl-C does the same at once.
        seed: Of what is drawn while learning.
        as_json: Print what was learnt as a JSON object instead.
    """
    from likewise.adaptation.adapt import adapt as teach
    from likewise.adaptation.corrections import read_corrections
    from likewise.cli.adapt_recognizer import adapt_to_names, check_options, print_names
    from likewise.predict import Counter, NamedCounter, Recognizer, load, load_counter

    if limit is not None and limit < 1:
        raise LikewiseError(f"--limit {limit}: expected at least 1")
    if output.suffix != ".safetensors":
        raise LikewiseError(f"-o {output}: expected a name that ends in .safetensors, such as mine.safetensors")
    check_file("-o", output)
    loaded = load(model)
    if isinstance(loaded, Recognizer) and not (data / "annotations.json").is_file():
        check_options({"--category": category, "--limit": limit}, model)
        with _progress(shown=not as_json and sys.stderr.isatty()) as progress:
            named = adapt_to_names(loaded, data, split, output, progress)
        print_names(named, output, as_json=as_json)
        return
    counter = loaded if isinstance(loaded, (Counter, NamedCounter)) else load_counter(model)
    corrections, notes = read_corrections(data, split, category, limit)
    for note in notes:
        tell(note)
    with _progress(shown=not as_json and sys.stderr.isatty()) as progress:
        adapted = teach(counter, corrections, seconds=seconds, seed=seed, progress=progress)
    adapted.save(output)
    if adapted.taught is None:
        return
    if as_json:
        say(json_text({"file": str(output), **taught_values(adapted.taught)}))
        return
    print_candidates(adapted.taught)
    say(output)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[str, float], None] | None]:
    """A bar with the time that is left, on stderr."""
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("adapting", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
