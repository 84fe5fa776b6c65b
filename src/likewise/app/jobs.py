"""Work on many pictures, step by step: progress can be read, and it can be stopped between two pictures."""

from __future__ import annotations

import errno
import json
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from likewise.app.limits import RefusedError
from likewise.app.worker import Worker
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.predict.cancellation import CancelledQuestionError

State = Literal["running", "done", "cancelled", "failed"]
#: Finished jobs that are remembered.
KEPT = 16
#: What no later step of a job will be spared.
FULL = (errno.ENOSPC, errno.EDQUOT)

Step = Callable[[], dict[str, Any]]


def _nothing() -> None:
    """There is nothing to finish, or to clear away."""


@dataclass
class Job:
    """What is being done to many pictures.

    Attributes:
        task: "count", "segment", "recognize" or "overlays".
        steps: one a picture; each gives a record for the page.
        finish: called after the last step; a file to download, or None.
        discard: called instead where the job is cancelled or fails: removes what it has written.
        brief: names of a record's parts that the table of pictures shows.
        records: what the steps gave, as JSON: a hundredth of what the numbers take as objects.
        briefs: the same, in brief.
        failed: steps that gave an error.
        before: pictures that were done when the job went on after it had been stopped.
        kept: whether what it finds is kept in the project; such a job can be stopped and go on.
    """

    task: str
    steps: Sequence[tuple[str, Step]]
    finish: Callable[[], Path | None] = _nothing
    discard: Callable[[], None] = _nothing
    brief: Sequence[str] = ()
    before: int = 0
    kept: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "running"
    records: list[str] = field(default_factory=list)
    briefs: list[str] = field(default_factory=list)
    failed: int = 0
    error: str | None = None
    file: Path | None = None

    def to_dict(self, after: int = 0, *, brief: bool = False) -> dict[str, Any]:
        """The job as JSON values, with the records, whole or in brief, from number ``after`` on."""
        records = self.briefs if brief else self.records
        return {
            "id": self.id,
            "task": self.task,
            "state": self.state,
            "done": self.before + len(self.records),
            "total": self.before + len(self.steps),
            "failed": len(self.steps) if self.state == "failed" else self.failed,
            "records": [json.loads(record) for record in records[after:]],
            "error": self.error,
            "file": self.file is not None,
            "kept": self.kept,
        }

    def add(self, record: dict[str, Any]) -> None:
        """Take in what a step gave."""
        self.records.append(json_text(record))
        kept = ("picture", "image", "error", "question", *self.brief)
        self.briefs.append(json_text({name: record[name] for name in kept if name in record}))


class Jobs:
    """All jobs; their steps are done by the worker, in turns where there are several.

    A job always ends: done, with its file; or cancelled or failed, with nothing left of what it wrote.

    Args:
        worker: does the steps.
        most: jobs that may be running.
        tell: told of a job whenever it is further than it was.
    """

    def __init__(self, worker: Worker, most: int, tell: Callable[[Job], None] = lambda _: None) -> None:
        self._worker = worker
        self._most = most
        self._tell = tell
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, job: Job) -> Job:
        """Begin with a job.

        Raises:
            RefusedError: too many are running, or it has nothing to do.
        """
        if not job.steps:
            raise RefusedError(422, "no pictures to work through; name at least one")
        with self._lock:
            running = [each for each in self._jobs.values() if each.state == "running"]
            if len(running) >= self._most:
                raise RefusedError(429, f"{len(running)} jobs are running; wait for one, or stop one")
            for old in [each for each in self._jobs.values() if each.state != "running"][:-KEPT]:
                self._forget(old)
            self._jobs[job.id] = job
        self._tell(job)
        self._worker.step(lambda: self._go_on(job))
        return job

    def listed(self) -> list[Job]:
        """Every job that is remembered, in the order they began."""
        return list(self._jobs.values())

    def get(self, job_id: str) -> Job:
        """The job of that id.

        Raises:
            RefusedError: there is none.
        """
        if job_id not in self._jobs:
            raise RefusedError(404, "no such job; it may have been forgotten after others")
        return self._jobs[job_id]

    def cancel(self, job_id: str) -> Job:
        """Stop a job at the next tile; the pictures that are done stay."""
        job = self.get(job_id)
        if job.state == "running":
            job.state = "cancelled"
            self._tell(job)
        return job

    def _go_on(self, job: Job) -> None:
        try:
            if job.state == "running" and self._step(job):
                self._worker.step(lambda: self._go_on(job))
                return
            if job.state == "running":
                job.file = job.finish()
                job.state = "done"
        except BaseException as error:  # noqa: BLE001  # whatever it is, it ends this job and nothing else
            job.error, job.state = _told(error), "failed"
        self._tell(job)
        if job.state != "done":
            job.discard()

    def _step(self, job: Job) -> bool:
        """Do the next picture; whether there are more."""
        name, step = job.steps[len(job.records)]
        try:
            with self._worker.between_tiles(lambda: job.state != "running"):
                job.add({**step(), "picture": name})
        except CancelledQuestionError:
            job.state = "cancelled"
            return False
        except Exception as error:  # one picture must not stop the others
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            told = str(error) if isinstance(error, LikewiseError) else f"unexpected {_kind(error)}"
            job.add({"image": name, "error": told, "picture": name})
            job.failed += 1
        self._tell(job)
        return len(job.records) < len(job.steps)

    def _forget(self, job: Job) -> None:
        if job.file is not None:
            job.file.unlink(missing_ok=True)
        del self._jobs[job.id]


def _kind(error: BaseException) -> str:
    return type(error).__name__


def _told(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"the file could not be written, and what there was of it is removed: {error.strerror or _kind(error)}"
    return f"unexpected {_kind(error)}"
