from __future__ import annotations

import math

from likewise import native
from likewise.lab.speed.machine import Machine, this_machine
from likewise.lab.speed.table import HEADINGS, cells, markdown, summary
from likewise.lab.speed.timing import Comparison, absent

MACHINE = Machine("Abacus 3000", 2, "Linux x86_64", {"torch": "2.9"}, "avx512", "native")
MET = Comparison("conv | forward", "C = 64", "peer", 1, 7.125, 3.2e-7, aim=6, tolerance=1e-5)
MISSED = Comparison("conv", "C = 64", "peer", 2, 0.5, None, "noisy", aim=0.5625)
UNASKED = Comparison("conv", "C = 64", "peer", 1, 12.0, None)


def test_a_row_says_what_was_asked_and_whether_it_was_met():
    assert cells(MET) == (
        "conv | forward",
        "C = 64",
        "peer",
        "1",
        "7.12 ×",
        "≥ 6 ×, error ≤ 1e-05",
        "yes",
        "3.2e-07",
        "",
    )
    assert cells(MISSED) == ("conv", "C = 64", "peer", "2", "0.5 ×", "≥ 0.562 ×", "no", "", "noisy")
    assert cells(UNASKED)[4:] == ("12 ×", "", "", "", "")


def test_a_missing_peer_has_no_ratio():
    assert cells(absent("a", "b", "geomloss", 1))[4:] == ("", "", "", "", "geomloss is not installed")


def test_large_ratios_are_written_out():
    assert cells(Comparison("", "", "", 1, 1234.5, None))[4] == "1234 ×"


def test_the_summary_counts_aims_only():
    assert summary([MET, MISSED, UNASKED, MET]) == "2 of 3 aims met"


def test_markdown_is_one_table_under_the_machine():
    first, empty, *table, blank, last = markdown(MACHINE, [MET, MISSED]).splitlines()
    assert first == (
        "Machine: Abacus 3000, 2 cores, Linux x86_64; torch 2.9; compiled functions: avx512; deform_conv2d: native."
    )
    assert (empty, blank, last) == ("", "", "1 of 2 aims met.")
    assert table[0] == "| " + " | ".join(HEADINGS) + " |"
    assert table[2].startswith(r"| conv \| forward | C = 64 | peer | 1 | 7.12 × |")
    assert {line.replace(r"\|", "").count("|") for line in table} == {len(HEADINGS) + 1}


def test_this_machine_is_named(monkeypatch):
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.processor
    assert {"likewise", "torch", "torchvision"} <= set(machine.versions)
    monkeypatch.setenv(native.VARIABLE, "0")
    assert this_machine().native == "switched off by LIKEWISE_NATIVE=0"
    assert "1 core," in str(Machine("x", 1, "y", {}, "", ""))
    assert not math.isnan(machine.cores)
