"""What the workbench does, without HTTP: answers questions about pictures, works through many, writes exports.

`Workbench.count`, `Workbench.segment` and `Workbench.recognize` are for the worker's thread, in which alone models are
loaded and asked. All else may be called from any: what is asked is checked at once, and `Workbench.start`,
`Workbench.start_overlays` and `Workbench.warm_up` leave the work to that thread, step by step.
"""

from __future__ import annotations

import collections
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from likewise.app.archive import Archive
from likewise.app.budget import check_examples, check_masks, check_prompt
from likewise.app.jobs import Job, Jobs
from likewise.app.limits import Limits, RefusedError
from likewise.app.models import Models
from likewise.app.own_folder import OwnFolder
from likewise.app.picture_store import Picture, PictureStore, pixels_of
from likewise.app.project import Project, ProjectPicture
from likewise.app.render import count_answer, count_overlay, mask_overlay, recognize_answer, segment_answer
from likewise.app.requests import (
    CountJob,
    CountQuestion,
    CountRequest,
    Like,
    RecognizeJob,
    RecognizeQuestion,
    SegmentJob,
    SegmentQuestion,
    Support,
)
from likewise.app.strokes import check_all_masks, marked, mask_of
from likewise.app.worker import Worker
from likewise.predict import Counter, NamedCounter, ReferenceExemplars, Segmenter
from likewise.results import CountResult


class Workbench:
    """Pictures, models, the worker and its jobs.

    Args:
        folder: of pictures to work on; None: only uploads.
        limits: what is taken on.
    """

    def __init__(self, folder: Path | None, limits: Limits) -> None:
        self.limits = limits
        self._own = OwnFolder()
        uploads = self._own.path / "uploads"
        uploads.mkdir()
        self.store = PictureStore(folder, uploads, limits)
        self.models = Models(limits.cached_pixels)
        self.worker = Worker(limits.questions)
        self.jobs = Jobs(self.worker, limits.jobs)
        self._references: dict[str, ReferenceExemplars] = {}

    def warm_up(self) -> None:
        """Load what is asked for first, before it is."""

        def load() -> None:
            with suppress(RefusedError):
                self.models.named(None, "count", "exemplars")

        self.worker.step(load)

    def close(self) -> None:
        """Stop working, and delete everything that was uploaded or written."""
        self.worker.stop()
        self._own.remove()

    def count(self, question: CountQuestion) -> dict[str, Any]:
        """Count in one picture."""
        picture = self.store.get(question.picture)
        return count_answer(picture, self._counted(picture, question), heat=question.heat)

    def segment(self, question: SegmentQuestion) -> dict[str, Any]:
        """Find in one picture what the support marks."""
        picture = self.store.get(question.picture)
        self._check_support(question.support)
        segmenter = self.models.named(question.model, "segment")
        support = segmenter.set_support([self._marked(segmenter, each) for each in question.support])
        return segment_answer(picture, segmenter.segment(self.models.encoded(segmenter, picture), support), layer=True)

    def recognize(self, question: RecognizeQuestion) -> dict[str, Any]:
        """Say what one picture shows."""
        picture = self.store.get(question.picture)
        recognizer = self.models.named(question.model, "recognize")
        return recognize_answer(picture, recognizer.recognize(pixels_of(picture)), evidence=True)

    def start(self, asked: CountJob | SegmentJob | RecognizeJob) -> Job:
        """Begin to ask the same about many pictures.

        Raises:
            LikewiseError: it cannot be asked, or not about these pictures.
        """
        pictures = [self.store.get(each) for each in asked.pictures]
        if isinstance(asked, CountJob):
            self._check_job(asked)
        if isinstance(asked, SegmentJob):
            self._check_support(asked.support)
        ask = self._asker(asked)
        steps = [(picture.id, _bound(ask, picture)) for picture in pictures]
        return self.jobs.start(Job(asked.task, steps))

    def _check_job(self, asked: CountJob) -> None:
        """See that each picture's question can be asked."""
        check_prompt(asked)
        self._check_like(asked.like)
        strange = sorted(asked.regions.keys() - set(asked.pictures))
        if strange:
            raise RefusedError(422, f"regions: {strange[0]} is not among the pictures of the job")
        for each in asked.regions:
            asked.about(each).prompt()

    def _check_like(self, like: tuple[Like, ...]) -> None:
        found = [self.store.get(each.picture) for each in like]
        check_examples((picture.width, picture.height) for picture in found)

    def _check_support(self, support: tuple[Support, ...]) -> None:
        found = [(self.store.get(each.picture), each) for each in support]
        check_examples((picture.width, picture.height) for picture, _ in found)
        check_masks((p.name, p.width, p.height, each.strokes) for p, each in found if each.box is None)

    def start_overlays(self, project: Project, task: str) -> Job:
        """Begin to draw every picture of a project that was counted, segmented or recognised into an archive.

        Raises:
            RefusedError: there is none, or its masks are too many or too large to be drawn.
        """
        drawn = [picture for picture in project.pictures if _has_answer(picture, task)]
        if not drawn:
            raise RefusedError(422, f"there is nothing to draw yet; {task} in a picture first")
        if task == "segment":
            check_all_masks(project)
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
        picture = self._of_project(drawn.name)
        if task == "count":
            result = self._counted(picture, self._asked_of(drawn))
            return [("count", count_overlay(drawn, result, pixels_of(picture)))]
        if task == "recognize":
            model = drawn.recognized.model if drawn.recognized else None
            return [("recognize", self.models.named(model, "recognize").recognize(pixels_of(picture)).plot())]
        found, pixels = marked(drawn), pixels_of(picture)
        if found is None or found.mask.shape != pixels.shape[:2]:
            raise RefusedError(422, f"{drawn.name}: its mask is not that of the picture that is here")
        return [("segment", mask_overlay(drawn, found, pixels)), ("mask", Image.fromarray(found.mask))]

    def _counted(self, picture: Picture, asked: CountRequest) -> CountResult:
        check_prompt(asked)
        counter = self._counter(asked)
        return self.models.session(counter, picture).count(asked.prompt(), like=self._like(counter, asked.like))

    def _counter(self, asked: CountRequest) -> Counter | NamedCounter:
        counter: Counter | NamedCounter = self.models.named(
            asked.model, "count", "text" if asked.text and not (asked.exemplars or asked.like) else "exemplars"
        )
        return counter

    def _like(self, counter: Counter | NamedCounter, like: tuple[Like, ...]) -> ReferenceExemplars:
        """What examples in other pictures look like; the last few are remembered, for the pictures of a job."""
        if not like:
            return ReferenceExemplars()
        key = counter.name + repr(like)
        if key not in self._references:
            self._check_like(like)
            pairs = [(pixels_of(self.store.get(each.picture)), each.exemplars) for each in like]
            references = counter.references([(pixels, box) for pixels, boxes in pairs for box in boxes])
            self._references = {**dict(list(self._references.items())[-3:]), key: references}
        return self._references[key]

    def _asker(self, asked: CountJob | SegmentJob | RecognizeJob) -> Callable[[Picture], dict[str, Any]]:
        """What a job does with each picture; models are loaded and support is looked at once, in its first step."""
        if isinstance(asked, CountJob):
            return lambda picture: count_answer(picture, self._counted(picture, asked.about(picture.id)), heat=False)
        if isinstance(asked, RecognizeJob):
            return lambda picture: recognize_answer(
                picture, self.models.named(asked.model, "recognize").recognize(pixels_of(picture)), evidence=False
            )
        held: list[Any] = []

        def segment(picture: Picture) -> dict[str, Any]:
            segmenter = self.models.named(asked.model, "segment")
            if not held:
                held.append(segmenter.set_support([self._marked(segmenter, each) for each in asked.support]))
            return segment_answer(picture, segmenter.segment(pixels_of(picture), held[0]), layer=False)

        return segment

    def _marked(self, segmenter: Segmenter, support: Support) -> tuple[Any, Any]:
        """A picture and the mask drawn in it, as the segmenter takes them."""
        picture = self.store.get(support.picture)
        encoded = self.models.encoded(segmenter, picture)
        if support.box is not None:
            return encoded, support.box
        mask = mask_of(support.strokes, picture.width, picture.height)
        if not mask.any():
            raise RefusedError(422, f"nothing is marked in {picture.name}; brush over the thing to find")
        return encoded, mask

    def _of_project(self, name: str) -> Picture:
        found = self.store.named(name)
        if found is None:
            raise RefusedError(404, f"{name} is not here; open its folder or drop it in")
        return found

    def _asked_of(self, drawn: ProjectPicture) -> CountRequest:
        like = drawn.like and Like(picture=self._of_project(drawn.like.picture).id, exemplars=drawn.like.exemplars)
        asked = CountRequest(
            exemplars=drawn.exemplars,
            text=None if drawn.exemplars or like else drawn.text,
            region=drawn.region,
            like=(like,) if like and not drawn.exemplars else (),
            model=drawn.prediction.model if drawn.prediction else None,
        )
        takes = bool(drawn.exemplars) and "negatives" in self._counter(asked).prompts
        return asked.model_copy(update={"negatives": drawn.negatives}) if takes else asked


def _has_answer(picture: ProjectPicture, task: str) -> bool:
    if task == "count":
        return picture.prediction is not None
    if task == "recognize":
        return picture.recognized is not None
    return picture.brushed or (picture.segmented is not None and picture.segmented.segmentation is not None)


def _bound(function: Callable[[Any], dict[str, Any]], value: Any) -> Callable[[], dict[str, Any]]:
    return lambda: function(value)
