"""That the benchmarks of counters by name compare two ways to one result."""

from __future__ import annotations

import pytest

from likewise.lab.speed import countx, vlcounter
from likewise.lab.speed.named_counters import TOLERANCE


@pytest.mark.parametrize("benchmark", [vlcounter, countx], ids=["vlcounter", "countx"])
def test_both_ways_give_the_same_density_and_a_tiny_run_promises_nothing(benchmark):
    exact, half = benchmark.compare(1, quick=True)
    assert exact.error < TOLERANCE
    assert exact.met
    assert half.error > exact.error
    assert (exact.aim, half.aim, half.tolerance) == (None, None, None)
    assert "float32" in exact.what
    assert "bfloat16" in half.what
