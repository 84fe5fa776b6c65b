"""What the corrected pictures of a project teach a counter, kept as a file that can be chosen from then on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from likewise.app.jobs import Job
from likewise.app.limits import RefusedError
from likewise.app.models import ENDING, taught_in_words
from likewise.app.opened import chosen, pixels_of
from likewise.app.project import ProjectPicture
from likewise.app.requests import Body, Name, Pictures
from likewise.predict.cancellation import check_cancelled

if TYPE_CHECKING:
    from likewise.app.workbench import Workbench

#: Learning stops after so long with what it has found.
SECONDS = 90.0


class LearnBody(Body):
    """Which pictures teach, and what the outcome is called."""

    name: str = Field(pattern=r"^[\w][\w-]{0,59}$", description="of the file, without its ending")
    pictures: Pictures = Field(
        default=(), description="that are right as they are; those with corrections teach anyway"
    )
    model: Name | None = Field(default=None, description="that learns; null: the first by example")


def start_learning(bench: Workbench, asked: LearnBody) -> Job:
    """Begin to learn from every picture with corrections, and from those that were looked at and are right.

    Pictures with several kinds, or by name, teach nothing.

    Raises:
        RefusedError: there is such a file already, or too few pictures.
    """
    from likewise.adaptation.adapt import FEWEST

    path = place_of(bench) / f"{asked.name}{ENDING}"
    if path.exists():
        raise RefusedError(409, f"there is a {path.name} already; choose another name")
    right = {picture.name for each in asked.pictures if (picture := bench.store.known(each))}
    teaching = [each for each in bench.kept.pictures() if _teaches(each, right)]
    if len(teaching) < FEWEST:
        raise RefusedError(
            422, f"{len(teaching)} corrected pictures; at least {FEWEST} are needed, five to twenty are better"
        )
    job = Job("learn", [], brief=("learnt", "before", "after", "model"))
    job.steps = [(path.name, lambda: _learn(bench, asked, teaching, path, job))]
    return bench.jobs.start(job)


def _teaches(picture: ProjectPicture, right: set[str]) -> bool:
    one = picture.text is None and not picture.kinds
    return one and picture.count is not None and (picture.by_hand or picture.name in right)


def place_of(bench: Workbench) -> Path:
    """Where what was learnt is kept: beside the pictures, where that can be."""
    folder = bench.folder
    return folder if folder is not None and os.access(folder, os.W_OK) else bench.kept.data


def telling(bench: Workbench, job: Job) -> Callable[[str, float], None]:
    """What tells the page how far learning is, and lets others ask, and cancel, in between."""

    def progress(what: str, share: float) -> None:
        bench.events.tell("learning", job.id, {"id": job.id, "task": job.task, "what": what, "share": round(share, 3)})
        check_cancelled()

    return progress


def _learn(bench: Workbench, asked: LearnBody, teaching: list[ProjectPicture], path: Path, job: Job) -> dict[str, Any]:
    """Learn between the questions of others: each time it tells how far it is, they are answered."""
    from likewise.adaptation.adapt import adapt

    counter = bench.models.anew(asked.model)
    corrections = [_correction(bench, each) for each in teaching]
    mine = adapt(counter, corrections, seconds=SECONDS, progress=telling(bench, job))
    path.parent.mkdir(parents=True, exist_ok=True)
    mine.save(path)
    bench.models.add(path)
    taught = mine.taught
    if taught is None:
        raise RefusedError(422, "nothing was learnt")
    return {
        "learnt": taught_in_words(taught),
        "model": path.name,
        "before": taught.before,
        "after": taught.after,
        "pictures": [
            {"name": each.name, "truth": each.truth, "before": each.before, "after": each.after}
            for each in taught.pictures
        ],
    }


def _correction(bench: Workbench, picture: ProjectPicture) -> Any:
    from likewise.adaptation.corrections import Correction

    found = bench.store.named(picture.name)
    if found is None:
        raise RefusedError(404, f"{picture.name} is not here")
    return Correction(
        found.path if picture.seen is None else pixels_of(chosen(found, picture.seen)),
        exemplars=picture.exemplars,
        negatives=picture.negatives,
        region=picture.region,
        points=[*(point for point, _ in picture.kept), *picture.added],
        name=picture.name,
    )
