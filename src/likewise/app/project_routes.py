"""The HTTP API of projects: the one that is kept as it is worked on, and those that come as files."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

import likewise
from likewise.app.answers import ChangedAnswer, CheckedAnswer, JobAnswer, KeptWhole, ProjectAnswer, SampleAnswer
from likewise.app.changes import Changes, Tab, TabBody
from likewise.app.estimate import EstimateBody, SampleBody, draw_sample, estimated, noted_sample
from likewise.app.export import AnyProject, to_csv, to_format, to_region_csv
from likewise.app.kept import Kept
from likewise.app.learn import LearnBody, start_learning
from likewise.app.limits import RefusedError
from likewise.app.project import Project, ProjectPicture, schema
from likewise.app.teach import TeachBody, start_teaching
from likewise.app.waiting import download, written
from likewise.app.workbench import Workbench
from likewise.json_text import json_text
from likewise.results.formats import format_of
from likewise.types import Task


class KeptProject:
    """The project that is kept, read picture by picture, as often as it is walked through."""

    text: str | None = None

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.likewise = likewise.__version__
        self.saved = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

    @property
    def pictures(self) -> Iterator[ProjectPicture]:
        """Every picture that is here."""
        return self._kept.pictures()

    def to_json(self) -> Iterator[str]:
        """The project file, piece by piece."""
        head = {"format": 1, "likewise": self.likewise, "saved": self.saved}
        yield json_text(head)[:-1] + ', "pictures": ['
        for number, picture in enumerate(self.pictures):
            yield ",\n" * (number > 0) + json_text(picture.model_dump(mode="json", exclude_defaults=True))
        yield "]}\n"


def add_project_routes(api: APIRouter, bench: Workbench, writing: Executor) -> None:
    """What is kept as it is worked on, and who is told of it."""

    @api.get("/events", tags=["project"], response_class=StreamingResponse)
    async def events(tab: Tab = "") -> StreamingResponse:
        """What happens, as server-sent events: ``role``, ``job``, ``changed``, ``tiles`` and ``problem``."""
        jobs = [job for job in bench.jobs.listed() if job.state == "running"]
        return StreamingResponse(bench.events.listen(tab, jobs), media_type="text/event-stream")

    @api.post("/project/writer", status_code=204, tags=["project"])
    async def take_over(body: TabBody) -> None:
        """Let a page write that only looked on."""
        bench.events.take_over(body.tab)

    _add_kept_routes(api, bench)
    _add_kept_exports(api, bench, writing)


def _add_kept_routes(api: APIRouter, bench: Workbench) -> None:
    @api.get("/project", response_model=ProjectAnswer, response_model_exclude_unset=True, tags=["project"])
    def kept_project() -> Response:
        """What was said of every picture that is here, and the answers in brief."""
        bench.store.scan()
        return Response(json_text(bench.kept.project(), compact=True), media_type="application/json")

    @api.patch("/project", response_model=ChangedAnswer, tags=["project"])
    async def change_project(changes: Changes) -> dict[str, Any]:
        """Keep what changed; it is on disk when this answers. ``unknown`` are pictures that are not here."""
        if not bench.events.may_write(changes.tab):
            raise RefusedError(409, "another page has this project open; take over there, or here")
        unknown = await run_in_threadpool(bench.kept.change, changes)
        changed = [each.picture for each in changes.pictures]
        for picture in changed[: bench.limits.told]:
            bench.events.tell("changed", picture, {"picture": picture}, but=changes.tab)
        if len(changed) > bench.limits.told:
            bench.events.tell("changed", "", {"picture": None}, but=changes.tab)
        return {"unknown": unknown}

    @api.get(
        "/project/pictures/{picture}", response_model=KeptWhole, response_model_exclude_unset=True, tags=["project"]
    )
    def kept_picture(picture: str) -> dict[str, Any]:
        """All that is kept of one picture: whole answers, and the density of the count as a PNG."""
        found = bench.kept.one(bench.store.get(picture))
        heat = found.pop("heat")
        if heat is not None:
            found["count"]["heat"] = "data:image/png;base64," + base64.b64encode(heat).decode("ascii")
        return found

    @api.get("/project/file", tags=["project"], response_class=StreamingResponse)
    def project_file() -> StreamingResponse:
        """The project as one file, to be opened elsewhere."""
        head = {"Content-Disposition": 'attachment; filename="likewise-project.json"'}
        return StreamingResponse(KeptProject(bench.kept).to_json(), media_type="application/json", headers=head)


def _add_kept_exports(api: APIRouter, bench: Workbench, writing: Executor) -> None:
    @api.post("/project/overlays", response_model=JobAnswer, status_code=202, tags=["project"])
    def kept_overlays(task: Task = "count") -> dict[str, Any]:
        """As `/export/overlays`, of the project that is kept."""
        return bench.start_overlays(KeptProject(bench.kept), task).to_dict()

    @api.post("/project/export/{form}", tags=["project"], response_class=Response)
    async def export_kept(form: str, request: Request, task: Task = "count") -> Response:
        """As `/export/csv` and `/export/{form}`, of the project that is kept."""
        return await _exported(KeptProject(bench.kept), form, task, writing, request)


def add_learning_routes(api: APIRouter, bench: Workbench) -> None:
    """What the corrections of the kept project are good for beside its table."""

    @api.post("/learn", response_model=JobAnswer, status_code=202, tags=["learning"])
    def learn(body: LearnBody) -> dict[str, Any]:
        """Teach a counter what the corrected pictures show: a job, whose record has the errors before and after."""
        return start_learning(bench, body).to_dict()

    @api.post("/teach", response_model=JobAnswer, status_code=202, tags=["learning"])
    def teach(body: TeachBody) -> dict[str, Any]:
        """Teach a recogniser the names of the named pictures: a job, whose record says how many are right, left out."""
        return start_teaching(bench, body).to_dict()

    @api.get("/estimate/sample", response_model=SampleAnswer, tags=["learning"])
    def drawn_sample() -> dict[str, Any]:
        """The pictures that were drawn to be counted by hand."""
        return noted_sample(bench)

    @api.post("/estimate/sample", response_model=SampleAnswer, tags=["learning"])
    def new_sample(body: SampleBody) -> dict[str, Any]:
        """Draw the pictures to be counted by hand."""
        return draw_sample(bench, body)

    @api.post("/estimate", tags=["learning"])
    def estimate(body: EstimateBody) -> dict[str, Any]:
        """The total of all counted pictures, with its interval, from those drawn that are right by now."""
        return estimated(bench, body)


def add_file_routes(api: APIRouter, bench: Workbench, writing: Executor) -> None:
    """Projects that come as a file."""

    @api.get("/project/schema", tags=["project"])
    async def project_schema() -> dict[str, Any]:
        """The JSON schema of a project file."""
        return schema()

    @api.post("/project/check", response_model=CheckedAnswer, tags=["project"])
    async def check_project(project: Project) -> dict[str, Any]:
        """Whether a file is a project, and which of its pictures are not here."""
        here = bench.store.names()
        missing = [picture.name for picture in project.pictures if picture.name not in here]
        return {"pictures": len(project.pictures), "missing": missing}

    @api.post("/export/csv", tags=["project"], response_class=Response)
    async def export_csv(project: Project, request: Request, task: Task = "count") -> Response:
        """A table with one row a picture."""
        return await _exported(project, "csv", task, writing, request)

    @api.post("/export/overlays", response_model=JobAnswer, status_code=202, tags=["project"])
    async def export_overlays(project: Project, task: Task = "count") -> dict[str, Any]:
        """Draw every picture that has an answer into an archive, with its mask: a job whose file is to be fetched."""
        return bench.start_overlays(project, task).to_dict()

    @api.post("/export/{form}", tags=["project"], response_class=Response)
    async def export_as(form: str, project: Project, request: Request, task: Task = "count") -> Response:
        """What was found, corrections included, in one of the forms listed with the models, such as ``coco``."""
        return await _exported(project, form, task, writing, request)


async def _exported(project: AnyProject, form: str, task: Task, writing: Executor, request: Request) -> Response:
    if form == "csv":
        table = await written(writing, lambda go_on: to_csv(project, task, go_on), request)
        return download(table, "text/csv; charset=utf-8", f"likewise-{task}.csv")
    if form == "regions":
        table = await written(writing, lambda go_on: to_region_csv(project, go_on), request)
        return download(table, "text/csv; charset=utf-8", "likewise-regions.csv")
    found = format_of(task, form)
    content = await written(writing, lambda go_on: to_format(project, task, form, go_on), request)
    return download(content, found.media_type, found.file)
