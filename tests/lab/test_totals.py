"""The simulation of totals, on populations that are made up here and on real counts where these are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likewise.estimation import read_counts
from likewise.lab.totals import NUMBERS, SETS, counted, measure, summary

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def made_up(seed: int, *, spread: float, error: float, bias: float, empty: float = 0.0, n: int = 150):
    generator = np.random.default_rng(seed)
    expected = np.where(generator.random(n) < empty, 0.0, 20 * generator.lognormal(0, spread, n))
    truth = generator.poisson(expected).astype(float)
    counts = bias * truth * generator.lognormal(0, error, n) + generator.poisson(0.2, n)
    width = 0.4 * generator.lognormal(0, 0.1, n)
    records = [
        {"image": str(i), "count": c, "low": c * np.exp(-w), "high": c * np.exp(w) + 1}
        for i, (c, w) in enumerate(zip(counts.tolist(), width.tolist(), strict=True))
    ]
    return read_counts(records), truth


@pytest.mark.parametrize("n", NUMBERS)
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("even", {"spread": 0.2, "error": 0.1, "bias": 0.9}),
        ("skewed", {"spread": 0.8, "error": 0.2, "bias": 1.2}),
        ("half", {"spread": 0.5, "error": 0.2, "bias": 0.5}),
        ("mostly empty", {"spread": 0.6, "error": 0.2, "bias": 1.0, "empty": 0.6}),
    ],
)
def test_intervals_of_made_up_populations_hold(name: str, how: dict[str, float], n: int):
    row = measure(name, *made_up(1, **how), n, draws=400)
    assert 0.91 <= row.ours.coverage <= 0.985  # 0.95, give or take three standard errors of 400 samples and a little
    assert row.ratio < 0.75
    assert row.needed < row.needed_alone


def test_a_summary_is_over_sets_and_numbers():
    rows = [measure("x", *made_up(2, spread=0.5, error=0.2, bias=1.0), n, draws=50) for n in (8, 15)]
    found = summary(rows)
    assert found["rows"] == 2
    assert found["ratio"] == pytest.approx((rows[0].ratio * rows[1].ratio) ** 0.5)
    assert found["widest"] == max(row.ratio for row in rows)


def test_counts_are_kept_and_not_made_again(tmp_path: Path):
    lines = ["image,count,low,high,truth", *(f"{i}.jpg,{i + 1},{i},{i + 2},{i + 1}" for i in range(20))]
    (tmp_path / "marrow by spdcn-lite.csv").write_text("\n".join(lines) + "\n")
    table, truth = counted(tmp_path, tmp_path, "marrow", "spdcn-lite")
    assert len(table) == 20
    assert truth.sum() == table.counts.sum() == 210


def test_the_real_sets_are_counted_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if not (DATA / "vgg_cells").is_dir():
        pytest.skip(f"{DATA} is not there")
    from likewise.data.counting.folder import CountingFolder
    from likewise.engine import count_eval

    first = count_eval.evaluate

    def three(counter: object, dataset: CountingFolder, *, exemplars: int) -> object:
        return first(counter, dataset, 3, exemplars=exemplars)  # type: ignore[arg-type]  # a counter

    monkeypatch.setattr(count_eval, "evaluate", three)
    table, truth = counted(DATA, tmp_path, "vgg_cells", "spdcn-lite")
    assert len(table) == 3
    assert np.abs(table.counts - truth).max() < 0.5 * truth.max()


def test_sets_name_folders():
    assert {folder for folder, _ in SETS.values()} >= {"nuclei", "orchard"}
