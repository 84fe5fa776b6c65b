"""What the API is asked with: the bodies of its requests, checked before anything is done.

Convention
----------
Boxes are ``[x0, y0, x1, y1]`` and points ``[x, y]`` in pixels of the upright picture, the centre of its top left pixel
at (0.5, 0.5), as everywhere in likewise.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from likewise.types import Prompt

Number = Annotated[float, Field(allow_inf_nan=False)]
Box = tuple[Number, Number, Number, Number]
Point = tuple[Number, Number]
PictureId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
Pictures = Annotated[tuple[PictureId, ...], Field(max_length=10_000)]
Boxes = Annotated[tuple[Box, ...], Field(max_length=1000)]
Points = Annotated[tuple[Point, ...], Field(max_length=200_000)]
Name = Annotated[str, Field(max_length=300)]


class Body(BaseModel):
    """A request's body; a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid")


class Like(Body):
    """Examples in another picture."""

    picture: PictureId
    exemplars: Annotated[tuple[Box, ...], Field(min_length=1, max_length=1000)]


class CountRequest(Body):
    """What is to be counted: the same words as in `likewise.predict.Counter.count`."""

    exemplars: Boxes = ()
    negatives: Boxes = ()
    text: Name | None = None
    region: Annotated[tuple[Point, ...], Field(max_length=10_000)] | None = None
    like: Annotated[tuple[Like, ...], Field(max_length=100)] = ()
    model: Name | None = None

    def prompt(self) -> Prompt:
        """What of it is about the picture itself.

        Raises:
            LikewiseError: a box or a region that cannot be.
        """
        return Prompt(self.exemplars, self.negatives, self.text, self.region)


class CountQuestion(CountRequest):
    """One picture to count in."""

    picture: PictureId
    heat: bool = Field(default=False, description="also draw the density, as a PNG to lay over the picture")


class Stroke(Body):
    """A line drawn with a round brush."""

    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=20_000)]
    width: Annotated[float, Field(gt=0, le=20_000, allow_inf_nan=False)]
    erase: bool = False


Strokes = Annotated[tuple[Stroke, ...], Field(max_length=2000)]


class Support(Body):
    """A picture in which the thing is marked: by strokes of a brush, or by a box."""

    picture: PictureId
    strokes: Strokes = ()
    box: Box | None = None


class SegmentQuestion(Body):
    """One picture in which to find what the support marks."""

    picture: PictureId
    support: Annotated[tuple[Support, ...], Field(min_length=1, max_length=20)]
    model: Name | None = None


class RecognizeQuestion(Body):
    """One picture to recognise."""

    picture: PictureId
    model: Name | None = None


class CountJob(CountRequest):
    """The same question about many pictures."""

    task: Literal["count"]
    pictures: Pictures


class SegmentJob(Body):
    """The same marks for many pictures."""

    task: Literal["segment"]
    pictures: Pictures
    support: Annotated[tuple[Support, ...], Field(min_length=1, max_length=20)]
    model: Name | None = None


class RecognizeJob(Body):
    """Many pictures to recognise."""

    task: Literal["recognize"]
    pictures: Pictures
    model: Name | None = None
