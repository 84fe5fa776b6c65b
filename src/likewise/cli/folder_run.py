"""One picture or thousands: what every verb that works through pictures does about it.

A broken picture among several is reported at the end, and a run that was stopped goes on where it stopped when it is
started again: what its CSV file holds is done.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from likewise.cli.inputs import Pictures
from likewise.cli.ledger import Ledger, fingerprint, stamp_of
from likewise.cli.lock import locked
from likewise.cli.progress import progress_bar
from likewise.cli.terminal import say, tell
from likewise.cli.workers import alone_if_large, in_turn, wait_quietly, workers_for
from likewise.cli.writable import check_folder
from likewise.drawings import DrawingPlan, save_drawing, save_form, spare
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.plain_text import printable
from likewise.types import Task

if TYPE_CHECKING:
    from PIL import Image


#: Errors of a disk on which nothing more can be written.
NO_ROOM = frozenset((errno.ENOSPC, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)))


#: So many failures are told one by one at the end.
LISTED = 10_000


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
    suffixes: ClassVar[tuple[str, ...]]
    task: ClassVar[Task]
    columns: tuple[str, ...]
    model: str
    formats: tuple[str, ...] = ()

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the results depend on beside the model, as JSON values."""

    def asked(self) -> dict[str, Any]:
        """What the table is to tell of the question, as JSON values; nothing where the model is all of it."""
        return {}

    def notes(self, pictures: int) -> Sequence[str]:  # for those who need them
        """What is to be said before so many pictures are worked through."""
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

    def check(self, output: Output, *, several: bool) -> None:  # noqa: B027  # for those who need it
        """See that what comes out has a place.

        Raises:
            LikewiseError: it has none.
        """

    def finish(self, folder: Path) -> None:  # noqa: B027  # for those who need it
        """Put together what lies in the output folder when all pictures have been gone through."""

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
        workers: pictures that are looked at at once; None: as many as there are cores for.
    """

    as_json: bool = False
    csv: Path | None = None
    folder: Path | None = None
    overwrite: bool = False
    workers: int | None = None

    def of(self, pictures: Pictures, table: str) -> Output:
        """Where these pictures' results go: a shard has a table and a folder of its own, a single picture no table."""
        folder, csv = self.folder, self.csv
        if csv is None and folder is not None and pictures.several:
            csv = folder / table
        if pictures.shard is not None:
            csv = None if csv is None else pictures.shard.table(csv)
            folder = None if folder is None else folder / pictures.shard.name
        return replace(self, folder=folder, csv=csv)


def run_through(pictures: Pictures, job: Job, output: Output) -> int:
    """Work through pictures; the exit code: 1 when one among several failed, 130 when the user stopped it.

    Raises:
        LikewiseError: nothing can be done; another run writes the same table; the disk is full; a file would have a
            reference's place, or there is no folder for the forms that are asked for.
    """
    if job.formats and output.folder is None:
        raise LikewiseError(f"--format {job.formats[0]} writes a file for each picture; say where to with --output DIR")
    job.check(output, several=pictures.several)
    suffixes = job.suffixes + job.text_suffixes()
    folder = output.folder
    output = output.of(pictures, job.table)
    table = output.csv
    if output.folder is not None:
        check_folder("--output", output.folder)
        spare(job.references(), output.folder, (p.stem + end for p in pictures for end in suffixes))
    with nullcontext() if table is None else locked(table):
        ledger = None if table is None else _ledger(table, job, overwrite=output.overwrite)
        code = _Run(pictures, job, output, ledger).through()
    if folder is not None and pictures.several:
        job.finish(folder)
    return code


def _ledger(table: Path, job: Job, *, overwrite: bool) -> Ledger:
    """The table, and on stderr what is wrong with it."""
    asked = json_text(job.asked(), ascii_only=False) if job.asked() else ""
    weights = str(job.weights_file() or job.model)
    ledger = Ledger(table, job.columns, job.fingerprint(), overwrite=overwrite, weights=weights, prompt=asked)
    if ledger.damaged:
        lines = f"{ledger.damaged} line{'s' * (ledger.damaged > 1)}"
        tell(f"{table}: {lines} not whole, cut off; what is missing is {job.done} again")
    return ledger


@dataclass(frozen=True)
class _Seen:
    """A picture that was looked at: what it held before, what came out, and its row."""

    stamp: str
    result: Any
    row: Sequence[object]


class _Run:
    """One pass over the pictures: asks, writes and prints as it goes, and remembers what failed."""

    def __init__(self, pictures: Pictures, job: Job, output: Output, ledger: Ledger | None) -> None:
        self._pictures = pictures
        self._job = job
        self._output = output
        self._ledger = ledger
        ends = job.suffixes, job.text_suffixes()
        self._plan = None if output.folder is None else DrawingPlan(pictures, output.folder, *ends)
        self._names = array("Q")  # number of each picture's name in the plan
        self._is_done = bytearray()  # whether each picture is
        self._failures: list[str] = []
        self._failed = 0

    def through(self) -> int:
        """Ask about every picture that is not done; the exit code."""
        for picture in self._pictures:
            if self._plan is not None:
                self._names.append(self._plan.choose(picture))
            self._is_done.append(self._was_done(picture))
        skipped = sum(self._is_done)
        if self._ledger is not None and self._ledger.changed:
            tell(f"{len(self._ledger.changed)} changed since, {self._job.done} again")
        try:
            if skipped < len(self._is_done):
                self._work_through(len(self._is_done) - skipped)
            if self._ledger is not None:
                self._ledger.finish()
        except KeyboardInterrupt:
            tell(f"stopped: {self._safe()}")
            return 130
        return self._report(skipped)

    def _was_done(self, picture: Path) -> bool:
        return (
            self._ledger is not None
            and picture in self._ledger
            and all(path.exists() for path in self._drawings(picture, len(self._is_done)))
        )

    def _drawings(self, picture: Path, number: int) -> list[Path]:
        return [] if self._plan is None else self._plan.paths(picture, self._names[number])

    def _work_through(self, todo: int) -> None:
        """Ask about every picture that is not done; a broken one among several is remembered, a single one raises."""
        wait_quietly()
        ask = self._job.load()
        for note in self._job.notes(todo):
            tell(note)
        workers = workers_for(todo, self._output.workers)
        left = ((n, p) for n, p in enumerate(self._pictures) if not self._is_done[n])
        with progress_bar(shown=self._pictures.several) as progress, ExitStack() as stack:
            seen = stack.enter_context(closing(in_turn(left, lambda each: self._look(*each, ask), workers)))
            for (number, picture), outcome in progress.track(seen, total=todo, description=self._job.doing):
                try:
                    found = outcome()
                    self._keep(picture, found)
                except Exception as error:  # noqa: BLE001  # one picture must not stop a folder, whatever is wrong with it
                    self._fail(picture, error)
                else:
                    self._is_done[number] = True
                    self._say(picture, found.result, self._drawings(picture, number))

    def _look(self, number: int, picture: Path, ask: Callable[[Path], Any]) -> _Seen:
        """Ask about a picture and draw what came out; this may go on in several threads."""
        stamp = stamp_of(picture)  # of what is looked at, should it change meanwhile
        with alone_if_large(picture):
            result = ask(picture)
        with self._told_of_no_room():
            self._draw(picture, result, self._drawings(picture, number))
        return _Seen(stamp, result, () if self._ledger is None else self._job.row(result))

    def _draw(self, picture: Path, result: Any, paths: list[Path]) -> None:
        drawings = self._job.drawings(result) if paths else ()
        texts = self._job.texts(result) if paths else ()
        for path in paths[:1]:
            path.parent.mkdir(parents=True, exist_ok=True)
        for path, drawing in zip(paths, drawings, strict=False):
            save_drawing(drawing, path, picture)
        for path, text in zip(paths[len(drawings) :], texts, strict=True):
            save_form(text, path)

    def _keep(self, picture: Path, seen: _Seen) -> None:
        """The drawings are there: a row in the ledger means that everything about its picture is."""
        if self._ledger is not None:
            with self._told_of_no_room():
                self._ledger.add(picture, seen.row, seen.result, stamp=seen.stamp)

    @contextmanager
    def _told_of_no_room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in NO_ROOM:
                raise NoRoomError(f"{error.strerror}") from error
            raise

    def _report(self, skipped: int) -> int:
        """Say on stderr what was left out and what failed; the exit code."""
        if skipped:
            tell(f"{skipped} already {self._job.done}, skipped (--overwrite does them again)")
        if self._failed:
            tell(f"{self._failed} could not be {self._job.done}:")
        for failure in self._failures:
            tell(f"  {failure}")
        if self._failed > len(self._failures):
            tell(f"  ... and {self._failed - len(self._failures)} more")
        return 1 if self._failed else 0

    def _say(self, picture: Path, result: Any, drawings: Sequence[Path]) -> None:
        if self._output.as_json:
            _print_json(self._job.record(result))
            return
        drawn = "".join(f"  {path}" for path in drawings)
        say(f"{picture}: {self._job.line(result)}{drawn}")
        for part in () if self._pictures.several else self._job.parts(result):
            say(f"  {part}")
        for remark in self._job.remarks(result):
            say(f"  ! {remark}")

    def _fail(self, picture: Path, error: Exception) -> None:
        if isinstance(error, NoRoomError):  # the next one would fare no better
            raise NoRoomError(f"{error}: {self._safe()}") from error
        if self._output.as_json:
            _print_json({"image": str(picture), "error": reason(None, error)})
        if not self._pictures.several:
            raise error
        self._failed += 1
        if len(self._failures) < LISTED:
            self._failures.append(reason(picture, error))

    def _safe(self) -> str:
        """What is not lost."""
        done = f"{sum(self._is_done)} of {len(self._pictures)}"
        table = self._output.csv
        if table is None:
            return f"{done} were {self._job.done}; with --csv FILE a run can be taken up again"
        return f"{done} are in {printable(table)}; run the same again to go on"


def reason(picture: Path | None, error: Exception) -> str:
    """An error in a line, with the picture's name where it does not tell it."""
    text = str(error) or type(error).__name__
    if not isinstance(error, LikewiseError):
        text = f"{type(error).__name__}: {text}"
    return printable(text if picture is None or str(picture) in text else f"{picture}: {text}")


def _print_json(record: dict[str, Any]) -> None:
    say(json_text(record))
