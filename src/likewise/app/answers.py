"""What the API answers, by field: what its description is made of. Answers of some size are not compared with it.

Convention
----------
Boxes and points are in pixels of the upright picture, as in `likewise.app.requests`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from likewise.app.changes import Entry
from likewise.app.jobs import State
from likewise.types import Task

Point = tuple[float, float]
Box = tuple[float, float, float, float]
DataUrl = str


class Refusal(BaseModel):
    """Why a request is not served."""

    error: str


class PictureAnswer(BaseModel):
    """A picture that is here."""

    id: str
    name: str
    width: int
    height: int
    uploaded: bool = Field(default=False, description="it was dropped in, and may be removed")
    error: str | None = Field(default=None, description="why it cannot be read")


class AboutAnswer(BaseModel):
    """What a picture's file tells of it."""

    micrometres: tuple[float, float] | None = Field(description="width and height of a pixel; null: not known")
    channels: list[str] = Field(description="of a stack, their names, or numbers from 0")
    planes: int = Field(description="of a stack, in depth")
    frames: int = Field(description="of a stack, in time")
    deep: bool = Field(description="values have more than 8 bits, so that contrast says something")


class FittingAnswer(BaseModel):
    """Pictures that have what was chosen."""

    pictures: list[str]


class PicturesAnswer(BaseModel):
    """Every picture: the folder's, then the uploaded ones."""

    pictures: list[PictureAnswer]


class ModelAnswer(BaseModel):
    """A model."""

    name: str
    task: Task
    prompts: list[str]
    ready: bool = Field(description="its weights are here")
    how_to: str = Field(description="how to get them")
    notes: list[str]


class ModelsAnswer(BaseModel):
    """The models, and the forms of export by task."""

    version: str
    models: list[ModelAnswer]
    formats: dict[Task, dict[str, str]]


class Measured(BaseModel):
    """A count; the truth lies between ``low`` and ``high`` in nine of ten cases, where that is known."""

    count: float
    low: float | None = None
    high: float | None = None
    untrusted: bool = False
    dots: int | None = Field(default=None, description="how many points there are")


class KindAnswer(Measured):
    """One of several kinds. Its points are among those of the picture, after those of the kinds before it."""

    name: str
    warnings: list[str]
    object_size: Point | None


class Confused(BaseModel):
    """Two kinds that can hardly be told apart: so much of their places is nearly as much like the other."""

    kinds: tuple[str, str]
    share: float


class CountBrief(Measured):
    """A count: of several kinds, that of all together."""

    model: str
    kinds: list[KindAnswer] = []
    confusions: list[Confused] = []


class CountAnswer(CountBrief):
    """What `/count` found."""

    image: str
    points: list[Point] = Field(description="of several kinds those of the first, then those of the next, and so on")
    scores: list[float]
    found: list[Box] = Field(description="boxes that a name found, by which the rest was counted")
    warnings: list[str]
    seconds: float
    prompt: dict[str, Any]
    object_size: Point | None
    alike: list[Point] = Field(default=[], description="places that look alike and are no points")
    heat: DataUrl | None = None


class SegmentBrief(BaseModel):
    """The share of the picture that shows the thing."""

    model: str
    area: float


class SegmentAnswer(SegmentBrief):
    """What `/segment` found."""

    image: str
    boxes: list[Box]
    segmentation: dict[str, Any] = Field(description="the mask in COCO's run lengths")
    seconds: float
    mask: DataUrl


class RecognizeBrief(BaseModel):
    """What the picture shows."""

    model: str
    label: str
    nearest: str | None = None
    probability: float


class Magnified(BaseModel):
    """What the model looked at."""

    what: str
    image: DataUrl


class RecognizeAnswer(RecognizeBrief):
    """What `/recognize` found."""

    image: str
    top: list[tuple[str, float]]
    seconds: float
    peaks: list[Point]
    magnified: list[Magnified]


class ForecastAnswer(BaseModel):
    """How long a question will take; only ``seconds``, and that null, where it is not known."""

    seconds: float | None
    tiles: int | None = None
    coarse: float | None = Field(default=None, description="part of the scale at which it would be quicker")
    coarse_seconds: float | None = None


class JobAnswer(BaseModel):
    """How far a job is. A record is the answer about one picture, with its id as ``picture``; or an ``error``."""

    id: str
    task: str
    state: State
    done: int
    total: int
    failed: int
    records: list[dict[str, Any]]
    error: str | None
    file: bool
    kept: bool


class StoppedJob(BaseModel):
    """A job that can go on."""

    id: str
    task: Task
    done: int
    total: int


class JobsAnswer(BaseModel):
    """Jobs at work, and those that were stopped."""

    jobs: list[JobAnswer]
    stopped: list[StoppedJob]


class KeptBrief(BaseModel):
    """What is kept of a picture, in brief."""

    picture: str
    entry: Entry
    count: CountBrief | None = None
    segment: SegmentBrief | None = None
    recognize: RecognizeBrief | None = None


class ProjectAnswer(BaseModel):
    """What is kept of all pictures."""

    pictures: list[KeptBrief]
    missing: list[str]
    replaced: list[str]
    recognizer: str | None = None


class KeptWhole(BaseModel):
    """All that is kept of a picture: whole answers, as `/count` and the others gave them, but for what is drawn."""

    picture: str
    entry: Entry
    count: dict[str, Any] | None = None
    segment: dict[str, Any] | None = None
    recognize: dict[str, Any] | None = None


class ChangedAnswer(BaseModel):
    """What was not kept."""

    unknown: list[str]


class CheckedAnswer(BaseModel):
    """Of a project file."""

    pictures: int
    missing: list[str]


class SampleAnswer(BaseModel):
    """The pictures that were drawn to be counted by hand."""

    pictures: list[str]
    missing: list[str]
    design: Literal["proportional", "random", "stratified"] | None
    seed: int | None
    of: int
