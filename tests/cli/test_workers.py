"""Several pictures at once: in order, one thread each, and nothing different but the time."""

from __future__ import annotations

import csv
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from likewise import cli
from likewise.cli import workers
from likewise.cli.workers import alone_if_large, in_turn, workers_for
from likewise.errors import LikewiseError

from . import made_up_job


def test_outcomes_come_in_the_order_of_the_items_and_raise_what_was_raised():
    def look(item: int) -> int:
        time.sleep(0.02 * (item % 3 == 0))
        if item == 4:
            raise ValueError("four")
        return -item

    for number in (1, 2, 3):
        seen = []
        for item, outcome in in_turn(range(10), look, number):
            try:
                seen.append((item, outcome()))
            except ValueError as error:
                seen.append((item, str(error)))
        assert seen == [(item, "four" if item == 4 else -item) for item in range(10)]


def test_so_many_are_looked_at_at_once_and_few_are_taken_ahead():
    inside, most, taken = [], [], []
    lock = threading.Lock()

    def items():
        for item in range(12):
            taken.append(item)
            yield item

    def look(item: int) -> int:
        with lock:
            inside.append(item)
            most.append(len(inside))
        time.sleep(0.01)
        with lock:
            inside.remove(item)
        return item

    for item, outcome in in_turn(items(), look, 2):
        outcome()
        assert len(taken) <= item + 6
    assert max(most) == 2


def test_who_stops_early_waits_for_what_is_under_way_and_no_more_is_begun():
    begun = []

    def look(item: int) -> int:
        begun.append(item)
        time.sleep(0.02)
        return item

    seen = in_turn(range(100), look, 2)
    next(seen)
    seen.close()
    number = len(begun)
    assert number <= 7
    time.sleep(0.05)
    assert len(begun) == number


def test_torchs_threads_are_as_before(monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    assert [outcome() for _, outcome in in_turn(range(3), lambda item: item, 2)] == [0, 1, 2]
    assert asked[-1] == 7
    assert set(asked[:-1]) == {1}


def test_threads_never_exceed_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "usable_cores", lambda: 4)
    monkeypatch.setattr(workers, "_on_gpu", lambda: False)
    monkeypatch.setattr(workers, "_free_memory", lambda: 64 << 30)
    assert [workers_for(number, None) for number in (1, 2, 3, 4, 6, 8, 1000)] == [1, 1, 1, 2, 3, 4, 4]
    monkeypatch.setattr(workers, "_free_memory", lambda: 2 << 30)
    assert workers_for(1000, None) == 2
    monkeypatch.setattr(workers, "_on_gpu", lambda: True)
    assert workers_for(1000, None) == 1
    assert workers_for(1000, 3) == 3
    for number in (0, 5):
        with pytest.raises(LikewiseError, match=f"--workers {number}: expected 1 to 4"):
            workers_for(9, number)


def test_of_large_pictures_there_is_one_at_a_time(tmp_path: Path):
    small, large = tmp_path / "a.jpg", tmp_path / "b.jpg"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(1 << 26)
    with alone_if_large(large):
        with alone_if_large(small), alone_if_large(tmp_path / "none.jpg"):
            pass
        assert not workers._large.acquire(blocking=False)


@pytest.mark.parametrize("number", ["1", "2"])
def test_rows_lines_and_failures_are_in_order_whoever_did_them(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    if int(number) > workers.usable_cores():
        pytest.skip("there is one core")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "build_app", made_up_job.app)
    Path("pics").mkdir()
    for size in range(1, 13):
        (tmp_path / "pics" / f"{size}.jpg").write_bytes(b"broken" if size == 5 else b"x" * size)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["0.01", "pics", "-o", "out", "--workers", number])
    assert stopped.value.code == 1
    with Path("out/sizes.csv").open(newline="") as file:
        rows = [(row["image"], row["count"]) for row in csv.DictReader(file)]
    expected = [size for size in range(1, 13) if size != 5]
    assert rows == [(f"pics/{size}.jpg", str(size)) for size in expected]
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [f"pics/{size}.jpg: {size}  out/{size}_count.png" for size in expected]
    assert "1 could not be weighed:\n  pics/5.jpg: ValueError: it is broken" in shown.err
    assert sorted(path.name for path in Path("out").glob("*.png")) == sorted(f"{size}_count.png" for size in expected)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not told to wait quietly there")
def test_threads_that_wait_are_told_to_sleep(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    workers.wait_quietly()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    workers.wait_quietly()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
