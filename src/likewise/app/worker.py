"""One thread that does all the models' work, so that the event loop never waits and memory is needed once."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from likewise.app.limits import RefusedError

#: What somebody waits for in front of the page goes before the steps of jobs.
QUESTION, STEP, STOP = 0, 1, 2


class Worker:
    """Runs functions one after another in a thread of its own: questions first, steps of jobs between them.

    Args:
        questions: how many may wait.
    """

    def __init__(self, questions: int) -> None:
        self._most = questions
        self._waiting = 0
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._queue: queue.PriorityQueue[tuple[int, int, Any]] = queue.PriorityQueue()
        self._thread = threading.Thread(target=self._work, name="likewise-model", daemon=True)
        self._thread.start()

    def ask(self, function: Callable[[], Any]) -> Future[Any]:
        """Run ``function`` before any job goes on; its result, or what it raised, is in the future.

        Raises:
            RefusedError: too many are waiting.
        """
        with self._lock:
            if self._waiting >= self._most:
                raise RefusedError(429, f"{self._waiting} questions are waiting for the model; try again in a moment")
            self._waiting += 1
        answer: Future[Any] = Future()
        answer.add_done_callback(self._answered)
        self._queue.put((QUESTION, next(self._order), (answer, function)))
        return answer

    def step(self, function: Callable[[], None]) -> None:
        """Run ``function``, which must not raise, when no question is waiting."""
        self._queue.put((STEP, next(self._order), function))

    def stop(self) -> None:
        """End the thread after what it is doing; what still waits is not done."""
        self._queue.put((-1, next(self._order), None))
        self._thread.join(timeout=60)

    def _answered(self, _: Future[Any]) -> None:
        with self._lock:
            self._waiting -= 1

    def _work(self) -> None:
        while (item := self._queue.get()[2]) is not None:
            if callable(item):
                item()
            else:
                _answer(*item)


def _answer(answer: Future[Any], function: Callable[[], Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(function())
    except BaseException as error:  # noqa: BLE001  # whoever waits for the answer is told
        answer.set_exception(error)
