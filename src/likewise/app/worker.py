"""One thread that does all the models' work, so that the event loop never waits and memory is needed once."""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any

from likewise.app.limits import RefusedError
from likewise.plain_text import printable
from likewise.predict.cancellation import cancellable

#: Questions that are soon answered go first, then those that take long, then the steps of jobs. What goes before
#: another does not wait for it either: it is done between two of its tiles.
STOP, QUICK, LONG, STEP = -1, 0, 1, 2
#: Seconds beyond which a question takes long.
LONG_SECONDS = 5.0


class Answer(Future[Any]):
    """What a question will be answered with.

    Attributes:
        unwanted: whether it was cancelled, also where that came too late to leave the question out.
        ticking: told, between tiles, how many are done.
    """

    unwanted = False
    ticking: Callable[[int], None] | None = None

    def cancel(self) -> bool:
        """Say that nobody waits for it any more."""
        self.unwanted = not self.done()
        return super().cancel()


class Worker:
    """Runs functions in a thread of its own: quick questions first, then long ones, then steps of jobs.

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

    def ask(
        self, function: Callable[[], Any], seconds: float = 0.0, ticking: Callable[[int], None] | None = None
    ) -> Future[Any]:
        """Run ``function`` before any job goes on; its result, or what it raised, is in the future.

        A future that is cancelled before its turn is left out; one that is cancelled later ends at the next tile.

        Args:
            function: what is to be done.
            seconds: that it will take about; beyond `LONG_SECONDS`, others overtake it.
            ticking: told, between tiles, how many are done.

        Raises:
            RefusedError: too many are waiting.
        """
        with self._lock:
            if self._waiting >= self._most:
                raise RefusedError(429, f"{self._waiting} questions are waiting for the model; try again in a moment")
            self._waiting += 1
        answer = Answer()
        answer.ticking = ticking
        answer.add_done_callback(self._answered)
        self._put(LONG if seconds > LONG_SECONDS else QUICK, (answer, function))
        return answer

    def step(self, function: Callable[[], None]) -> None:
        """Run ``function`` when no question is waiting; what it raises is told in the terminal, and to nobody else."""
        self._put(STEP, function)

    def between_tiles(self, unwanted: Callable[[], bool]) -> AbstractContextManager[None]:
        """For a step: while it lasts, questions are answered between its tiles, and it ends once it is unwanted."""
        return cancellable(lambda: self._pause(STEP) or unwanted())

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
        while True:
            urgency, _, item = self._queue.get()
            if item is None:
                return
            self._do(urgency, item)
            del item  # what waits next must not keep this one's pictures in memory

    def _do(self, urgency: int, item: Any) -> None:
        try:
            if callable(item):
                item()
            else:
                self._answer(urgency, *item)
        except BaseException:  # noqa: BLE001  # a thread that ends answers nobody any more
            for line in traceback.format_exc().splitlines():
                sys.stderr.write(f"{printable(line)}\n")

    def _pause(self, urgency: int) -> bool:
        """Between two tiles of something: do what goes before it; whether there is no time for the rest."""
        while not self._stopped:
            with self._queue.mutex:  # only this thread takes from it
                waiting = self._queue.queue[0][0] if self._queue.queue else STEP
            if waiting >= urgency:
                return False
            self._do(*self._queue.get()[::2])
        return True

    def _answer(self, urgency: int, answer: Answer, function: Callable[[], Any]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        done = itertools.count()

        def unwanted() -> bool:
            if answer.ticking is not None:
                answer.ticking(next(done))
            return self._pause(urgency) or answer.unwanted

        try:
            with cancellable(unwanted):
                found = function()
            answer.set_result(found)
        except StopIteration as error:  # no future takes it
            answer.set_exception(RuntimeError(repr(error)))
        except Exception as error:  # noqa: BLE001  # whoever waits for the answer is told
            answer.set_exception(error)
        except BaseException as error:
            answer.set_exception(RuntimeError(repr(error)))  # itself, it would end the server
            raise
