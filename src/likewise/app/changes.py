"""What the page tells of a project: what changed in which picture, never all of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from likewise.app.project import KindMarks, Marks, Prediction, Recognized, Segmented, told_apart
from likewise.app.requests import MOST_KINDS, Body, Like, Name, PictureId, Question

#: Names a page that is open.
Tab = Annotated[str, Field(pattern="^[0-9a-z]{0,32}$")]


class KindEntry(KindMarks):
    """What a person has said of one of several kinds."""

    like: Like | None = None


class Entry(Marks):
    """What a person has said of a picture."""

    like: Like | None = None
    kinds: Annotated[tuple[KindEntry, ...], Field(max_length=MOST_KINDS), AfterValidator(told_apart)] = ()


class Found(Body):
    """Answers that came with a project file."""

    count: Prediction | None = None
    segment: Segmented | None = None
    recognize: Recognized | None = None


class Change(Body):
    """One picture, as it is now."""

    picture: PictureId
    entry: Entry
    question: Question | None = Field(default=None, description="how many of what; None: nothing is to be counted")
    found: Found | None = None


class Changes(Body):
    """What changed since the last time."""

    tab: Tab = ""
    pictures: Annotated[tuple[Change, ...], Field(fail_fast=True, max_length=20_000)] = ()
    asked: dict[Literal["segment", "recognize"], Question] = Field(
        default={}, description="what is asked of all pictures"
    )
    recognizer: Name | None = Field(
        default=None, description="the model that recognises from now on; empty: the first; null: as before"
    )


class TabBody(Body):
    """Which page it is."""

    tab: Tab
