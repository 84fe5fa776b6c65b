"""Work on many pictures, step by step: progress can be read, and it can be stopped between two pictures."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from likewise.app.limits import RefusedError
from likewise.app.worker import Worker
from likewise.errors import LikewiseError

State = Literal["running", "done", "cancelled", "failed"]
#: Finished jobs that are remembered.
KEPT = 16

Step = Callable[[], dict[str, Any]]


@dataclass
class Job:
    """What is being done to many pictures.

    Attributes:
        task: "count", "segment", "recognize" or "overlays".
        steps: one a picture; each gives a record for the page.
        finish: called after the last step; a file to download, or None.
    """

    task: str
    steps: Sequence[tuple[str, Step]]
    finish: Callable[[], Path | None]
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "running"
    records: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    file: Path | None = None

    def to_dict(self, after: int = 0) -> dict[str, Any]:
        """The job as JSON values, with the records from number ``after`` on."""
        return {
            "id": self.id,
            "task": self.task,
            "state": self.state,
            "done": len(self.records),
            "total": len(self.steps),
            "failed": sum("error" in record for record in self.records),
            "records": self.records[after:],
            "error": self.error,
            "file": self.file is not None,
        }


class Jobs:
    """All jobs; their steps are done by the worker, in turns where there are several."""

    def __init__(self, worker: Worker, most: int) -> None:
        self._worker = worker
        self._most = most
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
        self._worker.step(lambda: self._go_on(job))
        return job

    def get(self, job_id: str) -> Job:
        """The job of that id.

        Raises:
            RefusedError: there is none.
        """
        if job_id not in self._jobs:
            raise RefusedError(404, "no such job; it may have been forgotten after others")
        return self._jobs[job_id]

    def cancel(self, job_id: str) -> Job:
        """Stop a job after the picture it is at; what it has done stays."""
        job = self.get(job_id)
        if job.state == "running":
            job.state = "cancelled"
        return job

    def _go_on(self, job: Job) -> None:
        if job.state != "running":
            unfinished = job.finish()
            if unfinished is not None:
                unfinished.unlink(missing_ok=True)
            return
        name, step = job.steps[len(job.records)]
        try:
            record = step()
        except LikewiseError as error:
            record = {"image": name, "error": str(error)}
        except Exception as error:  # noqa: BLE001  # one picture must not stop the others
            record = {"image": name, "error": f"unexpected {type(error).__name__}"}
        job.records.append({**record, "picture": name})
        if len(job.records) < len(job.steps):
            self._worker.step(lambda: self._go_on(job))
        else:
            self._end(job)

    def _end(self, job: Job) -> None:
        try:
            job.file = job.finish()
            job.state = "done"
        except OSError as error:
            job.error, job.state = f"the file could not be written: {error.strerror}", "failed"

    def _forget(self, job: Job) -> None:
        if job.file is not None:
            job.file.unlink(missing_ok=True)
        del self._jobs[job.id]
