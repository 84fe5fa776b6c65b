"""Memory of a run over very many files: a fixed piece for the listing, a few dozen bytes a row for the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("many_files.py")


def test_twenty_thousand_files_take_their_part_of_what_a_million_may(tmp_path: Path):
    """A million may take 300 MB, of which Python and a listing of fifty thousand names have less than half."""
    pytest.importorskip("resource", reason="the system does not tell a process its peak")
    done = subprocess.run([sys.executable, SCRIPT, "20000", tmp_path], capture_output=True, text=True, check=True)
    peak = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert peak["listed"] < 150
    assert peak["found"] - peak["listed"] < 20_000 * 150e-6 + 4  # a hundred and fifty bytes a row, and pages
