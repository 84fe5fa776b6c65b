"""What the named pictures of a project teach a recogniser, kept as a file that can be chosen from then on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from likewise.app.jobs import Job
from likewise.app.learn import place_of, telling
from likewise.app.limits import RefusedError
from likewise.app.models import ENDING
from likewise.app.opened import check_whole, chosen, pixels_of
from likewise.app.project import ProjectPicture
from likewise.app.requests import Body, Name

if TYPE_CHECKING:
    from likewise.app.workbench import Workbench

#: Whose trunk is used: that of photographs of all kinds.
TRUNK = "cam-lite"


class TeachBody(Body):
    """What the outcome is called; what teaches are the names that the project's pictures were given."""

    name: str = Field(pattern=r"^[\w][\w-]{0,59}$", description="of the file, without its ending")
    model: Name = Field(default=TRUNK, description="a recogniser, whose trunk is used")


def start_teaching(bench: Workbench, asked: TeachBody) -> Job:
    """Begin to learn from every picture that a person named.

    Raises:
        LikewiseError: there is such a file already, or these names or so few pictures teach nothing.
    """
    from likewise.adaptation.recognizer import labels_of

    path = place_of(bench) / f"{asked.name}{ENDING}"
    if path.exists():
        raise RefusedError(409, f"there is a {path.name} already; choose another name")
    named = [each for each in bench.kept.pictures() if each.label is not None]
    labels_of([each.label or "" for each in named])
    job = Job("teach", [], brief=("taught", "right", "pictures", "refuses", "model"))
    job.steps = [(path.name, lambda: _teach(bench, asked, named, path, job))]
    return bench.jobs.start(job)


def _teach(bench: Workbench, asked: TeachBody, named: list[ProjectPicture], path: Path, job: Job) -> dict[str, Any]:
    """Learn between the questions of others, which are answered between two pictures."""
    from likewise.adaptation.recognizer import adapt_recognizer

    pictures = [(_pixels(bench, each), each.label or "") for each in named]
    recognizer = bench.models.named(asked.model, "recognize")
    mine = adapt_recognizer(recognizer, pictures, progress=telling(bench, job))
    path.parent.mkdir(parents=True, exist_ok=True)
    mine.save(path)
    bench.models.add(path)
    taught = mine.taught
    if taught is None:
        raise RefusedError(422, "nothing was learnt")
    return {
        "taught": str(taught),
        "model": path.name,
        "right": taught.right,
        "refuses": mine.model.config.open_set is not None,
        "pictures": [
            {"name": each.name, "truth": each.label, "found": found.found}
            for each, found in zip(named, taught.pictures, strict=True)
        ],
    }


def _pixels(bench: Workbench, named: ProjectPicture) -> Any:
    found = bench.store.named(named.name)
    if found is None:
        raise RefusedError(404, f"{named.name} is not here")
    check_whole(found)
    return found.path if named.seen is None else pixels_of(chosen(found, named.seen))
