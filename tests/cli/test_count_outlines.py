"""``likewise count --outlines``: what is printed, the tables beside the drawings, and the one of all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from likewise.cli.outlines import OutlinesAsked, gather_measures
from likewise.errors import LikewiseError

from .conftest import run

BOXES = ("--box", "81,39,120,74", "--box", "189,170,237,217", "--box", "305,16,364,73")


@pytest.fixture
def dishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("dishes").mkdir()
    coins = data.coins()
    Image.fromarray(coins).save("dishes/a.png")
    Image.fromarray(np.ascontiguousarray(coins[:265])).save("dishes/b.png")  # a row of coins is cut
    return tmp_path


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_one_picture_tells_how_many_and_how_large(dishes, capsys):
    assert run("dishes/a.png", *BOXES, "--outlines", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    things = told["things"]
    assert abs(len(things) - 24) <= 1
    assert all(300 < each["area_px"] < 4500 for each in things)
    assert run("dishes/a.png", *BOXES, "--outlines") == 0
    assert f"{len(things)} outlined, median area" in capsys.readouterr().out


def test_a_folder_has_a_table_a_picture_and_one_of_all(dishes):
    assert run("dishes", *BOXES, "--outlines", "-o", "out") == 0
    parts = [rows(f"out/{name}_measures.csv") for name in "ab"]
    assert rows("out/measures.csv") == parts[0] + parts[1]
    assert run("dishes", *BOXES, "--outlines", "--no-border", "-o", "whole") == 0
    assert 0 < len(rows("whole/b_measures.csv")) < len(parts[1])


def test_outlines_are_needed_for_leaving_some_out(dishes, capsys):
    assert run("dishes/a.png", *BOXES, "--no-border") == 2
    assert "it needs --outlines" in capsys.readouterr().err
    with pytest.raises(LikewiseError, match="needs --outlines"):
        OutlinesAsked(border=False)


def test_tables_with_other_columns_and_letters_are_one(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "x2_measures.csv").write_text("image,area_px\nx2.png,4\n")
    (tmp_path / "sub" / "x10_measures.csv").write_text("image,area_px,area_um2\nä.png,5,6\n", encoding="utf-8-sig")
    gather_measures(tmp_path)
    assert rows(str(tmp_path / "measures.csv")) == [
        {"image": "ä.png", "area_px": "5", "area_um2": "6"},
        {"image": "x2.png", "area_px": "4", "area_um2": ""},
    ]
    assert (tmp_path / "measures.csv").read_bytes().startswith(b"\xef\xbb\xbf")  # so that Excel shows them
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    gather_measures(tmp_path)  # the table of all is none of those that are put together
    assert len(rows(str(tmp_path / "measures.csv"))) == 2


def test_without_tables_there_is_none_of_all(tmp_path):
    gather_measures(tmp_path)
    assert list(tmp_path.iterdir()) == []
