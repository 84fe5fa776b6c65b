"""The workbench as a machine-learning backend of Label Studio: boxes drawn there are examples, points come back.

Label Studio is told the address ``http://127.0.0.1:7878/label-studio``. A project needs an ``<Image>`` with
``<RectangleLabels>``, in which examples are drawn, and ``<KeyPointLabels>``, which the found things become.

Pictures are never fetched: a task's picture is the one of that name on the shelf, or comes inside the task as a
``data:`` URL.

Convention
----------
Label Studio's x, y, width and height are per cent of the picture's sides.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import xml.etree.ElementTree as ET  # documents with declarations are refused before it sees them
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

import likewise
from likewise.app.limits import RefusedError
from likewise.app.picture_store import Picture
from likewise.app.requests import Box, CountQuestion
from likewise.app.routes import asked
from likewise.app.upload_checks import checked_name
from likewise.app.workbench import Workbench
from likewise.boxes import xywh_to_xyxy

#: Label Studio puts eight hexadecimal digits before the name of a file it stores.
_STORED = re.compile(r"^[0-9a-f]{8}-(?=.)")
#: Size of a key point, per cent of the picture's width.
POINT_WIDTH = 0.6


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
    async def predict(body: Predict) -> dict[str, Any]:
        """Points for each task in which an example is drawn; nothing for the others."""
        names = _names(body.label_config)
        drawn = ((body.params or {}).get("context") or {}).get("result") or []
        results = []
        for task in body.tasks:
            boxes = drawn or [each for annotation in task.annotations for each in annotation.get("result", [])]
            results.append(await _predicted(bench, task, boxes, names, version))
        return {"results": results, "model_version": version}

    return routes


async def _predicted(
    bench: Workbench, task: Task, drawn: list[dict[str, Any]], names: tuple[str, str, str, str], version: str
) -> dict[str, Any]:
    picture, brought = await run_in_threadpool(_picture, bench, task.data.get(names[3]))
    try:
        boxes, label = _examples(drawn, picture)
        if not boxes:
            return {"result": [], "score": 0.0, "model_version": version}
        question = CountQuestion(picture=picture.id, exemplars=tuple(boxes))
        answer = await asked(bench, lambda: bench.count(question))
    finally:
        if brought:
            bench.store.remove(picture.id)
    points = zip(answer["points"], answer["scores"], strict=True)
    found = [_keypoint(picture, point, score, names, label) for point, score in points]
    score = sum(answer["scores"]) / max(1, len(found))
    return {"result": found, "score": round(min(score, 1.0), 4), "model_version": version}


def _names(config: str) -> tuple[str, str, str, str]:
    """Of the interface: the key points' name, the image's, the label where none is drawn, and the data's key."""
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
    label = next((tag.get("value") for tag in points.iter("Label")), None)
    value = (image.get("value") if image is not None else None) or "$image"
    return points.get("name") or "keypoints", points.get("toName") or "image", label or "object", value.lstrip("$")


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


def _examples(drawn: list[dict[str, Any]], picture: Picture) -> tuple[list[Box], str | None]:
    """The rectangles among what was drawn, in pixels, and the label of the first."""
    boxes, label = [], None
    for each in drawn:
        value = each.get("value", {})
        if each.get("type") == "rectanglelabels" and all(key in value for key in ("x", "y", "width", "height")):
            shares = [float(value[key]) / 100 for key in ("x", "y", "width", "height")]
            x0, y0, x1, y1 = xywh_to_xyxy(shares)
            boxes.append((x0 * picture.width, y0 * picture.height, x1 * picture.width, y1 * picture.height))
            label = label or next(iter(value.get("rectanglelabels", [])), None)
    return boxes, label


def _keypoint(
    picture: Picture, point: list[float], score: float, names: tuple[str, str, str, str], label: str | None
) -> dict[str, Any]:
    x, y = 100 * point[0] / picture.width, 100 * point[1] / picture.height
    return {
        "id": secrets.token_hex(5),
        "from_name": names[0],
        "to_name": names[1],
        "type": "keypointlabels",
        "original_width": picture.width,
        "original_height": picture.height,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": POINT_WIDTH, "keypointlabels": [label or names[2]]},
        "score": round(min(score, 1.0), 4),
    }
