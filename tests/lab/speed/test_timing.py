from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator

import pytest

from likewise.lab.speed import timing
from likewise.lab.speed.timing import Comparison, absent, aimed, interleave, peer


class Clock:
    """Stands still but for what is done, and remembers the order of it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.done: list[str] = []

    def taking(self, name: str, seconds: list[float]) -> Callable[[], None]:
        each: Iterator[float] = iter(seconds)

        def work() -> None:
            self.done.append(name)
            self.now += next(each)

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: made.now)
    return made


def test_functions_take_turns_after_a_warm_up(clock: Clock):
    interleave(clock.taking("a", [1] * 4), clock.taking("b", [1] * 4), rounds=3)
    assert "".join(clock.done) == "ab" * 4


def test_the_medians_are_of_each_alone_and_without_the_warm_up(clock: Clock):
    mine, theirs = clock.taking("a", [90, 1, 50, 2]), clock.taking("b", [90, 6, 4, 70])
    assert interleave(mine, theirs, rounds=3) == (2, 6)


@pytest.mark.parametrize("before", [True, False])
def test_no_garbage_is_collected_meanwhile_and_the_collector_is_left_as_it_was(before: bool):
    seen: list[bool] = []
    was = gc.isenabled()
    try:
        (gc.enable if before else gc.disable)()
        interleave(lambda: seen.append(gc.isenabled()), lambda: None, rounds=2)
        with pytest.raises(ZeroDivisionError):
            interleave(lambda: seen.append(gc.isenabled()), fails_when_timed(), rounds=2)
        assert gc.isenabled() is before
    finally:
        (gc.enable if was else gc.disable)()
    assert seen == [before, False, False, before, False]


def fails_when_timed() -> Callable[[], float]:
    calls = iter((1, 0))
    return lambda: 1 / next(calls)


def row(ratio: float, error: float | None, aim: float | None, tolerance: float | None) -> Comparison:
    return Comparison("what", "shape", "peer", 1, ratio, error, aim=aim, tolerance=tolerance)


@pytest.mark.parametrize(
    ("made", "met"),
    [
        (row(9, 0.5, None, None), None),
        (row(6, None, 6, None), True),
        (row(5.99, None, 6, None), False),
        (row(7, 1e-6, 6, 1e-5), True),
        (row(7, 1e-4, 6, 1e-5), False),
        (row(0.1, 1e-5, None, 1e-5), True),
        (row(7, None, 6, 1e-5), False),
        (row(7, math.nan, 6, 1e-5), False),
        (row(math.nan, None, 6, None), False),
    ],
)
def test_an_aim_is_met_by_ratio_and_error_together(made: Comparison, met: bool | None):
    assert made.met is met


def test_several_threads_may_reach_nine_tenths_and_a_quick_run_anything():
    assert aimed(6, 1, quick=False) == 6
    assert aimed(6, 2, quick=False) == pytest.approx(5.4)
    assert aimed(6, 1, quick=True) is None


def test_a_peer_that_is_not_installed_is_told():
    assert peer("no_such_package") is None
    assert peer("math") is math
    missing = absent("transport", "M = 3", "geomloss", 2)
    assert math.isnan(missing.ratio)
    assert (missing.met, missing.threads, missing.note) == (None, 2, "geomloss is not installed")
