"""``likewise calibrate`` for what recognises: teach weights to say that a picture shows none of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.inputs import find_pictures
from likewise.cli.terminal import say, tell
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.predict import Recognizer


def calibrate_recognizer(
    recognizer: Recognizer, data: Sequence[str], unknown: Sequence[str], output: Path, limit: int | None
) -> None:
    """Learn from pictures that show one of the classes, write the weights, and tell how others fare.

    Args:
        recognizer: whose weights.
        data: folders of named pictures, a split after a colon.
        unknown: folders, or globs, of pictures that show none of the classes.
        output: the safetensors file to write.
        limit: only the first so many pictures of each.
    """
    from likewise.data.open_dataset import open_named
    from likewise.engine.open_set import ACCEPTED, auroc, check_enough, familiarities, fit_open_set
    from likewise.weights import half_is_exact, save_checkpoint

    sets = [open_named(Path(where.partition(":")[0]), where.partition(":")[2] or None) for where in data]
    sets = [each.relabelled(recognizer.labels) for each in sets]
    files = [each.root / name for each in sets for name in each.names[:limit]]
    check_enough(len(files))
    others = {where: list(islice(find_pictures([where], "calibrate"), limit)) for where in unknown}
    known = familiarities(recognizer, files, tell)
    learnt = fit_open_set(known)
    network: Any = recognizer.model  # of any method
    network.config = replace(network.config, open_set=learnt)
    save_checkpoint(output, network, half=half_is_exact(network))
    taken = sum(value >= learnt.threshold for value in known)
    say(f"threshold {learnt.threshold:g}: {taken} of {len(known)} that show one of the classes are taken for one")
    for where, paths in others.items():
        found = familiarities(recognizer, paths, tell)
        if found:
            refused = sum(value < learnt.threshold for value in found)
            say(f"{where}: {refused} of {len(found)} are none of these, AUROC {auroc(known, found):.3f}")
    say(f"{output}, learnt from {len(known)} pictures, of which {ACCEPTED:.0%} are to be taken for one of the classes")


def check_options(asked: dict[str, object], name: str) -> None:
    """See that nothing was asked that is for counters only.

    Raises:
        LikewiseError: something was.
    """
    given = [option for option, value in asked.items() if value]
    if given:
        raise LikewiseError(f"{given[0]} is for counters; {name} recognises: give --data, --unknown and --limit")
