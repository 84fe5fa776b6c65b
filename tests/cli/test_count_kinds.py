"""``likewise count`` of several kinds: ``--box red=...``, lists of names, the table, and taking up a run again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from likewise.cli.kinds import parse_shown
from likewise.errors import LikewiseError

from .conftest import run

SMALL, OTHER, LARGE = "81,39,120,74", "189,170,237,217", "305,16,364,73"


@pytest.fixture
def dishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("dishes").mkdir()
    coins = data.coins()
    Image.fromarray(coins).save("dishes/a.png")
    Image.fromarray(np.ascontiguousarray(coins[:, ::-1])).save("dishes/b.png")
    return tmp_path


def test_kinds_as_typed():
    found = parse_shown(["red=1,2,3,4", "white=5,6,7,8", "red=9,9,19,19"], ["white=C:/a.jpg:1,2,3,4"], [])
    assert list(found) == ["red", "white"]
    assert found["red"].boxes == ((1, 2, 3, 4), (9, 9, 19, 19))
    assert found["white"].like == (("C:/a.jpg", (1, 2, 3, 4)),)
    assert parse_shown(["1,2,3,4"], ["d/a=b.jpg:1,2,3,4"], ["coins"])[""].like == (("d/a=b.jpg", (1, 2, 3, 4)),)
    assert list(parse_shown([], [], ["apples, oranges"])) == list(parse_shown([], [], ["apples", "oranges"]))
    assert parse_shown([], [], ["apples"])[""].text == "apples"


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b.jpg").touch()
    assert parse_shown([], ["a=b.jpg:1,2,3,4"], [])[""].like == (("a=b.jpg", (1, 2, 3, 4)),)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ((["red=1,2,3,4", "5,6,7,8"], [], []), "--box 5,6,7,8: of which kind"),
        ((["=1,2,3,4"], [], []), "no name before the '='"),
        ((["red=1,2,3"], [], []), "--box red= 1,2,3: expected four numbers"),
        ((["red=1,2,3,4"], [], ["coins"]), "expected one"),
        ((["1,2,3,4"], [], ["coins", "apples"]), "expected no --box"),
    ],
)
def test_what_is_no_kind_is_told(typed, message):
    with pytest.raises(LikewiseError, match=message):
        parse_shown(*typed)


def test_a_folder_has_columns_for_each_kind_and_is_taken_up_again(dishes, capsys):
    words = ("dishes", "--like", f"small=dishes/a.png:{SMALL}", "--like", f"large=dishes/a.png:{LARGE}")
    assert run(*words, "-o", "out", "--format", "coco", "--grid", "1x2") == 0
    rows = list(csv.DictReader(Path("out/counts.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["dishes/a.png", "dishes/b.png"]
    for row in rows:
        assert abs(float(row["count_small"]) + float(row["count_large"]) - float(row["count"])) < 1e-3
        assert {"low_large", "high_large", "untrusted_large", "points_large"} <= set(row)
        assert list(json.loads(row["prompt"])["kinds"]) == ["small", "large"]
    assert Path("out/a_count.png").exists()
    table = list(csv.DictReader(Path("out/regions.csv").read_text().splitlines()))
    assert [row["kind"] for row in table] == ["small", "small", "large", "large"] * 2
    before = Path("out/counts.csv").read_bytes()
    capsys.readouterr()
    assert run(*words, "-o", "out", "--format", "coco", "--grid", "1x2") == 0
    assert "2 already counted, skipped" in capsys.readouterr().err
    assert Path("out/counts.csv").read_bytes() == before
    assert run("dishes", "--like", f"tiny=dishes/a.png:{SMALL}", *words[3:], "--csv", "out/counts.csv") == 2
    assert "another table" in capsys.readouterr().err


def test_one_picture_and_json(dishes, capsys):
    boxes = ("--box", f"small={SMALL}", "--box", f"large={LARGE}")
    assert run("dishes/a.png", *boxes, "--grid", "1x2") == 0
    first, *parts = capsys.readouterr().out.splitlines()
    assert "small 2" in first
    assert "large " in first
    assert parts[0].strip().startswith("small, A1: ")
    assert run("dishes/a.png", *boxes, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert abs(told["total"] - 24) <= 1
    assert list(told["kinds"]) == ["small", "large"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--box", f"a={SMALL}", "--box", f"A={OTHER}"), "are one name"),
        (("--box", f"a={SMALL}", "--box", f"b={SMALL}"), "is an example of 'a' and of 'b'"),
        (("--box", f"a={SMALL}", "--box", f"b={OTHER}", "--frames", "all"), "--frames counts one kind of thing"),
        (("--box", f"a={SMALL}", "--box", f"b={OTHER}", "-o", "out", "--format", "ome-zarr"), "density of one kind"),
        (("--text", "coins, everything except apples"), "name them too, as kinds"),
        (("--text", "everything except coins"), "name them too, as kinds"),
    ],
)
def test_what_cannot_be_done_with_kinds_is_said(dishes, capsys, words, message):
    assert run("dishes", *words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
