"""Several pictures at once, one thread each, handed back in the order in which they were given.

A network's own threads wait for each other at every layer: two of them do little more than one, and next to nothing
where something else wants a core. Two pictures at once keep two cores busy, and share the weights.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from likewise.errors import LikewiseError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

#: What a picture at a time may take beside the weights, bytes; a picture of usual size takes a tenth.
_ROOM = 1 << 30
#: Seconds after which a thread that waits for Python's lock gets it.
_SWITCH = 0.0005
#: Fewer pictures a worker than this are not worth it.
_AT_LEAST = 2


#: A file of so many bytes may hold a picture that fills the memory: no two are looked at at once.
_LARGE = 1 << 25
_large = threading.Lock()


def alone_if_large(picture: Path) -> AbstractContextManager[object]:
    """Held while a picture is looked at: of large ones, there is one at a time."""
    try:
        return _large if picture.stat().st_size >= _LARGE else nullcontext()
    except OSError:
        return nullcontext()


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_quietly() -> None:
    """Let threads that wait for others sleep, as far as the libraries that bring them are not loaded yet."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def workers_for(pictures: int, asked: int | None) -> int:
    """How many pictures are looked at at once.

    Args:
        pictures: that are to be looked at.
        asked: what the user wants; None: one a core, as far as there are pictures and memory, and one on a GPU.

    Raises:
        LikewiseError: the user wants none, or more than there are cores.
    """
    cores = usable_cores()
    if asked is not None:
        if not 1 <= asked <= cores:
            raise LikewiseError(f"--workers {asked}: expected 1 to {cores}, the cores that can be used here")
        return asked
    if _on_gpu():
        return 1
    return max(1, min(cores, pictures // _AT_LEAST, _free_memory() // _ROOM))


def in_turn(
    items: Iterable[Item], look: Callable[[Item], Outcome], workers: int
) -> Generator[tuple[Item, Callable[[], Outcome]], None, None]:
    """Each item, and what gives its outcome or raises what ``look`` did, in the order of the items.

    At most twice as many items as workers are taken ahead. Whoever stops early waits for what is under way.

    Args:
        items: are taken by this thread.
        look: is called by one of the workers, or by this thread where there is one worker.
        workers: at least one.
    """
    if workers == 1:
        for item in items:
            yield item, partial(look, item)
        return
    ahead: deque[tuple[Item, Future[Outcome]]] = deque()
    with _one_thread_each(), ThreadPoolExecutor(workers, "picture", _alone) as pool:
        try:
            for item in items:
                ahead.append((item, pool.submit(look, item)))
                if len(ahead) > 2 * workers:
                    first, outcome = ahead.popleft()
                    yield first, outcome.result
                    del outcome  # and what it holds
            while ahead:
                first, outcome = ahead.popleft()
                yield first, outcome.result
                del outcome
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What torch's operators may take is set for all threads: it is set back. So is how long Python keeps a thread.

    An operator is done in less than the five milliseconds for which Python would let its thread wait for another one.
    """
    torch: Any = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if before is not None:
            torch.set_num_threads(before)


def _alone() -> None:
    """Let what this thread computes be computed by this thread alone."""
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def _on_gpu() -> bool:
    torch: Any = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def _free_memory() -> int:
    """Bytes that can be had; more than anybody has where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return sys.maxsize
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), sys.maxsize)
