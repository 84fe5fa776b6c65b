"""One picture or thousands: what every verb that works through pictures does about it.

A broken picture among several is reported at the end, and a run that was stopped goes on where it stopped when it is
started again: what its CSV file holds is done.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from likewise.cli.inputs import Pictures
from likewise.cli.ledger import Ledger, fingerprint
from likewise.errors import LikewiseError
from likewise.types import Task

if TYPE_CHECKING:
    from PIL import Image
    from rich.progress import Progress


class Job(ABC):
    """What is asked about every picture.

    Attributes:
        doing: the verb as people say it while it is done ...
        done: ... and when it has been.
        table: name of the CSV file in the output folder.
        columns: of the table, beside image, seconds, model and settings.
        task: what the model does.
        suffixes: of the pictures that are written for each picture; a picture that has them all is done.
        model: name or file of the model.
        formats: forms in which each result is written beside its drawings, by name.
    """

    doing: ClassVar[str]
    done: ClassVar[str]
    table: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]]
    task: ClassVar[Task]
    model: str
    formats: tuple[str, ...] = ()

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the results depend on beside the model, as JSON values."""

    def references(self) -> Sequence[Path]:
        """Files that are only read: no drawing may take their place."""
        return ()

    @abstractmethod
    def load(self) -> Callable[[Path], Any]:
        """What turns a picture's path into a result: the model is loaded here, and only if anything is to be done."""

    @abstractmethod
    def row(self, result: Any) -> Sequence[object]:
        """A result's values of ``columns``."""

    @abstractmethod
    def line(self, result: Any) -> str:
        """A result in a few words."""

    def remarks(self, result: Any) -> Sequence[str]:
        """What is to be said about a result, each on a line of its own."""
        return ()

    @abstractmethod
    def drawings(self, result: Any) -> Sequence[Image.Image]:
        """The pictures that go with ``suffixes``."""

    def files(self) -> tuple[str, ...]:
        """What stands behind a picture's name in everything that is written for it, the drawings first.

        Raises:
            LikewiseError: there is no such form.
        """
        if not self.formats:
            return self.suffixes
        from likewise.results.formats import format_suffix

        return self.suffixes + tuple(format_suffix(self.task, name) for name in self.formats)

    def texts(self, result: Any) -> list[str]:
        """A result in the ``formats``."""
        if not self.formats:
            return []
        from likewise.results.formats import format_of

        return [format_of(self.task, name).write([result.annotations], {}) for name in self.formats]

    def fingerprint(self) -> str:
        """Changes with everything the results depend on, the weights included."""
        import likewise

        return fingerprint({"version": likewise.__version__, **self._weights(), **self.settings()})

    def _weights(self) -> dict[str, Any]:
        from likewise.registry import preset
        from likewise.weights import file_sha256

        file = Path(self.model)
        return {"model": self.model, "weights": file_sha256(file) if file.is_file() else preset(self.model).card.sha256}


@dataclass(frozen=True)
class Output:
    """What becomes of the results.

    Attributes:
        as_json: one JSON object a picture on stdout, and nothing else there.
        csv: the table; None: one in ``folder`` where there are several pictures.
        folder: where drawings go; None: nowhere.
        overwrite: do everything again, also what the table holds.
    """

    as_json: bool = False
    csv: Path | None = None
    folder: Path | None = None
    overwrite: bool = False


def run_through(pictures: Pictures, job: Job, output: Output) -> int:
    """Work through pictures; the exit code, 1 when one among several failed.

    Raises:
        LikewiseError: a file would have a reference's place, or there is no folder for the forms that are asked for.
    """
    paths, several = pictures.paths, pictures.several
    if job.formats and output.folder is None:
        raise LikewiseError(f"--format {job.formats[0]} writes a file for each picture; say where to with --output DIR")
    table = output.csv
    if table is None and output.folder is not None and several:
        table = output.folder / job.table
    drawings = dict(zip(paths, _drawings(paths, output.folder, job.files()), strict=True))
    _spare(job.references(), [drawing for each in drawings.values() for drawing in each])
    ledger = None if table is None else Ledger(table, job.columns, job.fingerprint(), overwrite=output.overwrite)
    todo = [p for p in paths if ledger is None or p not in ledger or not all(d.exists() for d in drawings[p])]
    run = _Run(job, ledger, drawings, as_json=output.as_json, several=several)
    if todo:
        run.work_through(todo)
    return run.report(skipped=len(paths) - len(todo))


class _Run:
    """One pass over the pictures: asks, writes and prints as it goes, and remembers what failed."""

    def __init__(
        self, job: Job, ledger: Ledger | None, drawings: dict[Path, list[Path]], *, as_json: bool, several: bool
    ) -> None:
        self._job = job
        self._ledger = ledger
        self._drawings = drawings
        self._as_json = as_json
        self._several = several
        self._failures: dict[Path, Exception] = {}

    def work_through(self, pictures: list[Path]) -> None:
        """Ask about every picture; a broken one among several is remembered, a single one raises."""
        ask = self._job.load()
        with _progress(shown=self._several) as progress:
            for picture in progress.track(pictures, description=self._job.doing):
                try:
                    self._write(picture, ask(picture))
                except Exception as error:  # noqa: BLE001  # one picture must not stop a folder, whatever is wrong with it
                    self._fail(picture, error)

    def report(self, *, skipped: int) -> int:
        """Say on stderr what was left out and what failed; the exit code."""
        if skipped:
            print(f"{skipped} already {self._job.done}, skipped (--overwrite does them again)", file=sys.stderr)
        if self._failures:
            print(f"{len(self._failures)} could not be {self._job.done}:", file=sys.stderr)
        for picture, error in self._failures.items():
            print(f"  {_reason(picture, error)}", file=sys.stderr)
        return 1 if self._failures else 0

    def _write(self, picture: Path, result: Any) -> None:
        """The drawings first: a row in the ledger means that everything about its picture is there."""
        paths = self._drawings[picture]
        if paths:
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            drawings = self._job.drawings(result)
            for path, drawing in zip(paths, drawings, strict=False):
                drawing.save(path)
            for path, text in zip(paths[len(drawings) :], self._job.texts(result), strict=True):
                path.write_text(text, encoding="utf-8")
        if self._ledger is not None:
            self._ledger.add(picture, self._job.row(result), result)
        if self._as_json:
            _print_json(result.to_dict())
        else:
            print(f"{picture}: {self._job.line(result)}" + "".join(f"  {path}" for path in paths), flush=True)
            for remark in self._job.remarks(result):
                print(f"  ! {remark}", flush=True)

    def _fail(self, picture: Path, error: Exception) -> None:
        if self._as_json:
            _print_json({"image": str(picture), "error": _reason(None, error)})
        if not self._several:
            raise error
        self._failures[picture] = error


def _drawings(pictures: list[Path], folder: Path | None, suffixes: Sequence[str]) -> list[list[Path]]:
    """Where each picture's drawings go: NAME_count.png, or NAME.jpg_count.png where two have one name."""
    if folder is None:
        return [[] for _ in pictures]
    stems = [picture.stem for picture in pictures]
    names = [p.stem if stems.count(p.stem) == 1 else p.name for p in pictures]
    if len(set(names)) < len(names):
        names = ["_".join(p.parts[-2:]) for p in pictures]
    return [[folder / (name + suffix) for suffix in suffixes] for name in names]


def _spare(references: Sequence[Path], drawings: Sequence[Path]) -> None:
    """Refuse to draw over what somebody else made.

    Raises:
        LikewiseError: a drawing would have a reference's place.
    """
    theirs = {path.resolve() for path in references}
    for drawing in drawings:
        if drawing.resolve() in theirs:
            raise LikewiseError(f"{drawing} is given as an example and would be drawn over; choose another --output")


def _reason(picture: Path | None, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, LikewiseError):
        text = f"{type(error).__name__}: {text}"
    return text if picture is None or str(picture) in text else f"{picture}: {text}"


def _print_json(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Progress]:
    """A progress bar on stderr where that is a terminal; it never takes what is printed to a piped stdout."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not (shown and console.is_terminal)
    with Progress(*columns, console=console, disable=hidden, redirect_stdout=sys.stdout.isatty()) as progress:
        yield progress
