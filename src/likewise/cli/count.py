"""``likewise count``: how many, in one picture or in thousands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from likewise.cli.asking import NOTHING_SHOWN
from likewise.cli.folder_run import Job, Output
from likewise.cli.frames import FramesJob, frames_job
from likewise.cli.inputs import parse_box, parse_grid, parse_region
from likewise.cli.kinds import KindsJob, parse_shown
from likewise.cli.outlines import NO_OUTLINES, OutlinesAsked, gather_measures
from likewise.cli.own_pixels import own_pixels
from likewise.cli.placed import WHAT
from likewise.cli.regions import NO_REGIONS, SUFFIX, RegionsAsked, gather, region_line
from likewise.cli.seen import AS_IT_IS, Seen
from likewise.cli.work import Where, work
from likewise.errors import LikewiseError
from likewise.types import UNTRUSTED, Box, Prompt

if TYPE_CHECKING:
    from PIL import Image

    from likewise.placement import Unit
    from likewise.results import CountResult


def _repeated(metavar: str) -> Parameter:
    return Parameter(negative="", allow_leading_hyphen=True, metavar=metavar, show_default=False)


def count(
    *images: str,
    box: Annotated[Sequence[str], _repeated("[KIND=]X0,Y0,X1,Y1")] = (),
    like: Annotated[Sequence[str], _repeated("[KIND=]REF.jpg:X0,Y0,X1,Y1")] = (),
    negative: Annotated[Sequence[str], _repeated("X0,Y0,X1,Y1")] = (),
    text: Annotated[Sequence[str], _repeated("NAME")] = (),
    region: Annotated[str | None, Parameter(allow_leading_hyphen=True, metavar="X,Y,X,Y,X,Y...")] = None,
    unit: Literal["px", "um", "crs"] | None = None,
    regions: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    grid: Annotated[str | None, Parameter(metavar="96|ROWSxCOLUMNS")] = None,
    outlines: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    border: Annotated[bool, Parameter(name="--no-border", negative="", show_default=False)] = False,
    channel: Annotated[str | None, Parameter(metavar="NUMBER|NAME")] = None,
    z: Annotated[str | None, Parameter(metavar="NUMBER|max|mean")] = None,
    contrast: Annotated[str | None, Parameter(metavar="auto|LOW,HIGH|LOW%,HIGH%", allow_leading_hyphen=True)] = None,
    frames: Annotated[str | None, Parameter(allow_leading_hyphen=True, metavar="START:STOP:STEP")] = None,
    model: str | None = None,
    trust: Literal["fast", "full"] = "fast",
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
    """Count, in pictures, the objects that look like the ones shown.

    Several pictures are counted one after another: a broken one is reported at the end, and a run that was stopped
    goes on where it stopped when it is started again.

    Args:
        images: Pictures, folders of pictures, or globs.
        box: An example, in pixels or in another --unit. Repeat for more. The same boxes apply to every picture. With
            names, as red=81,39,120,74 and white=10,10,30,28, each kind is counted, and each place as one of them.
        like: An example in another picture. Repeat for more. The same for kinds: red=ref.jpg:81,39,120,74.
        negative: A look-alike that is not to be counted, of whatever kind. Repeat for more.
        text: The name of the thing, for models that take one; without --box and --like, the bundled one that does.
            Several names, or a list such as "apples, oranges", are kinds.
        region: Count only inside this polygon, given by its corners.
        unit: What boxes and corners are given in: pixels, micrometres (um), or coordinates of the picture's reference
            system (crs), where the picture tells those; and GeoJSON that names no reference system, where crs means
            longitude and latitude. [default: px]
        regions: Also tell the count of each region in this file: GeoJSON (QuPath, QGIS), ImageJ's ROIs, or a label
            image. With -o: NAME_regions.csv a picture, and regions.csv for all.
        grid: The same of the wells of a plate, or of so many rows and columns, over the picture or its --region.
        outlines: Also find the outline of each thing, and tell its size, form and brightness. With -o: they are drawn,
            and NAME_measures.csv a picture, and measures.csv for all, have a row a thing.
        border: Without those that the picture's border cuts; they are counted all the same.
        channel: Of pictures with several: which one, by its number from 0 or by its name.
        z: Of stacks: which plane, from 0, or the brightest or mean value of all.
        contrast: Which values are black and white: two values, or two percentages of the picture's own. [default:
            auto: of more than 8 bits, 0.1%,99.9%]
        frames: Count each of these frames of a film or of a stack in time: all, a number, or 0::25 for every 25th.
            Boxes are of the first of them. Each frame is counted for itself; nothing is followed from one to the next.
            With -o: NAME_frames.csv, NAME_frames.png (the counts over time) and NAME_count.mp4 a film.
        model: A name from 'likewise models', or a .safetensors file; one of likewise adapt needs no box.
            [default: spdcn-lite, or countx-lite for --text]
        trust: full: look at every picture twice more to tell how far off its count may be.
        as_json: Print one JSON object a picture, and nothing else, on stdout.
        csv: Write one row a picture to this file. With -o and several pictures: DIR/counts.csv.
        output: Write one overlay a picture, NAME_count.png, to this folder.
        formats: Write each result to that folder in a form for other programs, too: coco, points (CSV), parquet,
            geojson (QuPath, maps), gpkg (GeoPackage), imagej (ROIs), ome-zarr or geotiff (density); of --outlines
            coco, geojson and imagej hold those, and there are measures-parquet, labels (TIFF), yolo and voc (boxes).
            Repeat for more.
        overwrite: Count everything again, also what the CSV file already holds.
        shard: Take only the I-th of N parts of the pictures, by the hash of their names, into a table of its own;
            'likewise merge' puts the tables together.
        workers: Pictures at once, each on one core. [default: as many as there are cores and memory for]
        engine: ray: work on a Ray cluster, on pictures at addresses (s3://...) too, and write Parquet files to -o.
        address: Of the cluster, such as ray://host:10001 or auto. [default: one is started on this machine]

    Returns:
        Exit code: 1 when a picture among several could not be counted.
    """

    def job() -> CountJob | FramesJob | KindsJob:
        kinds, asked = parse_shown(box, like, text), OutlinesAsked(outlines, not border)
        question = CountJob(
            prompt=Prompt(
                tuple(each for shown in kinds.values() for each in shown.boxes),
                tuple(parse_box(each, "--negative") for each in negative),
                next(iter(kinds.values())).text,
                None if region is None else tuple(parse_region(region)),
            ),
            like=tuple(pair for shown in kinds.values() for pair in shown.like),
            trust=trust,
            model=model or ("spdcn-lite" if box or like else "countx-lite"),
            formats=asked.forms(tuple(formats), output),
            unit=unit or "px",
            regions=RegionsAsked(regions, None if grid is None else parse_grid(grid), unit),
            seen=Seen(channel, z, contrast),
            journals=output,
            outlines=asked,
        )
        if "" in kinds:
            return question if frames is None else frames_job(question, frames)
        if frames is not None:
            raise LikewiseError("--frames counts one kind of thing; run it for each, with the others as --negative")
        if outlines:
            raise LikewiseError("--outlines is of one kind of thing; run it for each, with the others as --negative")
        return KindsJob(question, kinds)

    results = Output(as_json, csv, output, overwrite, workers)
    return work(images, "count", job, results, Where(shard, engine, address))


@dataclass(frozen=True)
class CountJob(Job):
    """What is asked about every picture, as typed.

    Raises:
        LikewiseError: nothing says what to count.
    """

    prompt: Prompt
    like: tuple[tuple[str, Box], ...]
    trust: Literal["fast", "full"]
    model: str
    formats: tuple[str, ...] = ()
    unit: Unit = "px"
    regions: RegionsAsked = NO_REGIONS
    seen: Seen = AS_IT_IS
    journals: Path | None = None
    outlines: OutlinesAsked = NO_OUTLINES

    task = "count"
    doing = "counting"
    done = "counted"
    table = "counts.csv"
    columns = ("count", "low", "high", "untrusted", "points", "warnings")
    suffixes = ("_count.png",)

    def __post_init__(self) -> None:
        shown = self.prompt.exemplars or self.like or self.prompt.text is not None
        if not shown and not self.model.endswith(".safetensors"):  # a file may know examples; it says so when loaded
            raise LikewiseError(NOTHING_SHOWN)
        if self.prompt.text is not None:
            from likewise.vocabulary import check_question

            check_question(self.prompt.text)

    def settings(self) -> dict[str, Any]:
        """The prompt, and what the reference pictures hold."""
        from likewise.weights import file_sha256

        references = {path: file_sha256(Path(path)) for path, _ in self.like if Path(path).is_file()}
        like = [(references.get(path, path), box) for path, box in self.like]
        unit = {"unit": self.unit} if self.unit != "px" else {}
        asked = {"prompt": self.prompt.to_dict(), "like": like, "trust": self.trust}
        return asked | unit | self.regions.settings() | self.seen.told() | self.outlines.settings()

    def asked(self) -> dict[str, Any]:
        """The prompt, the examples in other pictures, and how hard the count was looked at where that is unusual."""
        like = [[path, list(box)] for path, box in self.like]
        unusual = {
            "like": like,
            "trust": self.trust if self.trust != "fast" else None,
            "unit": self.unit if self.unit != "px" else None,
            **self.regions.asked(),
            **self.seen.told(),
            **self.outlines.settings(),
        }
        return self.prompt.to_dict() | {key: value for key, value in unusual.items() if value}

    def references(self) -> list[Path]:
        """The file of regions."""
        return [] if self.regions.file is None else [self.regions.file]

    def notes(self, pictures: int) -> tuple[str, ...]:
        """That boxes are places in pixels, which are seldom the same in two pictures."""
        marked = {"--box": self.prompt.exemplars, "--negative": self.prompt.negatives, "--region": self.prompt.region}
        used = [option for option, value in marked.items() if value]
        if pictures < 2 or not used or self.unit == "crs":  # a place on earth is one in all
            return ()
        instead = "; to show an example in one picture, use --like REF.jpg:X0,Y0,X1,Y1" * ("--box" in used)
        return (f"note: {', '.join(used)}: the same {WHAT[self.unit]} are taken in all {pictures} pictures{instead}",)

    def check(self, output: Output, *, several: bool) -> None:
        """See that the tables of regions have a place."""
        if self.regions and several and output.folder is None and not output.as_json:
            raise LikewiseError("regions have a table for each picture; say where to with --output DIR, or take --json")

    def finish(self, folder: Path) -> None:
        """Put the tables of regions together, and those of measures."""
        if self.regions:
            gather(folder)
        if self.outlines:
            gather_measures(folder)

    def load(self) -> Callable[[Path], CountResult]:
        """The counter, shown what the examples in other pictures look like."""
        from likewise.cli.asking import Asker

        asker = Asker(
            self.model,
            self.prompt,
            self.unit,
            self.seen.choice(),
            self.trust,
            self.journals,
            self.regions.check,
            self.outlines.wanted,
        )
        ask = asker.shown(self.like)
        return lambda picture: self.outlines.of(ask(picture))

    def text_suffixes(self) -> tuple[str, ...]:
        """Of the forms, and of the table of regions."""
        return (*super().text_suffixes(), *((SUFFIX,) if self.regions else ()))

    def texts(self, result: CountResult) -> list[Callable[[Path], object]]:
        """What writes the forms, and the table of regions."""
        forms = super().texts(result)
        return [*forms, partial(Path.write_bytes, data=self.regions.table(result))] if self.regions else forms

    def record(self, result: CountResult) -> dict[str, Any]:
        """The result, the counts of its regions, and its outlined things."""
        told = [each.to_dict() for each in self.regions.counted(result)] if self.regions else []
        return super().record(result) | ({"regions": told} if self.regions else {}) | self.outlines.record(result)

    def parts(self, result: CountResult) -> tuple[str, ...]:
        """The regions' counts."""
        return tuple(map(region_line, self.regions.counted(result))) if self.regions else ()

    def row(self, result: CountResult) -> tuple[object, ...]:
        """Count, interval (empty where it is not known), the word where it cannot be trusted, points and warnings."""
        low, high = ("", "") if result.interval is None else (f"{end:.4f}" for end in result.interval)
        word = UNTRUSTED * result.untrusted
        return f"{result.count:.4f}", low, high, word, len(result.points), " ".join(result.warnings)

    def line(self, result: CountResult) -> str:
        """The count, its interval or that it cannot be trusted, and what was outlined."""
        return f"{result.count:.1f}{f' ({result.likely})' * bool(result.likely)}{self.outlines.line(result)}"

    def remarks(self, result: CountResult) -> tuple[str, ...]:
        """The warnings."""
        return result.warnings

    def drawings(self, result: CountResult) -> tuple[Image.Image]:
        """The overlay."""
        return (result.plot(own_pixels(result, self.seen.choice())),)
