"""The HTTP API: ``/api/v1``. Answers are JSON; what is refused has a 4xx status and says why in ``error``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import FileResponse, JSONResponse

import likewise
from likewise.app.answers import (
    CountAnswer,
    ForecastAnswer,
    JobAnswer,
    JobsAnswer,
    ModelsAnswer,
    PictureAnswer,
    PicturesAnswer,
    RecognizeAnswer,
    Refusal,
    SegmentAnswer,
)
from likewise.app.budget import check_prompt
from likewise.app.export import project_forms
from likewise.app.jobs import Job
from likewise.app.limits import RefusedError
from likewise.app.multipart import FIELD
from likewise.app.picture_store import Picture
from likewise.app.project_routes import add_file_routes, add_learning_routes, add_project_routes
from likewise.app.requests import (
    CountJob,
    CountQuestion,
    RecognizeJob,
    RecognizeQuestion,
    SegmentJob,
    SegmentQuestion,
)
from likewise.app.viewing_routes import add_viewing_routes
from likewise.app.waiting import answered
from likewise.app.workbench import Workbench
from likewise.json_text import json_text
from likewise.results.formats import FORMATS

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
    api = APIRouter(prefix="/api/v1", responses={"4XX": {"model": Refusal, "description": "What is refused, and why"}})
    add_viewing_routes(api, bench, front, back)
    _add_picture_routes(api, bench, back)
    _add_question_routes(api, bench)
    _add_removal(api, bench, front)
    _add_job_routes(api, bench)
    add_project_routes(api, bench, writing)
    add_file_routes(api, bench, writing)
    add_learning_routes(api, bench)
    return api


def _add_picture_routes(api: APIRouter, bench: Workbench, back: Executor) -> None:
    async def decoded(function: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(back, function)

    @api.get("/pictures", response_model=PicturesAnswer, response_model_exclude_unset=True, tags=["pictures"])
    async def list_pictures() -> Response:
        """Every picture: the folder's, then the uploaded ones."""
        await decoded(bench.store.scan)
        listed = {"pictures": [picture.to_dict() for picture in bench.store.listed()]}
        return Response(json_text(listed, compact=True), media_type="application/json")

    @api.post(
        "/pictures",
        response_model=PictureAnswer,
        response_model_exclude_unset=True,
        status_code=201,
        tags=["pictures"],
        openapi_extra=UPLOAD_FORM,
    )
    async def upload_picture(request: Request) -> dict[str, Any]:
        """Bring in one picture, as the field ``file`` of a multipart form."""
        path, name = await bench.store.receive(request.headers.get("content-type", ""), request.stream())
        picture: Picture = await decoded(lambda: bench.store.admit(path, name))
        return picture.to_dict()


def _add_removal(api: APIRouter, bench: Workbench, front: Executor) -> None:
    @api.delete("/pictures/{picture}", status_code=204, tags=["pictures"])
    async def remove_picture(picture: str) -> None:
        """Put an uploaded picture away; what was done with it is kept, should it be dropped in again."""
        await asyncio.get_running_loop().run_in_executor(front, bench.view.let_go)  # some systems keep what is open
        bench.store.remove(picture)
        bench.worker.step(lambda: bench.models.forget(picture))


def _add_question_routes(api: APIRouter, bench: Workbench) -> None:
    @api.get("/models", response_model=ModelsAnswer, tags=["questions"])
    def list_models() -> dict[str, Any]:
        """The models, what they take, whether their weights are here, and the forms each task's answers come in."""
        forms = {task: {name: form.title for name, form in project_forms(task).items()} for task in FORMATS}
        return {"version": likewise.__version__, "models": bench.models.listed(), "formats": forms}

    @api.post("/count", response_model=CountAnswer, tags=["questions"], response_class=JSONResponse)
    async def count(question: CountQuestion, request: Request) -> Response:
        """Count in one picture what the prompt shows."""
        check_prompt(question)
        found = bench.forecast(question)

        def ticking(tiles: int) -> None:
            told = {"picture": question.picture, "done": tiles, "tiles": max(found.tiles if found else 0, tiles)}
            bench.events.tell("tiles", question.picture, told)

        told = None if bench.in_windows(question) else ticking  # which tells by itself
        return await answered(bench, lambda: bench.count(question), request, found.seconds if found else 0, told)

    @api.post("/forecast", response_model=ForecastAnswer, response_model_exclude_unset=True, tags=["questions"])
    def forecast(question: CountQuestion) -> dict[str, Any]:
        """How long counting in a picture will take, seconds; null where that is not known."""
        check_prompt(question)
        found = bench.forecast(question)
        return {"seconds": None} if found is None else found.to_dict()

    @api.post("/segment", response_model=SegmentAnswer, tags=["questions"], response_class=JSONResponse)
    async def segment(question: SegmentQuestion, request: Request) -> Response:
        """Find in one picture what is marked in others."""
        return await answered(bench, lambda: bench.segment(question), request)

    @api.post("/recognize", response_model=RecognizeAnswer, tags=["questions"], response_class=JSONResponse)
    async def recognize(question: RecognizeQuestion, request: Request) -> Response:
        """Say what one picture shows."""
        return await answered(bench, lambda: bench.recognize(question), request)


def _add_job_routes(api: APIRouter, bench: Workbench) -> None:
    @api.get("/jobs", response_model=JobsAnswer, tags=["jobs"])
    def list_jobs() -> dict[str, Any]:
        """Jobs that are at work, without their records, and those that were stopped and can go on."""
        working = [job.to_dict(len(job.records)) for job in bench.jobs.listed() if job.state == "running"]
        return {"jobs": working, "stopped": bench.stopped()}

    @api.post("/jobs", response_model=JobAnswer, status_code=202, tags=["jobs"])
    def start_job(
        job: Annotated[CountJob | SegmentJob | RecognizeJob, Body(discriminator="task")],
    ) -> dict[str, Any]:
        """Ask the same about many pictures; the questions of others are answered in between."""
        return bench.start(job).to_dict()

    @api.post("/jobs/{job}/resume", response_model=JobAnswer, status_code=202, tags=["jobs"])
    def resume_job(job: str) -> dict[str, Any]:
        """Go on with a job that was stopped, or whose workbench was: with the pictures that have no answer yet."""
        return bench.resume(job).to_dict()

    @api.get("/jobs/{job}", response_model=JobAnswer, tags=["jobs"])
    async def follow_job(job: str, after: int = 0) -> dict[str, Any]:
        """How far a job is, with its records from number ``after`` on; `/events` tells the same as it happens."""
        return bench.jobs.get(job).to_dict(max(0, after))

    @api.delete("/jobs/{job}", response_model=JobAnswer, tags=["jobs"])
    async def cancel_job(job: str) -> dict[str, Any]:
        """Stop a job at the next tile; what is done stays."""
        return bench.jobs.cancel(job).to_dict()

    @api.delete("/jobs/{job}/rest", status_code=204, tags=["jobs"])
    def forget_job(job: str) -> None:
        """Give up what a stopped job has not done."""
        bench.forget_job(job)

    @api.get("/jobs/{job}/file", tags=["jobs"], response_class=FileResponse)
    async def job_file(job: str) -> FileResponse:
        """What a finished job wrote."""
        found: Job = bench.jobs.get(job)
        if found.file is None:
            raise RefusedError(409, "this job has no file (yet)")
        return FileResponse(found.file, media_type="application/zip", filename="likewise-overlays.zip")
