"""What is kept of the work on the pictures that are here: beside those of the folder, elsewhere of those dropped in.

The page and the API know pictures by id, the files on disk by key (`likewise.app.picture_store.Picture.key`), so that a
folder may be moved with its project, and a picture that is dropped in again finds what was done with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_data_path
from pydantic import BaseModel

from likewise.app.changes import Change, Changes, Found
from likewise.app.picture_store import Picture, PictureStore
from likewise.app.project import Prediction, ProjectPicture, Recognized, Segmented
from likewise.app.project_file import Answered, ProjectFile, Row
from likewise.app.requests import Seen
from likewise.json_text import json_text
from likewise.sources import PLAIN, Choice
from likewise.types import Task

NAME = "likewise-project.sqlite"
#: The note that says which model recognises.
RECOGNIZER = "recognizer"
#: What the table of pictures shows of an answer.
BRIEF = {
    "count": ("model", "count", "low", "high", "untrusted", "dots", "kinds", "confusions"),
    "segment": ("model", "area"),
    "recognize": ("model", "label", "nearest", "probability"),
}
_MODELS: dict[str, type[BaseModel]] = {"count": Prediction, "segment": Segmented, "recognize": Recognized}
#: What is kept of an answer; the rest is in the picture's own row, or drawn anew.
WHOLE = {
    "count": (*Prediction.model_fields, "object_size"),
    "segment": tuple(Segmented.model_fields),
    "recognize": (*Recognized.model_fields, "peaks"),
}


class Kept:
    """The project of a folder, and that of all that was ever dropped in.

    Attributes:
        data: the user's own folder for what is kept elsewhere.

    Args:
        store: the pictures that are here.
        folder: whose pictures they are; None: only uploads.
    """

    def __init__(self, store: PictureStore, folder: Path | None) -> None:
        self._store = store
        self.data = data = user_data_path("likewise", appauthor=False)
        self._dropped = ProjectFile(data / "dropped-in.sqlite", alone=False)
        self._folder = self._dropped if folder is None else ProjectFile(_place(folder, data), alone=True)
        self._replaced: list[str] | None = None
        self._lock = threading.Lock()

    def project(self) -> dict[str, Any]:
        """All that was said of the pictures that are here, and the answers in brief.

        ``missing`` are pictures of the folder that were worked on and are gone, ``replaced`` those whose file is
        another than it was: their answers are dropped. ``recognizer`` is the model that was chosen to recognise.
        """
        self._tidy()
        replaced, self._replaced = self._replaced, []
        here = {picture.key: picture for picture in self._store.listed() if picture.problem is None}
        rows = self._rows()
        found = {
            key: {"picture": here[key].id, "entry": _entry_of(row, here)} for key, row in rows.items() if key in here
        }
        for file in self._files():
            for key, task, brief in file.briefs():
                if key in here:
                    each = found.setdefault(key, {"picture": here[key].id, "entry": {}})
                    each[task] = json.loads(brief)
        gone = sorted(key for key in rows if key not in here and not key.startswith("sha256:"))
        recognizer = json.loads(self.note(RECOGNIZER) or "null") or None
        return {"pictures": list(found.values()), "missing": gone, "replaced": replaced, "recognizer": recognizer}

    def one(self, picture: Picture) -> dict[str, Any]:
        """All that is kept of one picture, whole answers and the heat (PNG) included."""
        here = {each.key: each for each in self._store.listed()}
        row = next(iter(self._file(picture).rows(picture.key)), None)
        answers = {each.task: each for each in self._file(picture).answers(picture.key)}
        return {
            "picture": picture.id,
            "entry": _entry_of(row, here) if row else {},
            **{task: json.loads(each.whole) for task, each in answers.items()},
            "heat": answers["count"].heat if "count" in answers else None,
        }

    def change(self, changes: Changes) -> list[str]:
        """Keep what a person said; the ids that nobody knows.

        Raises:
            RefusedError: it cannot be written.
        """
        self._tidy()
        known = [(self._store.known(each.picture), each) for each in changes.pictures]
        of_all = {str(task): question for task, question in changes.asked.items()}
        for file in self._files():
            mine = [(picture, each) for picture, each in known if picture and self._file(picture) is file]
            asked = of_all if file is self._folder else {}
            if mine or asked:
                file.put([self._row(picture, each) for picture, each in mine], asked)
            found = [each for pair in mine for each in self._brought(*pair, of_all)]
            if found:
                file.put_answers(found)
        if changes.recognizer is not None:
            self.put_note(RECOGNIZER, json_text(changes.recognizer))
        return [each.picture for picture, each in known if picture is None]

    def answer(
        self, picture: Picture, task: Task, question: str, answer: Mapping[str, Any], heat: bytes | None
    ) -> None:
        """Keep what a model said of a picture, but for an answer about something else of its file than is seen now."""
        self._tidy()
        if task != "count" and self._choice(picture) != picture.choice:  # whose question is the same for all of it
            return
        self._file(picture).put_answers([_answered(picture, task, question, answer, heat)])

    def _choice(self, picture: Picture) -> Choice:
        """What of a picture's file is seen."""
        row = next(iter(self._file(picture).rows(picture.key)), None)
        seen = json.loads(row.entry).get("seen") if row else None
        return Seen.model_validate(seen).choice() if seen else PLAIN

    def answered(self, task: Task, questions: Mapping[str, str]) -> set[str]:
        """Of the pictures with these ids those to whose question there is an answer."""
        known = {picture.key: picture.id for each in questions if (picture := self._store.known(each))}
        by_key = {key: questions[picture] for key, picture in known.items()}
        return {known[key] for file in self._files() for key in file.answered(task, by_key)}

    def heat(self, picture: Picture) -> tuple[float, bytes] | None:
        """The count of a picture that is asked for now, and its heat (PNG), if there is one."""
        found = [each for each in self._file(picture).answers(picture.key) if each.task == "count" and each.heat]
        return (json.loads(found[0].brief)["count"], found[0].heat or b"") if found else None

    def pictures(self) -> Iterator[ProjectPicture]:
        """Every picture that is here and can be read, as a project file has it."""
        rows = self._rows()
        here = {picture.key: picture for picture in self._store.listed()}
        for key, picture in here.items():
            if picture.problem is None:
                answers = {each.task: json.loads(each.whole) for each in self._file(picture).answers(key)}
                yield _project_picture(picture, rows.get(key), answers, here)

    def note(self, name: str) -> str | None:
        """What was noted of the whole project under a name; JSON."""
        return self._folder.note(name)

    def put_note(self, name: str, content: str) -> None:
        """Note something of the whole project."""
        self._folder.put_note(name, content)

    def jobs(self) -> dict[str, str]:
        """The body, as JSON, of every job that was begun and is not done, by id."""
        return dict(self._folder.jobs())

    def put_job(self, job: str, body: str | None) -> None:
        """Keep what a job is to do; None: it is done."""
        self._folder.put_job(job, body)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files():
            file.close()

    def _files(self) -> list[ProjectFile]:
        return [self._dropped] if self._folder is self._dropped else [self._folder, self._dropped]

    def _file(self, picture: Picture) -> ProjectFile:
        return self._dropped if picture.uploaded else self._folder

    def _rows(self) -> dict[str, Row]:
        return {row.key: row for file in self._files() for row in file.rows()}

    def _tidy(self) -> None:
        """Once, before anything of this session is in it: later, undo still wants the old answers."""
        with self._lock:
            if self._replaced is not None:
                return
            here = {picture.key: picture.size for picture in self._store.listed()}
            replaced = [(key, here[key]) for key, row in self._rows().items() if here.get(key, row.size) != row.size]
            self._folder.tidy(replaced)
            self._replaced = [key for key, _ in replaced]

    def _row(self, picture: Picture, change: Change) -> Row:
        entry = change.entry.model_dump(mode="json", exclude_defaults=True)
        for each in (entry, *entry.get("kinds", ())):
            if each.get("like"):
                like = self._store.known(each["like"].pop("picture"))
                each["like"] = {"key": like.key, **each["like"]} if like else None
        return Row(picture.key, picture.size, json_text(entry, compact=True), change.question)

    def _brought(self, picture: Picture, change: Change, asked: Mapping[str, str]) -> Iterator[Answered]:
        found = change.found or Found()
        questions = {"count": change.question, **asked}
        for task in BRIEF:
            answer, question = getattr(found, task), questions.get(task)
            if answer is not None and question:
                found_there = answer.model_dump(mode="json")
                yield _answered(
                    picture, task, question, found_there | {"dots": len(found_there.get("points", ()))}, None
                )


def _place(folder: Path, data: Path) -> Path:
    """Beside the pictures or, where nobody may write there, in the user's own folder for such."""
    beside = folder / NAME
    if beside.exists() or os.access(folder, os.W_OK):
        return beside
    return data / f"{hashlib.sha256(str(folder.resolve()).encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.sqlite"


def _answered(picture: Picture, task: str, question: str, answer: Mapping[str, Any], heat: bytes | None) -> Answered:
    def part(names: Sequence[str]) -> str:
        return json_text({name: answer[name] for name in names if name in answer}, compact=True)

    return Answered(picture.key, task, question, part(BRIEF[task]), part(WHOLE[task]), heat)


def _entry_of(row: Row, here: Mapping[str, Picture]) -> dict[str, Any]:
    """The entry as the page has it; examples in a picture that is not here are left out."""
    return _with_like(json.loads(row.entry), lambda key: here[key].id if key in here else None)


def _with_like(entry: dict[str, Any], called: Callable[[str], str | None]) -> dict[str, Any]:
    """An entry, with pictures that hold examples called otherwise than by key; those with no such name are left out."""
    for each in (entry, *entry.get("kinds", ())):
        like = each.pop("like", None)
        name = called(like["key"]) if like else None
        if name is not None:
            each["like"] = _like(like, name)
    return entry


def _like(kept: Mapping[str, Any], picture: str) -> dict[str, Any]:
    """Examples in another picture as the page has them: a question's name depends on the order of its words."""
    seen = {"seen": kept["seen"]} if kept.get("seen") else {}
    return {"picture": picture, **seen, "exemplars": kept["exemplars"]}


def _project_picture(
    picture: Picture, row: Row | None, answers: Mapping[str, Any], here: Mapping[str, Picture]
) -> ProjectPicture:
    named = _with_like(json.loads(row.entry) if row else {}, lambda key: here[key].name if key in here else None)
    found: dict[str, Any] = {
        task: kind.model_validate({name: answers[task][name] for name in kind.model_fields if name in answers[task]})
        for task, kind in _MODELS.items()
        if task in answers
    }
    return ProjectPicture(
        name=picture.name,
        width=picture.width,
        height=picture.height,
        prediction=found.get("count"),
        segmented=found.get("segment"),
        recognized=found.get("recognize"),
        **named,
    )
