"""A project: the pictures, what was shown in each, what was found, and what was corrected by hand, as one file.

What the model found and what a person changed are kept apart: ``prediction`` is never edited.

Convention
----------
Pictures are known by name, because ids last only as long as the workbench runs. Coordinates are as in the API.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from likewise.app.requests import Body, Boxes, Name, Number, Point, Points, Region, RunLengths, Side, Strokes
from likewise.boxes import mean_width_height


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


class Carried(Body):
    """Corrections of an answer before this one, until it is known for which of its points they hold."""

    added: Points = ()
    removed: Points = ()


class NamedRegion(Body):
    """One of several regions, in which points are counted apart."""

    name: Name
    corners: Region


class Marks(Body):
    """What a person has said of a picture, as far as it lies in the picture itself."""

    exemplars: Boxes = ()
    negatives: Boxes = ()
    text: Name | None = None
    region: Region | None = None
    added: Points = ()
    removed: Points = ()
    confirmed: bool = Field(default=False, description="a person says that the points are right as they are")
    carried: Carried | None = None
    regions: Annotated[tuple[NamedRegion, ...], Field(fail_fast=True, max_length=2304)] = ()
    strokes: Strokes = ()
    base: RunLengths | None = Field(default=None, description="the found mask that the strokes mend")
    example: bool = Field(default=False, description="the mended mask is an example for the other pictures")
    boxed: Boxes = Field(default=(), description="boxes round the thing to segment")
    clicked: Points = Field(default=(), description="places on the thing to segment")
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
        """Whether a thing was marked by hand, or what was found mended."""
        return self.base is not None or any(not stroke.erase for stroke in self.strokes)

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
        return 0 if self.prediction is None else len(self.prediction.points) - len(self.kept)

    @property
    def by_hand(self) -> bool:
        """Whether a person corrected or confirmed the points."""
        return bool(self.confirmed or self.carried or self.added or self.removals)

    @property
    def count(self) -> float | None:
        """The model's own, or of what was corrected or confirmed the number of points; None where there is neither.

        What was corrected is no count as long as what it corrects is not counted.
        """
        asked = self.exemplars or self.text or self.like
        if self.by_hand and not (asked and self.prediction is None):
            return float(len(self.kept) + len(self.added))
        return None if self.prediction is None else self.prediction.count

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
