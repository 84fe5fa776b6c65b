"""A project: the pictures, what was shown in each, what was found, and what was corrected by hand, as one file.

What the model found and what a person changed are kept apart: ``prediction`` is never edited.

Convention
----------
Pictures are known by name, because ids last only as long as the workbench runs. Coordinates are as in the API.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from likewise.app.requests import (
    MOST_KINDS,
    Body,
    Boxes,
    KindName,
    Name,
    Number,
    Point,
    Points,
    Region,
    RunLengths,
    Seen,
    Side,
    Strokes,
)
from likewise.boxes import mean_width_height
from likewise.predict.kind_prompts import check_names

#: What a picture shows, in a person's words.
Label = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^\S(.*\S)?$")]
Warnings = Annotated[tuple[Annotated[str, Field(max_length=2000)], ...], Field(max_length=50)]


class KindFound(Body):
    """Of what a model found, one of several kinds. Its points come after those of the kinds before it."""

    name: KindName
    count: Number
    low: Number | None = None
    high: Number | None = None
    untrusted: bool = False
    dots: int = Field(default=0, ge=0, description="how many of the points are its own")
    warnings: Warnings = ()
    object_size: Point | None = None


class Confused(Body):
    """Two kinds that can hardly be told apart: so much of their places is nearly as much like the other."""

    kinds: tuple[KindName, KindName]
    share: Number


class Prediction(Body):
    """What a model found; the truth lies between ``low`` and ``high`` in nine of ten cases, where that is known.

    ``untrusted`` says that such an interval would be too wide to be of use. ``found`` are the boxes of what matched a
    name best, by which the rest was counted. Of several ``kinds`` the count is that of all together.
    """

    model: Name
    count: Number
    low: Number | None = None
    high: Number | None = None
    untrusted: bool = False
    warnings: Warnings = ()
    points: Points = ()
    found: Boxes = ()
    scores: Annotated[tuple[Number, ...], Field(fail_fast=True, max_length=200_000)] = ()
    seconds: Number = 0.0
    kinds: Annotated[tuple[KindFound, ...], Field(max_length=MOST_KINDS)] = ()
    confusions: Annotated[tuple[Confused, ...], Field(max_length=MOST_KINDS**2)] = ()

    @model_validator(mode="after")
    def _a_score_for_each(self) -> Prediction:
        if self.scores and len(self.scores) != len(self.points):
            raise ValueError(f"{len(self.scores)} scores of {len(self.points)} points; expected one for each, or none")
        dots = sum(each.dots for each in self.kinds)
        if self.kinds and dots != len(self.points):
            raise ValueError(f"the kinds have {dots} dots, of {len(self.points)} points; expected each point in one")
        return self

    def by_kind(self) -> tuple[Prediction, ...]:
        """Of each of several kinds what is its own."""
        found, first = [], 0
        for each in self.kinds:
            own = slice(first, first := first + each.dots)
            told: dict[str, Any] = each.model_dump(exclude={"name", "dots", "object_size"})
            told |= {"model": self.model, "seconds": self.seconds}
            told |= {"points": self.points[own], "scores": self.scores[own]}
            found.append(Prediction.model_construct(**told))  # of what was checked
        return tuple(found)


class NamedLike(Body):
    """Examples in another picture, by its name."""

    picture: Name
    exemplars: Boxes
    seen: Seen | None = None


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


class KindMarks(Body):
    """What a person has said of one of several kinds: its examples, and corrections of what was found of it."""

    name: KindName
    exemplars: Boxes = ()
    added: Points = ()
    removed: Points = ()
    carried: Carried | None = None


SomeKind = TypeVar("SomeKind", bound=KindMarks)


def told_apart(kinds: tuple[SomeKind, ...]) -> tuple[SomeKind, ...]:
    """The kinds, their names checked.

    Raises:
        LikewiseError: two that are one, or one that is none.
    """
    if kinds:
        check_names(each.name for each in kinds)
    return kinds


class NamedKind(KindMarks):
    """The same, with examples in another picture, by its name."""

    like: NamedLike | None = None

    @property
    def shown(self) -> bool:
        """Whether anything shows it: it is asked for."""
        return bool(self.exemplars or self.like)


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
    micrometres: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = Field(
        default=None, description="side of a pixel, where the picture's file does not tell it"
    )
    seen: Seen | None = Field(default=None, description="what of its file is the picture")
    label: Label | None = Field(default=None, description="what the picture shows, as a person says")


class ProjectPicture(Marks):
    """One picture of a project."""

    name: Name
    width: Side
    height: Side
    like: NamedLike | None = None
    kinds: Annotated[tuple[NamedKind, ...], Field(max_length=MOST_KINDS), AfterValidator(told_apart)] = ()
    prediction: Prediction | None = None
    segmented: Segmented | None = None
    recognized: Recognized | None = None

    @property
    def brushed(self) -> bool:
        """Whether a thing was marked by hand, or what was found mended."""
        return self.base is not None or any(not stroke.erase for stroke in self.strokes)

    @property
    def parts(self) -> dict[str, ProjectPicture]:
        """Of several kinds each by its name, as a picture in which it is the only one; none where there is one kind."""
        if not self.kinds or self.text is not None:
            return {}
        found = iter(self.prediction.by_kind() if self.prediction else ())
        return {
            kind.name: self.model_copy(
                update={
                    **{name: getattr(kind, name) for name in ("exemplars", "like", "added", "removed", "carried")},
                    "kinds": (),
                    "prediction": next(found, None) if kind.shown else None,
                }
            )
            for kind in self.kinds
        }

    @property
    def kept(self) -> list[tuple[Point, float]]:
        """Points the model found that nobody removed, with their scores."""
        if parts := self.parts:
            return [each for part in parts.values() for each in part.kept]
        if self.prediction is None:
            return []
        gone = set(self.removed)
        scores = self.prediction.scores or (1.0,) * len(self.prediction.points)
        return [(p, s) for p, s in zip(self.prediction.points, scores, strict=True) if p not in gone]

    @property
    def additions(self) -> Points:
        """Points that were added by hand."""
        return tuple(each for part in (self.parts.values() or (self,)) for each in part.added)

    @property
    def removals(self) -> int:
        """How many of the model's points were removed."""
        return 0 if self.prediction is None else len(self.prediction.points) - len(self.kept)

    @property
    def by_hand(self) -> bool:
        """Whether a person corrected or confirmed the points."""
        if parts := self.parts:
            return any(part.by_hand for part in parts.values())
        return bool(self.confirmed or self.carried or self.added or self.removals)

    @property
    def count(self) -> float | None:
        """The model's own, or of what was corrected or confirmed the number of points; None where there is neither.

        What was corrected is no count as long as what it corrects is not counted. Of several kinds that of all.
        """
        if parts := self.parts:
            known = [part.count for part in parts.values() if part.count is not None]
            return sum(known) if known else None
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
