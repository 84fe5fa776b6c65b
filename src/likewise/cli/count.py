"""``likewise count``: how many, in one picture or in thousands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from likewise.cli.inputs import OVERLAY, find_pictures, parse_box, parse_like, parse_region
from likewise.cli.ledger import Ledger, fingerprint
from likewise.types import Box, LikewiseError, Point, Prompt

if TYPE_CHECKING:
    from rich.progress import Progress

    from likewise.predict import Counter, Likeness
    from likewise.results import CountResult


def _repeated(metavar: str) -> Parameter:
    return Parameter(negative="", allow_leading_hyphen=True, metavar=metavar, show_default=False)


def count(
    *images: str,
    box: Annotated[Sequence[str], _repeated("X0,Y0,X1,Y1")] = (),
    like: Annotated[Sequence[str], _repeated("REF.jpg:X0,Y0,X1,Y1")] = (),
    text: str | None = None,
    region: Annotated[str | None, Parameter(allow_leading_hyphen=True, metavar="X,Y,X,Y,X,Y...")] = None,
    model: str = "spdcn-lite",
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
    csv: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"), metavar="DIR")] = None,
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Count, in pictures, the objects that look like the ones shown.

    Several pictures are counted one after another: a broken one is reported at the end, and a run that was stopped
    goes on where it stopped when it is started again.

    Args:
        images: Pictures, folders of pictures, or globs.
        box: An example, in pixels. Repeat for more. The same boxes apply to every picture.
        like: An example in another picture. Repeat for more.
        text: The name of the thing, for models that take one.
        region: Count only inside this polygon, given by its corners.
        model: A name from 'likewise models', or a .safetensors file.
        as_json: Print one JSON object a picture, and nothing else, on stdout.
        csv: Write one row a picture to this file. With -o and several pictures: DIR/counts.csv.
        output: Write one overlay a picture, NAME_count.png, to this folder.
        overwrite: Count everything again, also what the CSV file already holds.

    Returns:
        Exit code: 1 when a picture among several could not be counted.
    """
    pictures = find_pictures(images)
    job = Job(
        boxes=tuple(parse_box(each) for each in box),
        like=tuple(parse_like(each) for each in like),
        text=text,
        region=None if region is None else tuple(parse_region(region)),
        model=model,
    )
    several = len(pictures) > 1 or pictures[0] != Path(images[0])  # a folder or a glob, though it holds only one
    if csv is None and output is not None and several:
        csv = output / "counts.csv"
    ledger = None if csv is None else Ledger(csv, job.fingerprint(), overwrite=overwrite)
    overlays = dict(zip(pictures, _overlays(pictures, output), strict=True))
    todo = [p for p in pictures if ledger is None or p not in ledger or _missing(overlays[p])]
    run = Run(job, ledger, overlays, as_json=as_json, several=several)
    if todo:
        run.work_through(todo)
    return run.report(skipped=len(pictures) - len(todo))


@dataclass(frozen=True)
class Job:
    """What is asked about every picture, as typed.

    Raises:
        LikewiseError: nothing says what to count, or a malformed box or region.
    """

    boxes: tuple[Box, ...]
    like: tuple[tuple[str, Box], ...]
    text: str | None
    region: tuple[Point, ...] | None
    model: str

    def __post_init__(self) -> None:
        self.prompt()
        if not self.boxes and not self.like and self.text is None:
            raise LikewiseError(
                "nothing says what to count; show one example with --box X0,Y0,X1,Y1, "
                "or one in another picture with --like REF.jpg:X0,Y0,X1,Y1"
            )

    def prompt(self) -> Prompt:
        """The part of the job that a picture is asked with, checked."""
        return Prompt(self.boxes, (), self.text, self.region)

    def fingerprint(self) -> str:
        """Changes with everything the counts depend on, the reference pictures and the weights included."""
        import likewise
        from likewise.weights import file_sha256

        references = {path: file_sha256(Path(path)) for path, _ in self.like if Path(path).is_file()}
        weights = Path(self.model)
        return fingerprint(
            {
                "version": likewise.__version__,
                "model": self.model,
                "weights": file_sha256(weights) if weights.is_file() else self._card(),
                "prompt": self.prompt().to_dict(),
                "like": [(references.get(path, path), box) for path, box in self.like],
            }
        )

    def _card(self) -> str | None:
        from likewise.registry import preset

        return preset(self.model).card.sha256

    def load(self) -> tuple[Counter, Likeness | tuple[()]]:
        """The counter, and what the examples in other pictures look like."""
        from likewise.predict import Likeness, load

        counter = load(self.model)
        likeness = counter.describe(self.like) if self.like else ()
        counter.check(self.prompt(), likeness or Likeness((), ()))
        return counter, likeness


class Run:
    """One pass over the pictures: counts, writes and prints as it goes, and remembers what failed."""

    def __init__(
        self, job: Job, ledger: Ledger | None, overlays: dict[Path, Path | None], *, as_json: bool, several: bool
    ) -> None:
        self._job = job
        self._ledger = ledger
        self._overlays = overlays
        self._as_json = as_json
        self._several = several
        self._failures: dict[Path, Exception] = {}

    def work_through(self, pictures: list[Path]) -> None:
        """Count every picture; a broken one among several is remembered, a single one raises."""
        counter, likeness = self._job.load()
        with _progress(shown=self._several) as progress:
            for picture in progress.track(pictures, description="counting"):
                try:
                    self._write(picture, self._count(counter, likeness, picture))
                except Exception as error:  # noqa: BLE001  # one picture must not stop a folder, whatever is wrong with it
                    self._fail(picture, error)

    def report(self, *, skipped: int) -> int:
        """Say on stderr what was left out and what failed; the exit code."""
        if skipped:
            print(f"{skipped} already counted, skipped (--overwrite counts them again)", file=sys.stderr)
        if self._failures:
            print(f"{len(self._failures)} could not be counted:", file=sys.stderr)
        for picture, error in self._failures.items():
            print(f"  {_reason(picture, error)}", file=sys.stderr)
        return 1 if self._failures else 0

    def _count(self, counter: Counter, likeness: Likeness | tuple[()], picture: Path) -> CountResult:
        prompt = self._job.prompt()
        return counter.count(picture, prompt.exemplars, text=prompt.text, region=prompt.region, like=likeness)

    def _write(self, picture: Path, result: CountResult) -> None:
        """The overlay first: a row in the ledger means that everything about its picture is there."""
        overlay = self._overlays[picture]
        if overlay is not None:
            overlay.parent.mkdir(parents=True, exist_ok=True)
            result.plot().save(overlay)
        if self._ledger is not None:
            self._ledger.add(picture, result)
        if self._as_json:
            _print_json(result.to_dict())
        else:
            print(f"{picture}: {result.count:.1f}" + ("" if overlay is None else f"  {overlay}"), flush=True)

    def _fail(self, picture: Path, error: Exception) -> None:
        if self._as_json:
            _print_json({"image": str(picture), "error": _reason(None, error)})
        if not self._several:
            raise error
        self._failures[picture] = error


def _overlays(pictures: list[Path], folder: Path | None) -> list[Path | None]:
    """Where each picture's overlay goes: NAME_count.png, or NAME.jpg_count.png where two have one name."""
    if folder is None:
        return [None] * len(pictures)
    stems = [picture.stem for picture in pictures]
    names = [p.stem if stems.count(p.stem) == 1 else p.name for p in pictures]
    if len(set(names)) < len(names):
        names = ["_".join(p.parts[-2:]) for p in pictures]
    return [folder / (name + OVERLAY) for name in names]


def _missing(overlay: Path | None) -> bool:
    return overlay is not None and not overlay.exists()


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
