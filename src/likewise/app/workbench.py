"""What the workbench does, without HTTP: answers questions about pictures, works through many, writes exports.

`Workbench.count`, `Workbench.segment` and `Workbench.recognize` are for the worker's thread, in which alone models are
loaded and asked. All else may be called from any: what is asked is checked at once, and `Workbench.start`,
`Workbench.start_overlays` and `Workbench.warm_up` leave the work to that thread, step by step.
"""

from __future__ import annotations

import collections
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter

from likewise.app.archive import Archive
from likewise.app.budget import check_examples, check_masks, check_prompt
from likewise.app.events import Events
from likewise.app.export import AnyProject
from likewise.app.forecast import Forecast, Pace, coarser
from likewise.app.giants import count_giant, teller
from likewise.app.jobs import Job, Jobs
from likewise.app.kept import BRIEF, Kept
from likewise.app.limits import Limits, RefusedError
from likewise.app.models import Models
from likewise.app.opened import chosen, drawn_on, is_giant, pixels_of
from likewise.app.own_folder import OwnFolder
from likewise.app.picture_store import Picture, PictureStore
from likewise.app.project import ProjectPicture
from likewise.app.references import References
from likewise.app.render import (
    count_answer,
    count_overlay,
    kept_heat,
    mask_overlay,
    recognize_answer,
    segment_answer,
)
from likewise.app.requests import (
    CountJob,
    CountQuestion,
    CountRequest,
    OfPicture,
    RecognizeJob,
    RecognizeQuestion,
    SegmentJob,
    SegmentQuestion,
    Support,
)
from likewise.app.requests import Job as JobBody
from likewise.app.strokes import check_all_masks, marked, mended
from likewise.app.tiles import Front
from likewise.app.worker import Worker
from likewise.predict import Counter, NamedCounter, Segmenter, Session
from likewise.results import CountResult, KindsResult
from likewise.types import Task


class Workbench:
    """Pictures, models, the worker and its jobs.

    Args:
        folder: of pictures to work on; None: only uploads.
        limits: what is taken on.
        given: files of models, beside those in the folder.
    """

    def __init__(self, folder: Path | None, limits: Limits, given: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.limits = limits
        self._own = OwnFolder()
        uploads = self._own.path / "uploads"
        uploads.mkdir()
        self.store = PictureStore(folder, uploads, limits)
        self.kept = Kept(self.store, folder)
        self.events = Events()
        self.models = Models(limits.cached_pixels, folder, given)
        self.pace = Pace()
        self.worker = Worker(limits.questions)
        self.jobs = Jobs(self.worker, limits.jobs, self._tell_job)
        self._references = References(self.store)
        self.view = Front()

    def picture(self, asked: OfPicture) -> Picture:
        """The picture that is asked about, and what of its file.

        Raises:
            RefusedError: there is none, or it cannot be read.
        """
        return chosen(self.store.get(asked.picture), asked.seen)

    def in_windows(self, asked: CountQuestion) -> bool:
        """Whether a picture is counted window by window, of which the pages are told."""
        return is_giant(self.store.get(asked.picture)) and not _by_name(asked)

    def warm_up(self) -> None:
        """Load what is asked for first, before it is."""

        def load() -> None:
            with suppress(RefusedError):
                self.models.named(None, "count", "exemplars")

        self.worker.step(load)

    def close(self) -> None:
        """Stop working, and delete everything that was uploaded or written."""
        self.events.close()
        self.worker.stop()
        self.kept.close()
        self.view.let_go()
        self._own.remove()

    def forecast(self, asked: CountQuestion) -> Forecast | None:
        """What counting in a picture will take; None: nobody knows, as the model is not loaded, or counts by name."""
        picture = self.picture(asked)
        counter = None if _by_name(asked) else self.models.ready(asked.model, "count", "exemplars")
        if not isinstance(counter, Counter) or self.models.has_seen(counter, picture, asked.coarse):
            return None
        return self.pace.forecast(counter, (picture.width, picture.height), asked)

    def count(self, question: CountQuestion) -> dict[str, Any]:
        """Count in one picture."""
        return self._count(self.picture(question), question, question.keep, heat=question.heat)

    def _count(self, picture: Picture, asked: CountRequest, keep: str | None, *, heat: bool) -> dict[str, Any]:
        result = self._counted(picture, asked)
        answer = count_answer(picture, result, heat=heat)
        if keep is not None:
            self._keep(picture, "count", keep, answer, kept_heat(picture, result))
        return answer

    def _keep(self, picture: Picture, task: Task, question: str, answer: dict[str, Any], heat: bytes | None) -> None:
        """Keep an answer; where that cannot be, it is given all the same, and the pages are told."""
        try:
            self.kept.answer(picture, task, question, answer, heat)
        except RefusedError as error:
            self.events.tell("problem", "", {"error": str(error)})

    def segment(self, question: SegmentQuestion) -> dict[str, Any]:
        """Find in one picture what the support marks."""
        picture = self.picture(question)
        self._check_support(question.support)
        segmenter = self.models.named(question.model, "segment")
        support = segmenter.set_support([self._marked(segmenter, each) for each in question.support])
        found = segmenter.segment(self.models.encoded(segmenter, picture), support)
        answer = segment_answer(picture, found, layer=True)
        if question.keep is not None:
            self._keep(picture, "segment", question.keep, answer, None)
        return answer

    def recognize(self, question: RecognizeQuestion) -> dict[str, Any]:
        """Say what one picture shows."""
        picture = self.picture(question)
        recognizer = self.models.named(question.model, "recognize")
        answer = recognize_answer(picture, recognizer.recognize(pixels_of(picture)), evidence=True)
        if question.keep is not None:
            self._keep(picture, "recognize", question.keep, answer, None)
        return answer

    def start(self, asked: CountJob | SegmentJob | RecognizeJob, *, job_id: str | None = None) -> Job:
        """Begin to ask the same about many pictures.

        Args:
            asked: what, and about which.
            job_id: of the stopped job that goes on; None: it is a new one. Pictures whose answers are kept are done.

        Raises:
            LikewiseError: it cannot be asked, or not about these pictures.
        """
        done = set() if job_id is None else self.kept.answered(asked.task, asked.keep)
        left = [each for each in asked.pictures if each not in done]
        pictures = [chosen(self.store.get(each), asked.seen.get(each)) for each in left]
        if isinstance(asked, CountJob):
            self._check_job(asked)
        if isinstance(asked, SegmentJob):
            self._check_support(asked.support)
        ask = self._asker(asked)

        def record(picture: Picture) -> dict[str, Any]:
            question = asked.keep.get(picture.id)
            return ask(picture) if question is None else {**ask(picture), "question": question}

        steps = [(picture.id, _bound(record, picture)) for picture in pictures]
        job = Job(asked.task, steps, brief=BRIEF[asked.task], before=len(done), kept=bool(asked.keep))
        if asked.keep:
            job.id = job_id or job.id
            self._put_job(job.id, asked.model_dump_json(exclude_defaults=True))
        return self.jobs.start(job)

    def resume(self, job_id: str) -> Job:
        """Go on with a job that was stopped, or whose workbench was.

        Raises:
            RefusedError: there is none, or it cannot go on.
        """
        body = self.kept.jobs().get(job_id)
        if body is None or any(job.id == job_id and job.state == "running" for job in self.jobs.listed()):
            raise RefusedError(404, "no such job to go on with; it is done, or at work")
        return self.start(TypeAdapter(JobBody).validate_json(body), job_id=job_id)

    def stopped(self) -> list[dict[str, Any]]:
        """Every job that was begun and is not at work, whose pictures are here."""
        working = {job.id for job in self.jobs.listed() if job.state == "running"}
        found = []
        for job_id, body in self.kept.jobs().items():
            asked = TypeAdapter(JobBody).validate_json(body)
            done = len(self.kept.answered(asked.task, asked.keep))
            here = any(map(self.store.known, asked.pictures))
            if job_id not in working and here and done < len(asked.keep):
                found.append({"id": job_id, "task": asked.task, "done": done, "total": len(asked.pictures)})
        return found

    def forget_job(self, job_id: str) -> None:
        """Not to be gone on with any more."""
        self._put_job(job_id, None)

    def _tell_job(self, job: Job) -> None:
        if job.kept and job.state in ("done", "failed"):
            self._put_job(job.id, None)
        self.events.tell_job(job)

    def _put_job(self, job_id: str, body: str | None) -> None:
        try:
            self.kept.put_job(job_id, body)
        except RefusedError as error:
            self.events.tell("problem", "", {"error": str(error)})

    def _check_job(self, asked: CountJob) -> None:
        """See that each picture's question can be asked."""
        check_prompt(asked)
        self._references.check(asked.like, asked.kinds)
        strange = sorted(asked.regions.keys() - set(asked.pictures))
        if strange:
            raise RefusedError(422, f"regions: {strange[0]} is not among the pictures of the job")
        for each in asked.regions:
            check_prompt(asked.about(each))

    def _check_support(self, support: tuple[Support, ...]) -> None:
        found = [(self.store.get(each.picture), each) for each in support]
        check_examples((picture.width, picture.height) for picture, _ in found)
        check_masks((p.name, p.width, p.height, each.strokes) for p, each in found if each.drawn)
        check_masks((p.name, p.width, p.height, ()) for p, each in found if each.base is not None)

    def start_overlays(self, project: AnyProject, task: str) -> Job:
        """Begin to draw every picture of a project that was counted, segmented or recognised into an archive.

        Raises:
            RefusedError: there is none, or its masks are too many or too large to be drawn.
        """
        drawn = [picture for picture in project.pictures if _has_answer(picture, task)]
        if not drawn:
            raise RefusedError(422, f"there is nothing to draw yet; {task} in a picture first")
        if task == "segment":
            check_all_masks(project.pictures)
        archive = Archive(self._own.path / f"{secrets.token_hex(8)}.zip")
        stems = collections.Counter(Path(picture.name).stem for picture in drawn)

        def draw(picture: ProjectPicture) -> dict[str, Any]:
            stem = Path(picture.name).stem
            for ending, image in self._drawn(picture, task):
                archive.add(f"{stem if stems[stem] == 1 else picture.name}_{ending}", image)
            return {"image": picture.name}

        steps = [(picture.name, _bound(draw, picture)) for picture in drawn]
        return self.jobs.start(Job("overlays", steps, archive.finish, archive.discard))

    def _drawn(self, drawn: ProjectPicture, task: str) -> list[tuple[str, Image.Image]]:
        """What the archive holds of a picture, by the endings that the command line writes."""
        picture = chosen(self._of_project(drawn.name), drawn.seen)
        if task == "count":
            kept = self.kept.heat(picture)
            same = kept is not None and drawn.prediction is not None and kept[0] == drawn.prediction.count
            return [("count", count_overlay(drawn, kept[1] if kept and same else None, drawn_on(picture)))]
        if task == "recognize":
            model = drawn.recognized.model if drawn.recognized else None
            return [("recognize", self.models.named(model, "recognize").recognize(pixels_of(picture)).plot())]
        found, pixels = marked(drawn), pixels_of(picture)
        if found is None or found.mask.shape != pixels.shape[:2]:
            raise RefusedError(422, f"{drawn.name}: its mask is not that of the picture that is here")
        return [("segment", mask_overlay(drawn, found, pixels)), ("mask", Image.fromarray(found.mask))]

    def _counted(self, picture: Picture, asked: CountRequest) -> CountResult | KindsResult:
        check_prompt(asked)
        by = "text" if _by_name(asked) else "exemplars"
        counter: Counter | NamedCounter = self.models.named(asked.model, "count", by)
        if not isinstance(counter, Counter):
            return self._answered(self.models.session(counter, picture), asked)
        size, new = (picture.width, picture.height), not self.models.has_seen(counter, picture, asked.coarse)
        looking = counter if asked.coarse == 1 else coarser(counter, size, asked)
        if is_giant(picture):
            result: CountResult | KindsResult = self._giant(looking, picture, asked)
        else:
            result = self._answered(self.models.session(looking, picture, asked.coarse), asked)
        if new:
            self.pace.learn(counter, size, asked, result.seconds)
        return result

    def _answered(self, session: Session, asked: CountRequest) -> CountResult | KindsResult:
        counter: Any = session.counter
        if asked.kinds:
            return session.count(asked.kind_prompts(), like=self._references.of_kinds(counter, asked.kinds))
        return session.count(asked.prompt(), like=self._references.of(counter, asked.like))

    def _giant(self, counter: Counter, picture: Picture, asked: CountRequest) -> CountResult:
        if asked.kinds:
            raise RefusedError(422, f"{picture.name} is too large to tell kinds apart; count each kind by itself")
        like = self._references.of(counter, asked.like)
        return count_giant(counter, picture, asked.prompt(), like, teller(self.events, picture))

    def _asker(self, asked: CountJob | SegmentJob | RecognizeJob) -> Callable[[Picture], dict[str, Any]]:
        """What a job does with each picture; models are loaded and support is looked at once, in its first step."""
        if isinstance(asked, CountJob):
            return lambda picture: self._count(picture, asked.about(picture.id), asked.keep.get(picture.id), heat=False)
        if isinstance(asked, RecognizeJob):
            return lambda picture: self._kept_as(
                asked,
                picture,
                recognize_answer(
                    picture, self.models.named(asked.model, "recognize").recognize(pixels_of(picture)), evidence=False
                ),
            )
        held: list[Any] = []

        def segment(picture: Picture) -> dict[str, Any]:
            segmenter = self.models.named(asked.model, "segment")
            if not held:
                held.append(segmenter.set_support([self._marked(segmenter, each) for each in asked.support]))
            found = segmenter.segment(pixels_of(picture), held[0])
            return self._kept_as(asked, picture, segment_answer(picture, found, layer=False))

        return segment

    def _kept_as(self, asked: SegmentJob | RecognizeJob, picture: Picture, answer: dict[str, Any]) -> dict[str, Any]:
        if picture.id in asked.keep:
            self._keep(picture, asked.task, asked.keep[picture.id], answer, None)
        return answer

    def _marked(self, segmenter: Segmenter, support: Support) -> tuple[Any, Any]:
        """A picture and the mask drawn in it, as the segmenter takes them."""
        picture = self.picture(support)
        encoded = self.models.encoded(segmenter, picture)
        if not support.drawn:
            return encoded, support.box or list(support.clicks)
        mask = mended(support.base, support.strokes, picture.name, picture.width, picture.height)
        if not mask.any():
            raise RefusedError(422, f"nothing is marked in {picture.name}; brush over the thing to find")
        return encoded, mask

    def _of_project(self, name: str) -> Picture:
        found = self.store.named(name)
        if found is None:
            raise RefusedError(404, f"{name} is not here; open its folder or drop it in")
        return found


def _by_name(asked: CountRequest) -> bool:
    return bool(asked.text) and not (asked.exemplars or asked.like or asked.kinds)


def _has_answer(picture: ProjectPicture, task: str) -> bool:
    if task == "count":
        return picture.prediction is not None
    if task == "recognize":
        return picture.recognized is not None
    return picture.brushed or (picture.segmented is not None and picture.segmented.segmentation is not None)


def _bound(function: Callable[[Any], dict[str, Any]], value: Any) -> Callable[[], dict[str, Any]]:
    return lambda: function(value)
