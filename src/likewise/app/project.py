"""A project: the pictures, what was shown in each, what was found, and what was corrected by hand, as one file.

What the model found and what a person changed are kept apart: ``prediction`` is never edited.

Convention
----------
Pictures are known by name, because ids last only as long as the workbench runs. Coordinates are as in the API.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from likewise.app.requests import Body, Boxes, Name, Number, Point, Points, Region, Strokes
from likewise.boxes import mean_width_height

#: Pixels of a picture's side, of any format.
Side = Annotated[int, Field(ge=1, le=1 << 24)]


class Prediction(Body):
    """What a model found; the truth lies between ``low`` and ``high`` in nine of ten cases, where that is known.

    ``untrusted`` says that such an interval would be too wide to be of use. ``found`` are the boxes of what matched a
    name best, by which the rest was counted.
    """

    model: Name
    count: Number
    low: Number | None = None
    high: Number | None = None
    untrusted: bool = False
    warnings: Annotated[tuple[Annotated[str, Field(max_length=2000)], ...], Field(max_length=50)] = ()
    points: Points = ()
    found: Boxes = ()
    scores: Annotated[tuple[Number, ...], Field(fail_fast=True, max_length=200_000)] = ()
    seconds: Number = 0.0

    @model_validator(mode="after")
    def _a_score_for_each(self) -> Prediction:
        if self.scores and len(self.scores) != len(self.points):
            raise ValueError(f"{len(self.scores)} scores of {len(self.points)} points; expected one for each, or none")
        return self


class NamedLike(Body):
    """Examples in another picture, by its name."""

    picture: Name
    exemplars: Boxes


class RunLengths(Body):
    """A mask in COCO's compressed run lengths, each of at most seven characters; the size is (height, width)."""

    size: tuple[Side, Side]
    counts: Annotated[str, Field(max_length=8_000_000, pattern="^(?:[P-o]{0,6}[0-O])*$")]


class Segmented(Body):
    """What segmentation found: the share of the picture that shows the thing, boxes round its parts, and the mask."""

    model: Name
    area: Number
    boxes: Boxes = ()
    segmentation: RunLengths | None = None
    seconds: Number = 0.0


class Recognized(Body):
    """What the picture shows: the label, the nearest class, and the best ones with their probabilities."""

    model: Name
    label: Name
    nearest: Name | None = None
    probability: Number
    top: Annotated[tuple[tuple[Name, Number], ...], Field(fail_fast=True, max_length=100)] = ()
    seconds: Number = 0.0


class Marks(Body):
    """What a person has said of a picture, as far as it lies in the picture itself."""

    exemplars: Boxes = ()
    negatives: Boxes = ()
    text: Name | None = None
    region: Region | None = None
    added: Points = ()
    removed: Points = ()
    strokes: Strokes = ()
    coarse: Annotated[float, Field(ge=0.1, le=1.0)] = 1.0
    model: Name | None = None


class ProjectPicture(Marks):
    """One picture of a project."""

    name: Name
    width: Side
    height: Side
    like: NamedLike | None = None
    prediction: Prediction | None = None
    segmented: Segmented | None = None
    recognized: Recognized | None = None

    @property
    def brushed(self) -> bool:
        """Whether a thing was marked by hand."""
        return any(not stroke.erase for stroke in self.strokes)

    @property
    def kept(self) -> list[tuple[Point, float]]:
        """Points the model found that nobody removed, with their scores."""
        if self.prediction is None:
            return []
        gone = set(self.removed)
        scores = self.prediction.scores or (1.0,) * len(self.prediction.points)
        return [(p, s) for p, s in zip(self.prediction.points, scores, strict=True) if p not in gone]

    @property
    def removals(self) -> int:
        """How many of the model's points were removed."""
        return 0 if self.prediction is None else len(set(self.removed) & set(self.prediction.points))

    @property
    def count(self) -> float | None:
        """Prediction and corrections together; None where nothing was counted."""
        if self.prediction is None:
            return float(len(self.added)) if self.added else None
        return max(0.0, self.prediction.count + len(self.added) - self.removals)

    @property
    def object_size(self) -> tuple[float, float] | None:
        """Mean width and height of the examples, drawn or found by a name."""
        elsewhere = self.like.exemplars if self.like else ()
        boxes = self.exemplars or elsewhere or (self.prediction.found if self.prediction else ())
        if not boxes:
            return None
        return mean_width_height(boxes)


class Project(Body):
    """The whole file; ``format`` changes when an older workbench could not read it any more."""

    format: Literal[1]
    likewise: Name = ""
    saved: Name = ""
    text: Name | None = None
    pictures: Annotated[tuple[ProjectPicture, ...], Field(fail_fast=True, max_length=20_000)]


def schema() -> dict[str, Any]:
    """The file's JSON schema."""
    return Project.model_json_schema()
