"""The thread that does the work: in which order, and how much of it waits."""

from __future__ import annotations

import errno
import io
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from likewise.app.archive import Archive
from likewise.app.jobs import KEPT, Job, Jobs
from likewise.app.limits import RefusedError
from likewise.app.worker import Worker
from likewise.predict.cancellation import CancelledQuestionError, check_cancelled


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(questions=3)
    yield worker
    worker.stop()


def test_questions_go_before_steps_and_in_their_order(worker: Worker) -> None:
    done: list[str] = []
    hold, ended = threading.Event(), threading.Event()
    worker.step(lambda: hold.wait(10) and None)
    worker.step(lambda: done.append("first step"))
    worker.step(lambda: done.append("second step"))
    worker.step(ended.set)
    answers = [worker.ask(lambda name=name: done.append(name)) for name in ("a", "b", "c")]
    hold.set()
    assert ended.wait(10)
    assert done == ["a", "b", "c", "first step", "second step"]
    assert all(answer.done() for answer in answers)


def test_too_many_questions_are_refused_until_some_are_answered(worker: Worker) -> None:
    hold = threading.Event()
    answers = [worker.ask(lambda: hold.wait(10)) for _ in range(3)]
    with pytest.raises(RefusedError, match="3 questions are waiting"):
        worker.ask(lambda: None)
    hold.set()
    assert [answer.result(10) for answer in answers] == [True] * 3
    assert worker.ask(lambda: 5).result(10) == 5


def test_a_question_that_raises_tells_who_asked_and_nobody_else(worker: Worker) -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        worker.ask(fail).result(10)
    assert worker.ask(lambda: 1).result(10) == 1


def test_a_question_nobody_waits_for_any_more_is_not_worked_on(worker: Worker) -> None:
    hold, done = threading.Event(), []
    first = worker.ask(lambda: hold.wait(10))
    given_up = worker.ask(lambda: done.append(1))
    assert given_up.cancel()
    hold.set()
    first.result(10)
    worker.ask(lambda: None).result(10)
    assert done == []


def test_a_question_that_nobody_waits_for_any_more_ends_at_the_next_tile(worker: Worker) -> None:
    began, hold = threading.Event(), threading.Event()
    reached: list[int] = []

    def tiles() -> None:
        for tile in range(3):
            check_cancelled()
            reached.append(tile)
            began.set()
            hold.wait(10)

    answer = worker.ask(tiles)
    assert began.wait(10)
    assert not answer.cancel()  # too late to leave it out
    hold.set()
    with pytest.raises(CancelledQuestionError):
        answer.result(10)
    assert reached == [0]
    assert worker.ask(lambda: check_cancelled() or 1).result(10) == 1  # the next is none of its business


def job(steps: int, ended: threading.Event, fail: bool = False) -> Job:
    def step() -> dict[str, int]:
        if fail:
            raise ZeroDivisionError
        return {"n": 1}

    return Job("count", [(str(i), step) for i in range(steps)], lambda: ended.set() and None)


def test_jobs_take_turns_and_are_bounded(worker: Worker) -> None:
    jobs, hold = Jobs(worker, most=2), threading.Event()
    worker.step(lambda: hold.wait(10) and None)
    ends = [threading.Event(), threading.Event()]
    running = [jobs.start(job(3, end)) for end in ends]
    with pytest.raises(RefusedError, match="2 jobs are running"):
        jobs.start(job(1, threading.Event()))
    hold.set()
    assert all(end.wait(10) for end in ends)
    assert [each.to_dict()["done"] for each in running] == [3, 3]


def test_a_step_that_fails_unexpectedly_is_a_record(worker: Worker) -> None:
    ended = threading.Event()
    started = Jobs(worker, most=1).start(job(2, ended, fail=True))
    assert ended.wait(10)
    assert started.to_dict()["records"][0] == {"image": "0", "error": "unexpected ZeroDivisionError", "picture": "0"}
    assert started.to_dict()["failed"] == 2


def test_finished_jobs_are_forgotten_in_time(worker: Worker) -> None:
    jobs, ids = Jobs(worker, most=1), []
    for _ in range(KEPT + 3):
        ended = threading.Event()
        ids.append(jobs.start(job(1, ended)).id)
        assert ended.wait(10)
        worker.ask(lambda: None).result(10)  # the job has its state by then
    jobs.get(ids[-1])
    with pytest.raises(RefusedError, match="no such job"):
        jobs.get(ids[0])


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: object, **__: object) -> Any:
        raise error

    return function


ANYTHING = [MemoryError(), OSError(errno.ENOSPC, "no space"), RecursionError(), KeyboardInterrupt(), SystemExit(3)]


@pytest.mark.parametrize("error", [*ANYTHING, StopIteration(), GeneratorExit()], ids=repr)
def test_nothing_that_is_raised_ends_the_thread(worker: Worker, error: BaseException) -> None:
    thread = worker._thread
    worker.step(raising(error))
    told = worker.ask(raising(error)).exception(10)
    assert isinstance(told, Exception)  # never one that would end whoever waits
    assert type(error).__name__ in repr(told)
    assert worker.ask(lambda: 1).result(10) == 1
    assert worker._thread is thread


def test_a_thread_that_ended_all_the_same_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_work", lambda self: None)
        worker = Worker(questions=2)
        worker._thread.join(10)
    done = threading.Event()
    worker.step(done.set)
    assert done.wait(10)
    assert worker.ask(lambda: 1).result(10) == 1
    worker.stop()
    assert not worker._thread.is_alive()


@pytest.mark.parametrize("where", ["step", "finish", "discard"])
@pytest.mark.parametrize("error", ANYTHING, ids=repr)
def test_a_job_ends_whatever_is_raised_and_the_next_one_is_done(
    worker: Worker, where: str, error: BaseException
) -> None:
    jobs, discarded = Jobs(worker, most=1), []
    parts: dict[str, Any] = {"step": lambda: {"n": 1}, "finish": lambda: None, "discard": lambda: discarded.append(1)}
    parts[where] = raising(error)
    started = jobs.start(Job("count", [("a", parts["step"])], parts["finish"], parts["discard"]))
    if where == "discard":
        jobs.cancel(started.id)
    settle(worker)
    ends_it = where == "finish" or (where == "step" and not isinstance(error, MemoryError | RecursionError))
    assert started.state == ("failed" if ends_it else "cancelled" if where == "discard" else "done")
    assert discarded == [1] * ends_it
    assert started.to_dict()["failed"] == (where != "discard")
    ended = threading.Event()
    jobs.start(job(1, ended))
    assert ended.wait(10)


def settle(worker: Worker) -> None:
    """Wait until every step is done, and those that they asked for."""
    for _ in range(4):
        done: Future[None] = Future()
        worker.step(lambda done=done: done.set_result(None))
        done.result(10)


def test_numbers_that_are_not_finite_are_an_error_of_their_picture(worker: Worker) -> None:
    steps = [(str(value), lambda value=value: {"count": value}) for value in (float("nan"), 2.0, float("-inf"))]
    started = Jobs(worker, most=1).start(Job("count", steps))
    settle(worker)
    told = started.to_dict()
    assert (told["state"], told["done"], told["failed"]) == ("done", 3, 2)
    assert ["not finite" in record.get("error", "") for record in told["records"]] == [True, False, True]


class FullDisk:
    """What `zipfile` opens its files with: a disk that takes so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def open(self, path: Path, mode: str) -> Any:
        file = FullFile(path, mode)
        file.disk = self
        return file


class FullFile(io.FileIO):
    disk: FullDisk

    def write(self, data: Any) -> int:
        self.disk.room -= len(data)
        if self.disk.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("room", [0, 300, 100_000])
def test_an_export_on_a_full_disk_leaves_nothing_and_the_thread_goes_on(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, cancelled: bool
) -> None:
    monkeypatch.setattr("zipfile.io", types.SimpleNamespace(**{**vars(io), "open": FullDisk(room).open}))
    archive = Archive(tmp_path / "x.zip")

    def draw() -> dict[str, Any]:
        archive.add("noise", Image.effect_noise((64, 64), 80))
        return {"image": "noise"}

    jobs, held = Jobs(worker, most=1), threading.Event()
    worker.step(lambda: held.wait(10) and None)
    started = jobs.start(Job("overlays", [("a", draw)] * 40, archive.finish, archive.discard))
    held.set()
    while cancelled and started.state == "running" and not started.records:
        pass
    if cancelled:
        jobs.cancel(started.id)
    while started.state == "running":
        settle(worker)
    settle(worker)
    assert started.state in (("cancelled", "failed") if cancelled else ("failed",))
    assert started.file is None
    assert list(tmp_path.iterdir()) == []
    if started.state == "failed":
        assert "No space left" in (started.error or "")
    assert worker.ask(lambda: 1).result(10) == 1


def test_pictures_of_one_name_are_told_apart_in_an_archive(tmp_path: Path) -> None:
    import zipfile

    archive = Archive(tmp_path / "x.zip")
    for _ in range(3):
        archive.add("a", Image.new("L", (2, 2)))
    assert zipfile.ZipFile(archive.finish()).namelist() == ["a.png", "a (2).png", "a (3).png"]
