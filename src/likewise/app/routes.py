"""The HTTP API: ``/api/v1``. Answers are JSON; what is refused has a 4xx status and says why in ``error``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import FileResponse, JSONResponse

import likewise
from likewise.app.budget import check_prompt
from likewise.app.export import project_forms, to_csv, to_format
from likewise.app.jobs import Job
from likewise.app.limits import CLIENT_GONE, RefusedError
from likewise.app.multipart import FIELD
from likewise.app.picture_store import Picture, shown
from likewise.app.project import Project, schema
from likewise.app.requests import CountJob, CountQuestion, RecognizeJob, RecognizeQuestion, SegmentJob, SegmentQuestion
from likewise.app.workbench import Workbench
from likewise.json_text import json_text
from likewise.results.formats import FORMATS, format_of
from likewise.types import Task

#: Pictures never change under their id.
CACHED = {"Cache-Control": "private, max-age=3600, immutable"}
UPLOAD_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


def api_routes(bench: Workbench, front: Executor, back: Executor, writing: Executor) -> APIRouter:
    """All routes of the API.

    Args:
        bench: answers.
        front: where the picture that somebody looks at is decoded.
        back: where all others are; both bound how many are in memory at once.
        writing: where exports are written, one at a time.
    """
    api = APIRouter(prefix="/api/v1")
    _add_picture_routes(api, bench, front, back)
    _add_question_routes(api, bench)
    _add_job_routes(api, bench)
    _add_project_routes(api, bench, writing)
    return api


def _add_picture_routes(api: APIRouter, bench: Workbench, front: Executor, back: Executor) -> None:
    async def decoded(function: Callable[[], Any], where: Executor = back) -> Any:
        return await asyncio.get_running_loop().run_in_executor(where, function)

    @api.get("/pictures", tags=["pictures"])
    async def list_pictures() -> dict[str, Any]:
        """Every picture: the folder's, then the uploaded ones."""
        await decoded(bench.store.scan)
        return {"pictures": [picture.to_dict() for picture in bench.store.listed()]}

    @api.post("/pictures", status_code=201, tags=["pictures"], openapi_extra=UPLOAD_FORM)
    async def upload_picture(request: Request) -> dict[str, Any]:
        """Bring in one picture, as the field ``file`` of a multipart form."""
        path, name = await bench.store.receive(request.headers.get("content-type", ""), request.stream())
        picture: Picture = await decoded(lambda: bench.store.admit(path, name))
        return picture.to_dict()

    @api.delete("/pictures/{picture}", status_code=204, tags=["pictures"])
    async def remove_picture(picture: str) -> None:
        """Put an uploaded picture away."""
        bench.store.remove(picture)
        await asked(bench, lambda: bench.models.forget(picture))

    @api.get("/pictures/{picture}/{view}", tags=["pictures"], response_class=Response)
    async def show_picture(picture: str, view: Literal["image", "thumbnail"]) -> Response:
        """The picture, upright and encoded anew: up to 4096 pixels a side, or a small one."""
        found = bench.store.get(picture)
        small = view == "thumbnail"
        content, media_type = await decoded(lambda: shown(found, small=small), back if small else front)
        return Response(content, media_type=media_type, headers=CACHED)


def _add_question_routes(api: APIRouter, bench: Workbench) -> None:
    @api.get("/models", tags=["questions"])
    def list_models() -> dict[str, Any]:
        """The models, what they take, whether their weights are here, and the forms each task's answers come in."""
        forms = {task: {name: form.title for name, form in project_forms(task).items()} for task in FORMATS}
        return {"version": likewise.__version__, "models": bench.models.listed(), "formats": forms}

    @api.post("/count", tags=["questions"], response_class=JSONResponse)
    async def count(question: CountQuestion, request: Request) -> Response:
        """Count in one picture what the prompt shows."""
        check_prompt(question)
        return await answered(bench, lambda: bench.count(question), request)

    @api.post("/segment", tags=["questions"], response_class=JSONResponse)
    async def segment(question: SegmentQuestion, request: Request) -> Response:
        """Find in one picture what is marked in others."""
        return await answered(bench, lambda: bench.segment(question), request)

    @api.post("/recognize", tags=["questions"], response_class=JSONResponse)
    async def recognize(question: RecognizeQuestion, request: Request) -> Response:
        """Say what one picture shows."""
        return await answered(bench, lambda: bench.recognize(question), request)


def _add_job_routes(api: APIRouter, bench: Workbench) -> None:
    @api.post("/jobs", status_code=202, tags=["jobs"])
    async def start_job(
        job: Annotated[CountJob | SegmentJob | RecognizeJob, Body(discriminator="task")],
    ) -> dict[str, Any]:
        """Ask the same about many pictures; the questions of others are answered in between."""
        return bench.start(job).to_dict()

    @api.get("/jobs/{job}", tags=["jobs"])
    async def follow_job(job: str, after: int = 0) -> dict[str, Any]:
        """How far a job is, with its records from number ``after`` on."""
        return bench.jobs.get(job).to_dict(max(0, after))

    @api.delete("/jobs/{job}", tags=["jobs"])
    async def cancel_job(job: str) -> dict[str, Any]:
        """Stop a job after the picture it is at; what is done stays."""
        return bench.jobs.cancel(job).to_dict()

    @api.get("/jobs/{job}/file", tags=["jobs"], response_class=FileResponse)
    async def job_file(job: str) -> FileResponse:
        """What a finished job wrote."""
        found: Job = bench.jobs.get(job)
        if found.file is None:
            raise RefusedError(409, "this job has no file (yet)")
        return FileResponse(found.file, media_type="application/zip", filename="likewise-overlays.zip")


def _add_project_routes(api: APIRouter, bench: Workbench, writing: Executor) -> None:
    @api.get("/project/schema", tags=["project"])
    async def project_schema() -> dict[str, Any]:
        """The JSON schema of a project file."""
        return schema()

    @api.post("/project/check", tags=["project"])
    async def check_project(project: Project) -> dict[str, Any]:
        """Whether a file is a project, and which of its pictures are not here."""
        here = bench.store.names()
        missing = [picture.name for picture in project.pictures if picture.name not in here]
        return {"pictures": len(project.pictures), "missing": missing}

    @api.post("/export/csv", tags=["project"], response_class=Response)
    async def export_csv(project: Project, request: Request, task: Task = "count") -> Response:
        """A table with one row a picture."""
        content = await written(writing, lambda go_on: to_csv(project, task, go_on), request)
        return _download(content, "text/csv; charset=utf-8", f"likewise-{task}.csv")

    @api.post("/export/overlays", status_code=202, tags=["project"])
    async def export_overlays(project: Project, task: Task = "count") -> dict[str, Any]:
        """Draw every picture that has an answer into an archive, with its mask: a job whose file is to be fetched."""
        return bench.start_overlays(project, task).to_dict()

    @api.post("/export/{form}", tags=["project"], response_class=Response)
    async def export_as(form: str, project: Project, request: Request, task: Task = "count") -> Response:
        """What was found, corrections included, in one of the forms listed with the models, such as ``coco``."""
        found = format_of(task, form)
        content = await written(writing, lambda go_on: to_format(project, task, form, go_on), request)
        return _download(content, found.media_type, found.file)


async def written(
    writing: Executor, function: Callable[[Callable[[], None]], str | bytes], request: Request
) -> str | bytes:
    """An export, written in a thread.

    Args:
        writing: the thread.
        function: gives the export; it is given what to call before each picture, which raises once the client left.
        request: of who waits for it.
    """
    over = threading.Event()

    def go_on() -> None:
        if over.is_set():
            raise RefusedError(CLIENT_GONE, "nobody waits for the export any more")

    try:
        content: str | bytes = await awaited(
            asyncio.get_running_loop().run_in_executor(writing, function, go_on), request
        )
    finally:
        over.set()
    return content


async def asked(bench: Workbench, function: Callable[[], Any], request: Request | None = None) -> Any:
    """The answer of the worker; the event loop goes on meanwhile.

    Args:
        bench: whose worker.
        function: what it is to do.
        request: of who waits for it; when they leave before its turn has come, it is not done.
    """
    return await awaited(asyncio.wrap_future(bench.worker.ask(function)), request)


async def answered(bench: Workbench, function: Callable[[], dict[str, Any]], request: Request) -> Response:
    """The answer of the worker, whose thread also makes JSON of it."""
    return Response(
        await asked(bench, lambda: json_text(function(), compact=True), request), media_type="application/json"
    )


async def awaited(answer: asyncio.Future[Any], request: Request | None) -> Any:
    """A future's result, which is cancelled when the client leaves.

    Raises:
        RefusedError: the client left.
    """
    if request is None:
        return await answer
    left = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise RefusedError(CLIENT_GONE, "nobody waits for the answer any more")
        return answer.result()
    finally:
        left.cancel()
        answer.cancel()


async def _left(request: Request) -> None:
    """Wait until the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _download(content: str | bytes, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
