"""``likewise segment``: where the thing in the examples is, in one picture or in thousands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from likewise.cli.folder_run import Job, Output
from likewise.cli.inputs import parse_support
from likewise.cli.own_pixels import own_pixels
from likewise.cli.work import Where, work
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from PIL import Image

    from likewise.results import SegmentResult


def segment(
    *queries: str,
    support: Annotated[
        Sequence[str], Parameter(negative="", allow_leading_hyphen=True, metavar="IMG:MASK", show_default=False)
    ] = (),
    model: str = "fwb-lite",
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
    csv: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"), metavar="DIR")] = None,
    formats: Annotated[Sequence[str], Parameter(name="--format", negative="", metavar="NAME", show_default=False)] = (),
    overwrite: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    shard: Annotated[str | None, Parameter(metavar="I/N")] = None,
    workers: Annotated[int | None, Parameter(metavar="N")] = None,
    engine: Literal["local", "ray"] = "local",
    address: Annotated[str | None, Parameter(metavar="ADDRESS")] = None,
) -> int:
    """Find, in pictures, what masks show in other pictures.

    Several pictures are segmented one after another: a broken one is reported at the end, and a run that was stopped
    goes on where it stopped when it is started again.

    Args:
        queries: Pictures, folders of pictures, or globs.
        support: An example: a picture, a colon, and its mask. A mask is a PNG of the picture's size in which anything
            but black and transparent is the thing; or a box X0,Y0,X1,Y1 round the thing; or clicks @X,Y or @X,Y@X,Y
            on it. Repeat for more.
        model: A name from 'likewise models', or a .safetensors file.
        as_json: Print one JSON object a picture, and nothing else, on stdout.
        csv: Write one row a picture to this file. With -o and several pictures: DIR/segments.csv.
        output: Write an overlay, NAME_segment.png, and the mask, NAME_mask.png, of each picture to this folder.
        formats: Write each result to that folder in a form for other programs, too, such as coco. Repeat for more.
        overwrite: Segment everything again, also what the CSV file already holds.
        shard: Take only the I-th of N parts of the pictures, by the hash of their names, into a table of its own;
            'likewise merge' puts the tables together.
        workers: Pictures at once, each on one core. [default: as many as there are cores and memory for]
        engine: ray: work on a Ray cluster, on pictures at addresses (s3://...) too, and write Parquet files to -o.
        address: Of the cluster, such as ray://host:10001 or auto. [default: one is started on this machine]

    Returns:
        Exit code: 1 when a picture among several could not be segmented.
    """

    def job() -> SegmentJob:
        return SegmentJob(tuple(parse_support(each) for each in support), model, tuple(formats))

    results = Output(as_json, csv, output, overwrite, workers)
    return work(queries, "segment", job, results, Where(shard, engine, address))


@dataclass(frozen=True)
class SegmentJob(Job):
    """What is asked about every picture, as typed.

    Raises:
        LikewiseError: nothing says what to find.
    """

    support: tuple[tuple[str, Any], ...]
    model: str
    formats: tuple[str, ...] = ()

    task = "segment"
    doing = "segmenting"
    done = "segmented"
    table = "segments.csv"
    columns = ("area", "parts")
    suffixes = ("_segment.png", "_mask.png")

    def __post_init__(self) -> None:
        if not self.support:
            raise LikewiseError("nothing says what to find; show one example with --support ref.jpg:ref_mask.png")

    def settings(self) -> dict[str, Any]:
        """What the support's files hold."""
        from likewise.weights import file_sha256

        def held(part: Any) -> Any:
            is_file = isinstance(part, str) and Path(part).is_file()
            return file_sha256(Path(part)) if is_file else part

        return {"support": [[held(picture), held(mask)] for picture, mask in self.support]}

    def asked(self) -> dict[str, Any]:
        """The support, as typed."""
        return {"support": [list(pair) for pair in self.support]}

    def references(self) -> list[Path]:
        """The support's files."""
        return [Path(part) for pair in self.support for part in pair if isinstance(part, str)]

    def load(self) -> Callable[[Path], SegmentResult]:
        """The segmenter, shown the support once."""
        from likewise.predict import Segmenter

        segmenter = Segmenter.load(self.model)
        support = segmenter.set_support(self.support)
        return lambda picture: segmenter.segment(picture, support)

    def row(self, result: SegmentResult) -> tuple[object, ...]:
        """Share of the picture, and number of connected parts."""
        return f"{result.area:.5f}", len(result.boxes)

    def line(self, result: SegmentResult) -> str:
        """The share of the picture that the mask covers."""
        return f"{result.area:.1%}"

    def drawings(self, result: SegmentResult) -> tuple[Image.Image, ...]:
        """The overlay and the mask."""
        return result.plot(own_pixels(result)), result.mask_picture()
