"""``likewise recognize``: what it is, in one picture or in thousands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from likewise.cli.folder_run import Job, Output, run_through
from likewise.cli.inputs import find_pictures

if TYPE_CHECKING:
    from PIL import Image

    from likewise.results import RecognizeResult

#: Answers after the first that the table holds.
RUNNERS_UP = 4


def recognize(
    *images: str,
    model: str = "s3n-lite",
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
    csv: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"), metavar="DIR")] = None,
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Say what pictures show, and why: where the model looked, and what it magnified.

    Several pictures are recognised one after another: a broken one is reported at the end, and a run that was stopped
    goes on where it stopped when it is started again.

    Args:
        images: Pictures, folders of pictures, or globs.
        model: A name from 'likewise models', or a .safetensors file, such as one of your own from 'likewise train'.
        as_json: Print one JSON object a picture, and nothing else, on stdout.
        csv: Write one row a picture to this file. With -o and several pictures: DIR/names.csv.
        output: Write one overlay a picture, NAME_recognize.png, to this folder.
        overwrite: Recognise everything again, also what the CSV file already holds.

    Returns:
        Exit code: 1 when a picture among several could not be recognised.
    """
    return run_through(find_pictures(images, "recognize"), RecognizeJob(model), Output(as_json, csv, output, overwrite))


@dataclass(frozen=True)
class RecognizeJob(Job):
    """What is asked about every picture."""

    model: str

    task = "recognize"
    doing = "recognising"
    done = "recognised"
    table = "names.csv"
    columns = ("label", "nearest", "probability", "runners_up")
    suffixes = ("_recognize.png",)

    def settings(self) -> dict[str, Any]:
        """Nothing but the model."""
        return {}

    def load(self) -> Callable[[Path], RecognizeResult]:
        """The recogniser."""
        from likewise.predict import Recognizer

        return Recognizer.load(self.model).recognize

    def row(self, result: RecognizeResult) -> tuple[object, ...]:
        """Label, nearest class, its probability, and the next few as ``label 0.1234; ...``."""
        others = result.top(1 + RUNNERS_UP)[1:]
        return (
            result.label,
            result.nearest,
            f"{result.probability:.4f}",
            "; ".join(f"{label} {p:.4f}" for label, p in others),
        )

    def line(self, result: RecognizeResult) -> str:
        """The label and how probable it is, or that it is none of the classes, and the nearest."""
        return result.said

    def drawings(self, result: RecognizeResult) -> tuple[Image.Image]:
        """The overlay."""
        return (result.plot(),)
