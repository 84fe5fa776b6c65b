from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from likewise import cli
from likewise.errors import LikewiseError
from likewise.lab.speed import registry
from likewise.lab.speed.registry import BENCHMARKS, GROUPS
from likewise.lab.speed.timing import Comparison, absent

ROWS = [
    Comparison("deform_conv2d (native), forward", "C = 64, 96 × 96", "torchvision", 1, 7.5, 2e-7, aim=6.0),
    absent("transport", "96 × 96", "geomloss", 1),
]


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["bench", *words])
    return int(stopped.value.code or 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...], bool]]:
    """What was measured: nothing really is."""
    calls: list[tuple[str, tuple[int, ...], bool]] = []

    def measure(benchmark: str, threads: tuple[int, ...], *, quick: bool) -> Iterator[Comparison]:
        calls.append((benchmark, threads, quick))
        yield from ROWS if benchmark == "deform_conv" else []

    monkeypatch.setattr(registry, "measure", measure)
    monkeypatch.setattr(registry, "usable_cores", lambda: 2)
    return calls


def test_without_a_name_it_lists_what_there_is(capsys: pytest.CaptureFixture[str]):
    assert run() == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*BENCHMARKS, *GROUPS))
    assert run("--json") == 0
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == [*BENCHMARKS, *GROUPS]


def test_a_group_runs_all_its_benchmarks(asked, capsys: pytest.CaptureFixture[str]):
    assert run("ops") == 0
    assert asked == [(name, (1, 2), False) for name in GROUPS["ops"][0]]
    shown = capsys.readouterr().out
    for part in ("torch ", "deform_conv2d (native), forward", "C = 64, 96 × 96", "7.5 ×", "≥ 6 ×", "yes", "2.0e-07"):
        assert part in shown
    assert "geomloss is not installed" in shown
    assert "1 of 1 aims met" in shown


def test_threads_and_quickness_are_passed_on(asked):
    assert run("spdcn", "--threads", "2, 1", "--quick") == 0
    assert asked == [("spdcn", (2, 1), True)]


def test_json_is_the_machine_and_then_one_object_a_row(asked, capsys: pytest.CaptureFixture[str]):
    assert run("deform_conv", "--json", "--threads", "1") == 0
    machine, first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert {"processor", "cores", "versions", "native", "deform_conv"} <= set(machine["machine"])
    assert (first["ratio"], first["aim"], first["met"], first["error"]) == (7.5, 6.0, True, 2e-7)
    assert (second["ratio"], second["met"], second["note"]) == (None, None, "geomloss is not installed")


def test_markdown_is_the_documents_table(asked, capsys: pytest.CaptureFixture[str]):
    assert run("deform_conv", "--markdown") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Machine: ")
    assert [line for line in lines if line.startswith("| deform_conv2d (native), forward | C = 64, 96 × 96 |")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("opps",), "error: no benchmark is called 'opps'; did you mean 'ops'?\n"),
        (("ops", "--threads", "1;2"), "expected whole numbers with commas between them, such as 1,2\n"),
        (("spdcn", "--threads", "99999"), "error: threads = 99999: expected 1 to "),
        (("ops", "--json", "--markdown"), "--json and --markdown exclude each other"),
    ],
)
def test_a_slip_is_explained(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]):
    assert run(*words) == 2
    assert message in capsys.readouterr().err


def test_one_that_fails_does_not_cost_the_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def measure(benchmark: str, threads: tuple[int, ...], *, quick: bool) -> Iterator[Comparison]:
        if benchmark == "memory":
            raise LikewiseError("out of it")
        yield ROWS[0]

    monkeypatch.setattr(registry, "measure", measure)
    assert run("ops", "--json") == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == len(GROUPS["ops"][0])
    assert shown.err == "error: memory: out of it\n"


def test_a_real_run_goes_through_a_process_of_its_own(capsys: pytest.CaptureFixture[str]):
    assert run("deform_conv", "--quick", "--threads", "1", "--json") == 0
    _, *rows = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert {row["against"] for row in rows} == {"torchvision", "conv2d"}
    assert all(row["ratio"] > 0 and row["threads"] == 1 for row in rows)
    assert all(row["met"] for row in rows if row["tolerance"])
