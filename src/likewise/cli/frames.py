"""Some of the frames of films and of stacks in time: what ``likewise count --frames`` does about each file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from likewise.cli.folder_run import Job, Output
from likewise.cli.progress import progress_bar
from likewise.cli.terminal import tell
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from PIL import Image

    from likewise.cli.seen import Seen
    from likewise.placement import Unit
    from likewise.predict.prompts import Effort
    from likewise.results.series import FrameCount, SeriesResult
    from likewise.sources import Choice, Frames
    from likewise.types import Box, Prompt


class Question(Protocol):
    """What is asked about every frame: a `likewise.cli.count.CountJob`."""

    @property
    def prompt(self) -> Prompt:
        """Boxes are of the first frame."""

    @property
    def like(self) -> tuple[tuple[str, Box], ...]:
        """Examples in other pictures."""

    @property
    def trust(self) -> Effort:
        """How hard it is looked for signs that a count is off."""

    @property
    def model(self) -> str:
        """Name or file."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Forms, of which there are none for a film."""

    @property
    def unit(self) -> Unit:
        """What boxes are given in."""

    @property
    def regions(self) -> object:
        """Regions, of which there are none for a film."""

    @property
    def outlines(self) -> object:
        """Outlines, of which there are none for a film."""

    @property
    def seen(self) -> Seen:
        """Channel, plane and contrast."""

    def settings(self) -> dict[str, Any]:
        """What the counts depend on."""

    def asked(self) -> dict[str, Any]:
        """What the table is to tell."""


@dataclass
class FramesJob(Job):
    """A count of each of some frames.

    Attributes:
        question: what is asked about each of them.
        frames: which.
        progress: frames that are counted are shown by a bar: of one film, which has none otherwise.

    Raises:
        LikewiseError: the question asks for what there is not for a film.
    """

    question: Question
    frames: Frames
    progress: bool = field(default=False, init=False)

    task = "count"
    doing = "counting"
    done = "counted"
    table = "counts.csv"
    columns = ("frames", "mean", "least", "greatest", "warnings")
    suffixes = ("_frames.png",)

    def __post_init__(self) -> None:
        self.model = self.question.model
        if self.question.formats:
            raise LikewiseError(
                f"--format {self.question.formats[0]} is for single pictures; with --frames there is a table a film, "
                "NAME_frames.csv in --output, and --json"
            )
        if self.question.regions:
            raise LikewiseError("--regions and --grid are for single pictures; --region is a part of every frame")
        if self.question.outlines:
            raise LikewiseError("--outlines are of single pictures; a film's frames are counted only")

    def settings(self) -> dict[str, Any]:
        """The question's, and which frames."""
        return {**self.question.settings(), "frames": str(self.frames)}

    def asked(self) -> dict[str, Any]:
        """The question, and which frames."""
        return {**self.question.asked(), "frames": str(self.frames)}

    def notes(self, pictures: int) -> tuple[str, ...]:
        """That boxes are of one film's first frame, which is seldom the same place in two films."""
        prompt = self.question.prompt
        if pictures < 2 or not (prompt.exemplars or prompt.negatives):
            return ()
        return (
            f"note: --box, --negative: the same pixels are taken in the first frame of all {pictures} films; "
            "to show an example in one picture, use --like REF.jpg:X0,Y0,X1,Y1",
        )

    def check(self, output: Output, *, several: bool) -> None:
        """Say where no film can be written."""
        self.progress = not several
        if output.folder is not None and not _writes_films():
            tell("note: no film with the counts is written, for want of an encoder: pip install 'likewise[video]'")

    def load(self) -> Callable[[Path], SeriesResult]:
        """The counter, shown what the examples in other pictures look like."""
        from likewise.cli.asking import examples
        from likewise.predict import load_counter
        from likewise.predict.frames import count_frames

        question, choice = self.question, self.question.seen.choice()
        counter = load_counter(question.model)
        references = counter.references(examples(question.like, choice, question.unit))
        counter.check(question.prompt, references)

        def ask(film: Path) -> SeriesResult:
            prompt = self._in_pixels(film, choice)
            with self._told() as told:
                return count_frames(
                    *(counter, film, self.frames, prompt),
                    choice=choice,
                    told=told,
                    like=references,
                    trust=question.trust,
                )

        return ask

    def _in_pixels(self, film: Path, choice: Choice) -> Prompt:
        """The prompt in pixels of the first frame, which all others have as large."""
        from likewise.cli.placed import prompt_in_pixels
        from likewise.sources import open_frames

        if self.question.unit == "px":
            return self.question.prompt
        with closing(open_frames(film, self.frames, choice)) as frames:
            return prompt_in_pixels(self.question.prompt, next(frames).source, self.question.unit)

    @contextmanager
    def _told(self) -> Iterator[Callable[[FrameCount], object] | None]:
        """What is told of every frame."""
        if not self.progress:
            yield None
            return
        with progress_bar(shown=True) as bar:
            task = bar.add_task("frames", total=None)
            yield lambda frame: bar.advance(task)

    def text_suffixes(self) -> tuple[str, ...]:
        """Of the table, and of the film with the counts where there is an encoder."""
        from likewise.results.series import FILM, TABLE

        return TABLE, *((FILM,) if _writes_films() else ())

    def texts(self, result: SeriesResult) -> list[Callable[[Path], object]]:
        """What writes the table and the film."""
        from likewise.predict.frames import write_overlay_film

        table = partial(Path.write_bytes, data=result.table().encode())
        return [
            table,
            *([partial(write_overlay_film, result, choice=self.question.seen.choice())] if _writes_films() else []),
        ]

    def row(self, result: SeriesResult) -> tuple[object, ...]:
        """How many frames, the mean, least and greatest count, and warnings."""
        counts = (f"{value:.4f}" for value in (result.mean, result.least, result.greatest))
        return len(result.frames), *counts, " ".join(result.warnings())

    def line(self, result: SeriesResult) -> str:
        """How many frames, and their mean, least and greatest count."""
        return result.summary()

    def parts(self, result: SeriesResult) -> tuple[str, ...]:
        """A line a frame."""
        return tuple(frame.line() for frame in result.frames)

    def remarks(self, result: SeriesResult) -> Sequence[str]:
        """The warnings."""
        return result.warnings()

    def drawings(self, result: SeriesResult) -> tuple[Image.Image]:
        """The chart."""
        return (result.plot(),)


def frames_job(question: Question, text: str) -> FramesJob:
    """The job that asks a question about frames, as typed.

    Raises:
        LikewiseError: the text is no choice of frames; as `FramesJob` does.
    """
    from likewise.sources import Frames

    return FramesJob(question, Frames.parse(text))


def _writes_films() -> bool:
    from likewise.results.film import film_encoder

    return film_encoder() is not None
