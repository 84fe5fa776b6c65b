"""One picture or thousands: what every verb that works through pictures does about it.

A broken picture among several is reported at the end, and a run that was stopped goes on where it stopped when it is
started again: what its CSV file holds is done.
"""

from __future__ import annotations

import errno
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from likewise.cli.inputs import Pictures
from likewise.cli.ledger import Ledger, fingerprint, stamp_of
from likewise.cli.lock import locked
from likewise.cli.terminal import say, tell
from likewise.drawings import plan_drawings, save_drawing, save_form
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.plain_text import printable
from likewise.types import Task

if TYPE_CHECKING:
    from PIL import Image
    from rich.progress import Progress


#: Errors of a disk on which nothing more can be written.
NO_ROOM = frozenset((errno.ENOSPC, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)))


class NoRoomError(LikewiseError):
    """Nothing more can be written: to go on would be in vain."""


class Job(ABC):
    """What is asked about every picture.

    Attributes:
        doing: the verb as people say it while it is done ...
        done: ... and when it has been.
        table: name of the CSV file in the output folder.
        columns: of the table, beside those that every table has (`likewise.cli.ledger.Ledger`).
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

    def asked(self) -> dict[str, Any]:
        """What the table is to tell of the question, as JSON values; nothing where the model is all of it."""
        return {}

    def notes(self, pictures: Sequence[Path]) -> Sequence[str]:  # for those who need them
        """What is to be said before these pictures are worked through."""
        return ()

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

    def parts(self, result: Any) -> Sequence[str]:
        """What a single picture's result is made of, each on a line of its own."""
        return ()

    def record(self, result: Any) -> dict[str, Any]:
        """A result as plain JSON values."""
        found: dict[str, Any] = result.to_dict()
        return found

    @abstractmethod
    def drawings(self, result: Any) -> Sequence[Image.Image]:
        """The pictures that go with ``suffixes``."""

    def text_suffixes(self) -> tuple[str, ...]:
        """Of what is written in the ``formats``.

        Raises:
            LikewiseError: there is no such form.
        """
        if not self.formats:
            return ()
        from likewise.results.formats import format_suffix

        return tuple(format_suffix(self.task, name) for name in self.formats)

    def texts(self, result: Any) -> list[Callable[[Path], object]]:
        """What writes a result to a path, for each of the `text_suffixes`."""
        if not self.formats:
            return []
        from likewise.results.formats import written

        return [write for _, write in written(self.task, self.formats, result.annotations)]

    def fingerprint(self) -> str:
        """Changes with everything the results depend on, the weights included."""
        import likewise

        return fingerprint({"version": likewise.__version__, **self._weights(), **self.settings()})

    def weights_file(self) -> Path | None:
        """The file of the model's weights, as it was given, or the bundled one's name; None where there is none."""
        from likewise.registry import preset

        file = Path(self.model)
        if file.is_file():
            return file
        bundled = preset(self.model).card.file
        return None if bundled is None else Path(bundled)

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
    """Work through pictures; the exit code: 1 when one among several failed, 130 when the user stopped it.

    Raises:
        LikewiseError: nothing can be done; another run writes the same table; the disk is full; a file would have a
            reference's place, or there is no folder for the forms that are asked for.
    """
    if job.formats and output.folder is None:
        raise LikewiseError(f"--format {job.formats[0]} writes a file for each picture; say where to with --output DIR")
    suffixes = job.suffixes + job.text_suffixes()
    table = output.csv
    if table is None and output.folder is not None and pictures.several:
        table = output.folder / job.table
    if output.folder is not None:
        _spare(job.references(), [output.folder / (p.stem + end) for p in pictures.paths for end in suffixes])
    with nullcontext() if table is None else locked(table):
        ledger = None if table is None else _ledger(table, job, overwrite=output.overwrite)
        return _Run(pictures, job, output, ledger, table).through()


def _ledger(table: Path, job: Job, *, overwrite: bool) -> Ledger:
    """The table, and on stderr what is wrong with it."""
    asked = json_text(job.asked(), ascii_only=False) if job.asked() else ""
    weights = str(job.weights_file() or job.model)
    ledger = Ledger(table, job.columns, job.fingerprint(), overwrite=overwrite, weights=weights, prompt=asked)
    if ledger.damaged:
        lines = f"{ledger.damaged} line{'s' * (ledger.damaged > 1)}"
        tell(f"{table}: {lines} not whole, cut off; what is missing is {job.done} again")
    return ledger


class _Run:
    """One pass over the pictures: asks, writes and prints as it goes, and remembers what failed."""

    def __init__(self, pictures: Pictures, job: Job, output: Output, ledger: Ledger | None, table: Path | None) -> None:
        self._job = job
        self._ledger = ledger
        self._table = table
        self._paths = pictures.paths
        planned = plan_drawings(pictures.paths, output.folder, job.suffixes, job.text_suffixes())
        self._drawings = dict(zip(pictures.paths, planned, strict=True))
        self._as_json = output.as_json
        self._several = pictures.several
        self._failures: dict[Path, Exception] = {}
        self._done: set[Path] = set()

    def through(self) -> int:
        """Ask about every picture that is not done; the exit code."""
        self._done = {p for p in self._paths if self._is_done(p)}
        skipped = len(self._done)
        if self._ledger is not None and self._ledger.changed:
            tell(f"{len(self._ledger.changed)} changed since, {self._job.done} again")
        try:
            if skipped < len(self._paths):
                self._work_through([p for p in self._paths if p not in self._done])
            if self._ledger is not None:
                self._ledger.finish()
        except KeyboardInterrupt:
            tell(f"stopped: {self._safe()}")
            return 130
        return self._report(skipped)

    def _is_done(self, picture: Path) -> bool:
        return (
            self._ledger is not None
            and picture in self._ledger
            and all(path.exists() for path in self._drawings[picture])
        )

    def _work_through(self, pictures: list[Path]) -> None:
        """Ask about every picture; a broken one among several is remembered, a single one raises."""
        ask = self._job.load()
        for note in self._job.notes(pictures):
            tell(note)
        with _progress(shown=self._several) as progress:
            for picture in progress.track(pictures, description=self._job.doing):
                try:
                    stamp = stamp_of(picture)  # of what is looked at, should it change meanwhile
                    result = ask(picture)
                    self._keep(picture, result, stamp)
                except Exception as error:  # noqa: BLE001  # one picture must not stop a folder, whatever is wrong with it
                    self._fail(picture, error)
                else:
                    self._done.add(picture)
                    self._say(picture, result)

    def _report(self, skipped: int) -> int:
        """Say on stderr what was left out and what failed; the exit code."""
        if skipped:
            tell(f"{skipped} already {self._job.done}, skipped (--overwrite does them again)")
        if self._failures:
            tell(f"{len(self._failures)} could not be {self._job.done}:")
        for picture, error in self._failures.items():
            tell(f"  {_reason(picture, error)}")
        return 1 if self._failures else 0

    def _keep(self, picture: Path, result: Any, stamp: str) -> None:
        """The drawings first: a row in the ledger means that everything about its picture is there."""
        paths = self._drawings[picture]
        drawings = self._job.drawings(result) if paths else ()
        texts = self._job.texts(result) if paths else ()
        row = () if self._ledger is None else self._job.row(result)
        try:
            for path in paths[:1]:
                path.parent.mkdir(parents=True, exist_ok=True)
            for path, drawing in zip(paths, drawings, strict=False):
                save_drawing(drawing, path, picture)
            for path, text in zip(paths[len(drawings) :], texts, strict=True):
                save_form(text, path)
            if self._ledger is not None:
                self._ledger.add(picture, row, result, stamp=stamp)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise NoRoomError(f"{error.strerror}: {self._safe()}") from error
            raise

    def _say(self, picture: Path, result: Any) -> None:
        if self._as_json:
            _print_json(self._job.record(result))
            return
        drawn = "".join(f"  {path}" for path in self._drawings[picture])
        say(f"{picture}: {self._job.line(result)}{drawn}")
        for part in () if self._several else self._job.parts(result):
            say(f"  {part}")
        for remark in self._job.remarks(result):
            say(f"  ! {remark}")

    def _fail(self, picture: Path, error: Exception) -> None:
        if isinstance(error, NoRoomError):  # the next one would fare no better
            raise error
        if self._as_json:
            _print_json({"image": str(picture), "error": _reason(None, error)})
        if not self._several:
            raise error
        self._failures[picture] = error

    def _safe(self) -> str:
        """What is not lost."""
        done = f"{len(self._done)} of {len(self._paths)}"
        if self._table is None:
            return f"{done} were {self._job.done}; with --csv FILE a run can be taken up again"
        return f"{done} are in {printable(self._table)}; run the same again to go on"


def _spare(references: Sequence[Path], drawings: Sequence[Path]) -> None:
    """Refuse to draw over what somebody else made.

    Raises:
        LikewiseError: a drawing would have a reference's place.
    """
    theirs = {path.resolve() for path in references}
    for drawing in drawings if theirs else ():
        if drawing.resolve() in theirs:
            raise LikewiseError(
                f"{printable(drawing)} is given as an example and would be drawn over; choose another --output"
            )


def _reason(picture: Path | None, error: Exception) -> str:
    text = str(error) or type(error).__name__
    if not isinstance(error, LikewiseError):
        text = f"{type(error).__name__}: {text}"
    return printable(text if picture is None or str(picture) in text else f"{picture}: {text}")


def _print_json(record: dict[str, Any]) -> None:
    say(json_text(record))


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
