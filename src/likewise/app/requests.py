"""What the API is asked with: the bodies of its requests, checked before anything is done.

Convention
----------
Boxes are ``[x0, y0, x1, y1]`` and points ``[x, y]`` in pixels of the upright picture, the centre of its top left pixel
at (0.5, 0.5), as everywhere in likewise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from likewise.errors import LikewiseError
from likewise.predict.kind_prompts import LONGEST, KindPrompts, check_names
from likewise.sources import Choice
from likewise.types import Prompt

#: Beyond it, float32 no longer tells one pixel from the next.
MOST_COORDINATE = float(1 << 24)
#: Corners of a region.
MOST_CORNERS = 2000
#: Kinds of things in one picture: each takes about as long as a picture with one.
MOST_KINDS = 20
#: Pictures of a job.
MOST_PICTURES = 10_000

Number = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Coordinate = Annotated[float, Field(ge=-MOST_COORDINATE, le=MOST_COORDINATE, allow_inf_nan=False)]
Box = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
Point = tuple[Coordinate, Coordinate]
#: Pixels of a picture's side, of any format.
Side = Annotated[int, Field(ge=1, le=1 << 24)]
PictureId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
# Lists give up at the first bad entry: the errors of a million would take far more room than the entries.
Pictures = Annotated[tuple[PictureId, ...], Field(fail_fast=True, max_length=MOST_PICTURES)]
Boxes = Annotated[tuple[Box, ...], Field(fail_fast=True, max_length=1000)]
Points = Annotated[tuple[Point, ...], Field(fail_fast=True, max_length=200_000)]
Region = Annotated[tuple[Point, ...], Field(fail_fast=True, max_length=MOST_CORNERS)]
Name = Annotated[str, Field(max_length=300)]
#: Names a question, under which its answer is kept: what the page makes of its words. Nothing is read from it.
Question = Annotated[str, Field(pattern="^[0-9a-z]{1,32}$")]


class Body(BaseModel):
    """A request's body; a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, given: Any) -> Any:
        """One error for very many unknown keys: one for each would take far more room than the keys."""
        if isinstance(given, dict) and len(given) > len(cls.model_fields) + 8:
            raise ValueError(f"{len(given)} keys; expected some of {', '.join(cls.model_fields)}")
        return given


class Seen(Body):
    """What of a picture's file is the picture, in the words of the command line: ``GFP``, ``max``, ``1%,99%``."""

    channel: Name | None = Field(default=None, description="its name, or its number from 0; null: the only one")
    z: Annotated[str, Field(max_length=20)] | None = Field(
        default=None, description="the number of a plane from 0, or max or mean of all; null: the only one"
    )
    frame: Annotated[int, Field(ge=0, le=1 << 24)] | None = Field(
        default=None, description="the number of a frame from 0; null: the only one"
    )
    contrast: Annotated[str, Field(max_length=80)] = Field(
        default="auto", description="what is black and white: auto, min,max, two percentages or two values"
    )

    def choice(self) -> Choice:
        """The same as sources take it.

        Raises:
            LikewiseError: it means nothing.
        """
        return replace(Choice.parse(self.channel, self.z, self.contrast), frame=self.frame)


class OfPicture(Body):
    """Something about a picture, or about the channel and the plane of a stack."""

    picture: PictureId
    seen: Seen | None = Field(default=None, description="of a stack, what of it is the picture")


class Like(OfPicture):
    """Examples in another picture."""

    exemplars: Annotated[tuple[Box, ...], Field(fail_fast=True, min_length=1, max_length=1000)]


Likes = Annotated[tuple[Like, ...], Field(fail_fast=True, max_length=100)]
KindName = Annotated[str, Field(max_length=LONGEST)]


class Kind(Body):
    """One of several kinds of thing, with what shows it: boxes in the picture itself, or examples in others."""

    name: KindName
    exemplars: Boxes = ()
    like: Likes = ()


class CountRequest(Body):
    """What is to be counted: the same words as in `likewise.predict.Counter.count`."""

    exemplars: Boxes = ()
    negatives: Boxes = ()
    text: Name | None = None
    region: Region | None = None
    like: Likes = ()
    kinds: Annotated[tuple[Kind, ...], Field(fail_fast=True, max_length=MOST_KINDS)] = Field(
        default=(), description="several kinds at once, instead of exemplars, text and like: no place is counted twice"
    )
    model: Name | None = None
    coarse: float = Field(
        default=1.0, ge=0.1, le=1.0, description="times the usual scale: a coarser look takes the square of it as long"
    )

    def prompt(self) -> Prompt:
        """What of it is about the picture itself.

        Raises:
            LikewiseError: a box or a region that cannot be.
        """
        return Prompt(self.exemplars, self.negatives, self.text, self.region)

    def kind_prompts(self) -> KindPrompts:
        """The same of several kinds.

        Raises:
            LikewiseError: names that cannot be told apart; a kind that nothing shows; examples that are of no kind; a
                box or a region that cannot be.
        """
        check_names(each.name for each in self.kinds)
        beside = [word for word in ("exemplars", "text", "like") if getattr(self, word)]
        if beside:
            raise LikewiseError(f"{beside[0]} beside kinds: of which kind? Expected it in one of them, or no kinds")
        for each in self.kinds:
            if not each.exemplars and not each.like:
                raise LikewiseError(f"nothing shows the kind {each.name!r}; expected exemplars or like in it")
        boxes = {each.name: each.exemplars for each in self.kinds}
        return KindPrompts.of(boxes, negatives=self.negatives, region=self.region)


class CountQuestion(CountRequest, OfPicture):
    """One picture to count in."""

    heat: bool = Field(default=False, description="also draw the density, as a PNG to lay over the picture")
    keep: Question | None = Field(default=None, description="keep the answer in the project, as that to this question")


class Stroke(Body):
    """A line drawn with a round brush."""

    points: Annotated[tuple[Point, ...], Field(fail_fast=True, min_length=1, max_length=20_000)]
    width: Annotated[float, Field(gt=0, le=20_000, allow_inf_nan=False)]
    erase: bool = False


Strokes = Annotated[tuple[Stroke, ...], Field(fail_fast=True, max_length=2000)]


class RunLengths(Body):
    """A mask in COCO's compressed run lengths, each of at most seven characters; the size is (height, width)."""

    size: tuple[Side, Side]
    counts: Annotated[str, Field(max_length=8_000_000, pattern="^(?:[P-o]{0,6}[0-O])*$")]


class Support(OfPicture):
    """A picture in which the thing is marked: by a box, by clicks, or by strokes of a brush, which may mend a mask."""

    strokes: Strokes = ()
    base: RunLengths | None = None
    box: Box | None = None
    clicks: Annotated[tuple[Point, ...], Field(fail_fast=True, max_length=200)] = ()

    @property
    def drawn(self) -> bool:
        """Whether it is a mask, neither a box nor clicks."""
        return self.box is None and not self.clicks


class SegmentQuestion(OfPicture):
    """One picture in which to find what the support marks."""

    support: Annotated[tuple[Support, ...], Field(fail_fast=True, min_length=1, max_length=20)]
    model: Name | None = None
    keep: Question | None = None


class RecognizeQuestion(OfPicture):
    """One picture to recognise."""

    model: Name | None = None
    keep: Question | None = None


def _few_entries(given: Any) -> Any:
    if isinstance(given, dict) and len(given) > MOST_PICTURES:
        raise ValueError(f"{len(given)} entries; at most {MOST_PICTURES} are taken")
    return given


Keep = Annotated[
    dict[PictureId, Question],
    BeforeValidator(_few_entries),
    Field(description="of each picture whose answer is kept in the project, the question it is to"),
]
SeenOf = Annotated[
    dict[PictureId, Seen], BeforeValidator(_few_entries), Field(description="of each stack, what of it is the picture")
]


class CountJob(CountRequest):
    """The same question about many pictures, in each picture's own region where it has one."""

    task: Literal["count"]
    pictures: Pictures
    regions: Annotated[dict[PictureId, Region], BeforeValidator(_few_entries)] = Field(
        default={}, description="pictures of the job that are counted in a region of their own instead of `region`"
    )
    keep: Keep = {}
    seen: SeenOf = {}

    def about(self, picture: str) -> CountRequest:
        """What is asked about one of the pictures."""
        region = self.regions.get(picture, self.region)
        asked = {name: getattr(self, name) for name in CountRequest.model_fields}
        return CountRequest.model_construct(**{**asked, "region": region})


class SegmentJob(Body):
    """The same marks for many pictures."""

    task: Literal["segment"]
    pictures: Pictures
    support: Annotated[tuple[Support, ...], Field(fail_fast=True, min_length=1, max_length=20)]
    model: Name | None = None
    keep: Keep = {}
    seen: SeenOf = {}


class RecognizeJob(Body):
    """Many pictures to recognise."""

    task: Literal["recognize"]
    pictures: Pictures
    model: Name | None = None
    keep: Keep = {}
    seen: SeenOf = {}


Job = Annotated[CountJob | SegmentJob | RecognizeJob, Field(discriminator="task")]
