from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from likewise.errors import LikewiseError
from likewise.lab.speed import registry
from likewise.lab.speed.process import lines_of
from likewise.lab.speed.registry import (
    BENCHMARKS,
    GROUPS,
    check_threads,
    chosen,
    from_json,
    listed,
    load,
    measure,
    to_json,
)
from likewise.lab.speed.timing import Comparison


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_there_and_called_alike(name: str):
    assert list(inspect.signature(load(name)).parameters) == ["threads", "quick"]


def test_a_name_stands_for_itself_or_its_group():
    assert chosen("spdcn") == ("spdcn",)
    assert set(chosen("ops")) | set(chosen("names")) | {"app", "folder", "fwb", "giant", "lite", "outlines"} == set(
        BENCHMARKS
    )
    assert set(listed()) == {*BENCHMARKS, *GROUPS}
    assert not set(BENCHMARKS) & set(GROUPS)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(LikewiseError, match="'opps'; did you mean 'ops'"):
        chosen("opps")


@pytest.mark.parametrize("threads", [0, 10**6])
def test_threads_must_have_a_core_each(threads: int):
    with pytest.raises(LikewiseError, match="expected 1 to"):
        check_threads((1, threads))


def test_every_number_of_threads_is_a_process(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def lines(module: str, words: list[str], threads: int) -> Iterator[str]:
        asked.append((module, words, threads))
        yield to_json(Comparison("x", "", "", threads, 2.0, None))

    monkeypatch.setattr(registry, "lines_of", lines)
    assert [row.threads for row in measure("spdcn", (1, 4), quick=False)] == [1, 4]
    assert list(measure("spdcn", (2,), quick=True))
    assert asked == [
        ("likewise.lab.speed", ["spdcn"], 1),
        ("likewise.lab.speed", ["spdcn"], 4),
        ("likewise.lab.speed", ["spdcn", "quick"], 2),
    ]


@pytest.mark.parametrize(
    "row",
    [
        Comparison("deform_conv2d, forward", "96 × 96", "torchvision", 2, 3.5, 1e-7, "note", 3.0, 1e-5),
        Comparison("a", "b", "c", 1, 0.5, None),
    ],
)
def test_a_row_survives_the_pipe(row: Comparison):
    line = to_json(row)
    assert "\n" not in line
    assert from_json(line) == row


def test_numbers_that_json_lacks_are_null():
    line = to_json(Comparison("a", "b", "c", 1, math.nan, math.inf))
    assert '"ratio": null, "error": null' in line
    assert math.isnan(from_json(line).ratio)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which a new process can run modules."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_process_gets_its_threads_and_words(modules: Path):
    (modules / "told.py").write_text(
        "import os, sys\nprint(*map(os.getenv, ('OMP_NUM_THREADS', 'X')), sys.argv[1:], '×')"
    )
    assert list(lines_of("told", ["a + b", "8"], 3, {"X": "y"})) == ["3 y ['3', 'a + b', '8'] ×\n"]


def test_what_a_process_said_before_it_failed_is_passed_on(modules: Path):
    (modules / "fails.py").write_text("print('row', flush=True)\nraise ValueError('too cold')")
    lines = lines_of("fails", ["x"], 1)
    assert next(lines) == "row\n"
    with pytest.raises(LikewiseError, match=r"python -m fails 1 x failed: ValueError: too cold"):
        next(lines)


def test_a_process_that_nobody_listens_to_is_ended(modules: Path):
    (modules / "endless.py").write_text("print('row', flush=True)\nimport time\ntime.sleep(600)")
    lines = lines_of("endless", [], 1)
    assert next(lines) == "row\n"
    lines.close()
