"""The thread that does the work: in which order, and how much of it waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from likewise.app.jobs import KEPT, Job, Jobs
from likewise.app.limits import RefusedError
from likewise.app.worker import Worker


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
