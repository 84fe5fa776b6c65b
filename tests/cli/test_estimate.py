"""``likewise sample`` and ``likewise estimate`` as they are typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with counts.csv, as `likewise count` writes it, and a column more."""
    generator = np.random.default_rng(0)
    counts = generator.lognormal(3, 0.5, 50)
    header = "image,count,low,high,points,warnings,seconds,model,settings,weights,prompt,file,stamp,plate"
    rows = [
        f"p/{i:02}.jpg,{c:.4f},{c * 0.7:.4f},{c * 1.4:.4f},9,,0.1,spdcn-lite,0123456789ab,spdcn-lite.safetensors,"
        f'"{{""exemplars"": 1}}",p/{i:02}.jpg,sha256:0123456789abcdef,{"AB"[i % 2]}'
        for i, c in enumerate(counts)
    ]
    (tmp_path / "counts.csv").write_text("\n".join([header, *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0)


def fill_in(path: Path, count: int = 20) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "hand": row["hand"] or str(count)} for row in rows)


def test_from_counts_to_a_total(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run("sample", "counts.csv", "-n", "12", "-o", "sample.csv", "--seed", "4") == 0
    assert "12 pictures to count by hand (proportional design, seed 4)" in capsys.readouterr().out
    fill_in(folder / "sample.csv")
    words = ("estimate", "counts.csv", "--hand", "sample.csv", "--by", "plate", "--methods", "--plot", "total.png")
    assert run(*words, "-o", "total.csv") == 0
    shown = capsys.readouterr().out
    for words in ("total ", "95 % interval", "hand counts alone", "A:", "A by B", "SHA-256", "settings 0123456789ab"):
        assert words in shown
    with Image.open(folder / "total.png") as plot:
        assert plot.format == "PNG"
    with (folder / "total.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["", "A", "B"]
    assert float(rows[0]["low"]) < float(rows[0]["total"]) < float(rows[0]["high"])


def test_json_and_files_hold_everything(folder: Path, capsys: pytest.CaptureFixture[str]):
    run("sample", "counts.csv", "-n", "8", "-o", "sample.csv")
    fill_in(folder / "sample.csv")
    capsys.readouterr()
    assert run("estimate", "counts.csv", "--hand", "sample.csv", "--json", "-o", "out/total.json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((folder / "out" / "total.json").read_text())
    assert len(shown["about"]["sha256"]) == 64
    assert run("estimate", "counts.csv", "--hand", "sample.csv", "-o", "total.txt") == 0
    assert "Cite: " in (folder / "total.txt").read_text()


def test_more_pictures_are_drawn_beside_those_that_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]):
    run("sample", "counts.csv", "-n", "8", "-o", "sample.csv")
    fill_in(folder / "sample.csv")
    assert run("sample", "counts.csv", "-n", "5", "-o", "more.csv", "--after", "sample.csv") == 0
    assert "more.csv: 5 pictures to count by hand" in (said := capsys.readouterr().out)
    assert "8 of its 13 are counted already" in said
    fill_in(folder / "more.csv")
    assert run("estimate", "counts.csv", "--hand", "more.csv") == 0
    assert "13 by hand" in capsys.readouterr().out


def test_what_is_not_counted_yet_is_said_where_more_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str]):
    run("sample", "counts.csv", "-n", "8", "-o", "sample.csv")
    assert run("sample", "counts.csv", "-n", "5", "-o", "more.csv", "--after", "sample.csv") == 0
    said = capsys.readouterr().out
    assert "more.csv: 13 pictures to count by hand" in said
    assert "8 of sample.csv are not counted yet, and are among them" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sample", "counts.csv", "-n", "2", "-o", "x.csv"), "-n 2: expected 3 to 50"),
        (("sample", "counts.csv", "-n", "5", "-o", "sample.csv"), "is there already"),
        (("estimate", "counts.csv", "--hand", "sample.csv"), "no hand count yet"),
        (("estimate", "counts.csv", "--hand", "nothing.csv"), "nothing.csv: no such file"),
        (("estimate", "counts.csv", "--hand", "sample.csv", "-o", "x.doc"), "ends in .json"),
        (("estimate", "counts.csv", "--hand", "sample.csv", "--by", "plate", "--compare", "A"), "two groups"),
        (("lab", "total", "--data", "x"), "did you mean 'totals'"),
    ],
)
def test_what_is_refused_is_said_in_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
):
    run("sample", "counts.csv", "-n", "5", "-o", "sample.csv")
    capsys.readouterr()
    assert run(*words) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.count("\n") == 1


def test_a_plot_that_is_no_picture_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    run("sample", "counts.csv", "-n", "5", "-o", "sample.csv")
    fill_in(folder / "sample.csv")
    assert run("estimate", "counts.csv", "--hand", "sample.csv", "--plot", "x.nothing") == 2
    assert "ends in .png" in capsys.readouterr().err
