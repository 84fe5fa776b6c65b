"""The table of an ablation."""

from __future__ import annotations

from pathlib import Path

from likewise.lab.experiments.error_table import write_error_table


def test_the_table_is_markdown_with_a_remark_above(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.md"
    write_error_table(path, "3 steps.", "with", [("all", {"mae": 1.005, "rmse": 2, "nae": 0.12345})])
    assert (
        path.read_text()
        == "3 steps.\n\n| with | MAE | RMSE | NAE |\n|---|---|---|---|\n| all | 1.00 | 2.00 | 0.123 |\n"
    )
