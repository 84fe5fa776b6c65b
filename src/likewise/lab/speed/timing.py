"""How two ways of doing one thing are compared: in turns, in one process, by their medians.

A time says as much about the machine and its other guests as about the code; a ratio of times taken in turns says
little about either. Only ratios leave this package.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from types import ModuleType


@dataclass(frozen=True)
class Comparison:
    """One row of a benchmark: ours against a peer's, on one problem.

    Attributes:
        what: what is computed, such as "deform_conv2d, forward", and by which path where that is not the default.
        shape: the problem's size.
        against: the peer.
        threads: that torch was given.
        ratio: how many times less of it ours takes than the peer: time, unless ``what`` says memory.
        error: largest difference to the truth, or to the peer, relative to the largest value; None: not compared.
        note: what else a reader has to know.
        aim: the ratio that is asked for; None: none is.
        tolerance: the error that is allowed, such as the peer's own; None: none is set.
    """

    what: str
    shape: str
    against: str
    threads: int
    ratio: float
    error: float | None
    note: str = ""
    aim: float | None = None
    tolerance: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether ratio and error are as good as asked for; None where nothing is."""
        if self.aim is None and self.tolerance is None:
            return None
        fast = self.aim is None or self.ratio >= self.aim
        return fast and (self.tolerance is None or (self.error is not None and self.error <= self.tolerance))


def interleave(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of each of two functions, called in turns: whatever slows the machine down slows both down.

    Both are called once before the clock starts, and no garbage is collected while it runs.

    Args:
        ours: the first of each turn.
        theirs: the second.
        rounds: turns, at least one.
    """
    ours(), theirs()
    seconds: tuple[list[float], list[float]] = ([], [])
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for function, taken in zip((ours, theirs), seconds, strict=True):
                taken.append(_seconds(function))
    finally:
        if collecting:
            gc.enable()
    return median(seconds[0]), median(seconds[1])


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def aimed(ratio: float, threads: int, *, quick: bool) -> float | None:
    """The aim for a ratio asked for on one thread: nine tenths of it on several, none on a quick run's small shapes."""
    if quick:
        return None
    return ratio if threads == 1 else 0.9 * ratio


def peer(name: str) -> ModuleType | None:
    """A package to compare with that only developers have; None where it is not installed."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def absent(what: str, shape: str, package: str, threads: int) -> Comparison:
    """The row that stands where a comparison would, had its peer been installed."""
    return Comparison(what, shape, package, threads, float("nan"), None, f"{package} is not installed")
