"""The workbench as a machine-learning backend of Label Studio: boxes drawn there are examples, points come back.

Label Studio is told the address ``http://127.0.0.1:7878/label-studio``. A project needs an ``<Image>`` with
``<RectangleLabels>``, in which examples are drawn, and ``<KeyPointLabels>``, which the found things become.

Pictures are never fetched: a task's picture is the one of that name on the shelf, or comes inside the task as a
``data:`` URL.

Rectangles of one label show one kind of thing: each kind is counted by its own examples, and its points get its label.
A turned rectangle is the smallest upright box round it.

Convention
----------
Label Studio's x, y, width and height are per cent of the picture's sides; x, y is the corner round which a rectangle is
turned, by degrees clockwise.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import secrets
import xml.etree.ElementTree as ET  # documents with declarations are refused before it sees them
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

import likewise
from likewise.app.limits import RefusedError
from likewise.app.picture_store import Picture
from likewise.app.requests import Box, CountQuestion
from likewise.app.upload_checks import checked_name
from likewise.app.waiting import asked
from likewise.app.workbench import Workbench

#: Label Studio puts eight hexadecimal digits before the name of a file it stores.
_STORED = re.compile(r"^[0-9a-f]{8}-(?=.)")
#: Size of a key point, per cent of the picture's width.
POINT_WIDTH = 0.6
#: Kinds of things that are counted in one picture: each takes as long as a picture with one.
MOST_KINDS = 20


class Task(BaseModel):
    """A task: its picture is in ``data``, boxes drawn before are in ``annotations``."""

    id: int | str | None = None
    data: dict[str, Any] = {}
    annotations: list[dict[str, Any]] = []


class Setup(BaseModel):
    """What Label Studio says of a project when it connects."""

    project: str | None = None
    schema_: str | None = Field(default=None, alias="schema")


class Predict(BaseModel):
    """Tasks to answer, the project's labelling interface, and what was just drawn."""

    tasks: list[Task] = Field(max_length=100)
    label_config: str = ""
    params: dict[str, Any] | None = None


def label_studio_routes(bench: Workbench) -> APIRouter:
    """``/label-studio/health``, ``/setup`` and ``/predict``."""
    routes = APIRouter(prefix="/label-studio", tags=["Label Studio"])
    version = f"likewise-{likewise.__version__}"

    @routes.get("/health")
    async def health() -> dict[str, str]:
        """Whether this is running."""
        return {"status": "UP", "model_class": "likewise"}

    @routes.post("/setup")
    async def setup(_: Setup) -> dict[str, str]:
        """The version that predictions carry."""
        return {"model_version": version}

    @routes.post("/predict")
    async def predict(body: Predict, request: Request) -> dict[str, Any]:
        """Points for each task in which an example is drawn; nothing for the others."""
        names = _names(body.label_config)
        drawn = _drawn(body.params)
        results = []
        for task in body.tasks:
            boxes = drawn or [each for annotation in task.annotations for each in annotation.get("result") or []]
            results.append(await _predicted(bench, task, boxes, Asked(names, version, request)))
        return {"results": results, "model_version": version}

    return routes


def _drawn(params: dict[str, Any] | None) -> list[Any]:
    """What was just drawn, as Label Studio sends it."""
    context = (params or {}).get("context") or {}
    drawn = (context.get("result") or []) if isinstance(context, dict) else context
    if not isinstance(drawn, list):
        raise RefusedError(422, "params.context.result is no list of what was drawn")
    return drawn


async def _predicted(bench: Workbench, task: Task, drawn: list[Any], asks: Asked) -> dict[str, Any]:
    names = asks.names
    picture, brought = await run_in_threadpool(_picture, bench, task.data.get(names.data))
    found, scores = [], []
    try:
        kinds = _kinds(*_examples(drawn, picture))
        for kind, boxes in kinds.items():
            label = names.label(kind, alone=len(kinds) == 1)
            question = CountQuestion(picture=picture.id, exemplars=tuple(boxes))
            answer = await asked(bench, partial(bench.count, question), asks.request)
            scores += answer["scores"]
            points = zip(answer["points"], answer["scores"], strict=True)
            found += [_keypoint(picture, point, score, names, label) for point, score in points]
    finally:
        if brought:
            bench.store.remove(picture.id)
    score = sum(scores) / max(1, len(found))
    return {"result": found, "score": round(min(score, 1.0), 4), "model_version": asks.version}


@dataclass(frozen=True)
class Names:
    """What the labelling interface calls things: the key points, the image, their labels, and the data's key."""

    points: str
    image: str
    labels: tuple[str, ...]
    data: str

    def label(self, drawn: str | None, *, alone: bool) -> str:
        """The label of the points found by examples of a label.

        Raises:
            RefusedError: several kinds are drawn, and key points have no label for this one.
        """
        if drawn in self.labels or (drawn is not None and not self.labels):
            return drawn
        if not alone and drawn is not None:
            known = ", ".join(map(repr, self.labels))
            raise RefusedError(
                422, f"examples of {drawn!r} are drawn, but <KeyPointLabels> has no such label; it has {known}"
            )
        return self.labels[0] if self.labels else "object"


@dataclass(frozen=True)
class Asked:
    """Who asks: what their labelling interface calls things, the version they are told, and their request."""

    names: Names
    version: str
    request: Request


def _names(config: str) -> Names:
    """What the interface calls things.

    Raises:
        RefusedError: it is not XML, has declarations, or no key points.
    """
    if re.search("<!(DOCTYPE|ENTITY)", config, re.IGNORECASE):
        raise RefusedError(422, "label_config has declarations; expected plain tags")
    try:
        tags = list(ET.fromstring(config).iter()) if config.strip() else []  # noqa: S314  # see the import
    except ET.ParseError as error:
        raise RefusedError(422, f"label_config is not XML: {error}") from error
    points = next((tag for tag in tags if tag.tag == "KeyPointLabels"), None)
    if points is None:
        raise RefusedError(422, "label_config has no <KeyPointLabels>, which the found things become")
    image = next((tag for tag in tags if tag.tag == "Image" and tag.get("name") == points.get("toName")), None)
    labels = tuple(value for tag in points.iter("Label") if (value := tag.get("value")))
    value = (image.get("value") if image is not None else None) or "$image"
    return Names(points.get("name") or "keypoints", points.get("toName") or "image", labels, value.lstrip("$"))


def _picture(bench: Workbench, value: Any) -> tuple[Picture, bool]:
    """The picture of a task, and whether it came inside the task."""
    if not isinstance(value, str) or not value:
        raise RefusedError(422, "a task has no picture; expected its name or a data: URL")
    if value.startswith("data:"):
        return _brought(bench, value), True
    parts = urlsplit(value)
    local = parse_qs(parts.query).get("d", [""])[0]
    name = PurePosixPath(unquote(local or parts.path)).name
    bench.store.scan()
    found = bench.store.named(name) or bench.store.named(_STORED.sub("", name))
    if found is None:
        raise RefusedError(404, f"{name} is not here; start likewise app on the folder that holds it")
    return found, False


def _brought(bench: Workbench, url: str) -> Picture:
    head, _, body = url.partition(",")
    if not head.endswith(";base64"):
        raise RefusedError(422, "expected a data: URL in base64")
    try:
        content = base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise RefusedError(422, "the data: URL is not base64") from error
    name = checked_name(f"task.{re.sub('[^a-z]', '', head[5:-7].rpartition('/')[2])}")
    return bench.store.admit(bench.store.store(content), name)


def _examples(drawn: list[Any], picture: Picture) -> tuple[list[Box], list[tuple[str | None, ...]]]:
    """The rectangles among what was drawn, in pixels, and the labels of each: one, several, or (None,).

    Raises:
        RefusedError: a rectangle that is none, or lies outside the picture.
    """
    boxes, labels = [], []
    for each in drawn:
        if not isinstance(each, dict) or each.get("type") != "rectanglelabels":
            continue
        value = each.get("value")
        if not isinstance(value, dict) or not all(key in value for key in ("x", "y", "width", "height")):
            continue
        named = value.get("rectanglelabels") or [None]
        if not isinstance(named, list) or not all(isinstance(label, (str, type(None))) for label in named):
            raise RefusedError(422, f"rectanglelabels is {named!r}; expected a list of names")
        boxes.append(_upright(value, picture))
        labels.append(tuple(dict.fromkeys(named)))
    return boxes, labels


def _kinds(boxes: list[Box], labels: list[tuple[str | None, ...]]) -> dict[str | None, list[Box]]:
    """The boxes of each label; a box of several is an example of each.

    Raises:
        RefusedError: more kinds than are counted at once.
    """
    found: dict[str | None, list[Box]] = defaultdict(list)
    for box, named in zip(boxes, labels, strict=True):
        for label in named:
            found[label].append(box)
    if len(found) > MOST_KINDS:
        raise RefusedError(422, f"examples of {len(found)} labels are drawn; expected at most {MOST_KINDS}")
    return dict(found)


def _upright(value: dict[str, Any], picture: Picture) -> Box:
    """The smallest upright box round a rectangle that may be turned, as far as it lies in the picture."""
    sizes = [value["x"], value["y"], value["width"], value["height"], value.get("rotation") or 0]
    if not all(isinstance(size, (int, float)) and math.isfinite(size) for size in sizes):
        raise RefusedError(422, f"a rectangle is {value!r}; expected numbers for x, y, width, height and rotation")
    x, width = (size / 100 * picture.width for size in (sizes[0], sizes[2]))
    y, height = (size / 100 * picture.height for size in (sizes[1], sizes[3]))
    turn = math.radians(sizes[4])
    corners = [
        (x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn))
        for a in (0, width)
        for b in (0, height)
    ]
    across, down = zip(*corners, strict=True)
    box = (
        max(min(across), 0.0),
        max(min(down), 0.0),
        min(max(across), float(picture.width)),
        min(max(down), float(picture.height)),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        raise RefusedError(422, f"a rectangle lies outside the picture or has no area: {value!r}")
    return box


def _keypoint(picture: Picture, point: list[float], score: float, names: Names, label: str) -> dict[str, Any]:
    x, y = 100 * point[0] / picture.width, 100 * point[1] / picture.height
    return {
        "id": secrets.token_hex(5),
        "from_name": names.points,
        "to_name": names.image,
        "type": "keypointlabels",
        "original_width": picture.width,
        "original_height": picture.height,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": POINT_WIDTH, "keypointlabels": [label]},
        "score": round(min(score, 1.0), 4),
    }
