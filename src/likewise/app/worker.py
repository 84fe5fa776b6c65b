"""One thread that does all the models' work, so that the event loop never waits and memory is needed once."""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from likewise.app.limits import RefusedError
from likewise.plain_text import printable
from likewise.predict.cancellation import cancellable

#: What somebody waits for in front of the page goes before the steps of jobs.
STOP, QUESTION, STEP = -1, 0, 1


class Answer(Future[Any]):
    """What a question will be answered with.

    Attributes:
        unwanted: whether it was cancelled, also where that came too late to leave the question out.
    """

    unwanted = False

    def cancel(self) -> bool:
        """Say that nobody waits for it any more."""
        self.unwanted = not self.done()
        return super().cancel()


class Worker:
    """Runs functions one after another in a thread of its own: questions first, steps of jobs between them.

    Whatever one of them raises ends that one only. Should the thread end all the same, the next that is asked of it
    starts another, which goes on with what was waiting.

    Args:
        questions: how many may wait.
    """

    def __init__(self, questions: int) -> None:
        self._most = questions
        self._waiting = 0
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._queue: queue.PriorityQueue[tuple[int, int, Any]] = queue.PriorityQueue()
        self._stopped = False
        self._thread = self._started()

    def ask(self, function: Callable[[], Any]) -> Future[Any]:
        """Run ``function`` before any job goes on; its result, or what it raised, is in the future.

        A future that is cancelled before its turn is left out; one that is cancelled later ends at the next tile.

        Raises:
            RefusedError: too many are waiting.
        """
        with self._lock:
            if self._waiting >= self._most:
                raise RefusedError(429, f"{self._waiting} questions are waiting for the model; try again in a moment")
            self._waiting += 1
        answer = Answer()
        answer.add_done_callback(self._answered)
        self._put(QUESTION, (answer, function))
        return answer

    def step(self, function: Callable[[], None]) -> None:
        """Run ``function`` when no question is waiting; what it raises is told in the terminal, and to nobody else."""
        self._put(STEP, function)

    def stop(self) -> None:
        """End the thread after what it is doing; what still waits is not done."""
        self._stopped = True
        self._queue.put((STOP, next(self._order), None))
        self._thread.join(timeout=60)

    def _put(self, urgency: int, item: Any) -> None:
        self._queue.put((urgency, next(self._order), item))
        with self._lock:
            if not self._stopped and not self._thread.is_alive():
                self._thread = self._started()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="likewise-model", daemon=True)
        thread.start()
        return thread

    def _answered(self, _: Future[Any]) -> None:
        with self._lock:
            self._waiting -= 1

    def _work(self) -> None:
        while (item := self._queue.get()[2]) is not None:
            try:
                if callable(item):
                    item()
                else:
                    _answer(*item)
            except BaseException:  # noqa: BLE001  # a thread that ends answers nobody any more
                for line in traceback.format_exc().splitlines():
                    sys.stderr.write(f"{printable(line)}\n")
            del item  # what waits next must not keep this one's pictures in memory


def _answer(answer: Answer, function: Callable[[], Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        with cancellable(lambda: answer.unwanted):
            found = function()
        answer.set_result(found)
    except StopIteration as error:  # no future takes it
        answer.set_exception(RuntimeError(repr(error)))
    except Exception as error:  # noqa: BLE001  # whoever waits for the answer is told
        answer.set_exception(error)
    except BaseException as error:
        answer.set_exception(RuntimeError(repr(error)))  # itself, it would end the server
        raise
