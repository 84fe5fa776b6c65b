"""``likewise recognize``: what it is, in one picture or in thousands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from likewise.cli.folder_run import Job, Output
from likewise.cli.work import Where, work

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
    shard: Annotated[str | None, Parameter(metavar="I/N")] = None,
    workers: Annotated[int | None, Parameter(metavar="N")] = None,
    engine: Literal["local", "ray"] = "local",
    address: Annotated[str | None, Parameter(metavar="ADDRESS")] = None,
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
        shard: Take only the I-th of N parts of the pictures, by the hash of their names, into a table of its own;
            'likewise merge' puts the tables together.
        workers: Pictures at once, each on one core. [default: as many as there are cores and memory for]
        engine: ray: work on a Ray cluster, on pictures at addresses (s3://...) too, and write Parquet files to -o.
        address: Of the cluster, such as ray://host:10001 or auto. [default: one is started on this machine]

    Returns:
        Exit code: 1 when a picture among several could not be recognised.
    """
    results = Output(as_json, csv, output, overwrite, workers)
    return work(images, "recognize", lambda: RecognizeJob(model), results, Where(shard, engine, address))


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
