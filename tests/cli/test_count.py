"""``likewise count`` as people run it: files, folders and globs, stopped and resumed, with broken pictures in between.

The weights are random: what is tested is what happens to the numbers, not the numbers.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.cli.inputs import find_pictures, parse_box, parse_like, parse_region
from likewise.errors import LikewiseError
from likewise.predict import Counter, load
from likewise.registry import preset
from likewise.sources import PictureSource
from likewise.types import Calibration
from likewise.weights import save_checkpoint

BOX = ("--box", "10,10,30,30")
KEYS = ["image", "model", "count", "low", "high", "untrusted", "points", "found", "warnings", "seconds"]


@pytest.fixture
def dishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of four pictures, one of them broken, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = Path("dishes")
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("dish1.png", "dish2.png", "dish10.jpg"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / name)
    whole = (folder / "dish10.jpg").read_bytes()
    (folder / "dish3.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("not a picture")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_picture_prints_its_count_and_its_overlay(dishes: Path, count, model: str) -> None:
    shown = count(dishes / "dish1.png", *BOX, "-o", "out")
    expected = load(model).count(dishes / "dish1.png", [(10, 10, 30, 30)])
    assert (shown.code, shown.err) == (0, "")
    said = [f"  ! {warning}" for warning in expected.warnings]
    assert shown.out.splitlines() == [f"dishes/dish1.png: {expected.count:.1f}  out/dish1_count.png", *said]
    assert sorted(p.name for p in Path("out").iterdir()) == ["dish1_count.png"]


def test_forms_for_other_programs_lie_beside_the_overlays(dishes: Path, count, model: str) -> None:
    shown = count(dishes / "dish1.png", dishes / "dish2.png", *BOX, "-o", "out", "--format", "coco")
    assert shown.code == 0
    assert {p.name for p in Path("out").glob("*coco*")} == {"dish1_coco.json", "dish2_coco.json"}
    expected = load(model).count(dishes / "dish1.png", [(10, 10, 30, 30)])
    assert json.loads(Path("out/dish1_coco.json").read_text()) == expected.to_coco()
    Path("out/dish2_coco.json").unlink()  # a picture that lacks one of its files is not done
    again = count(dishes / "dish1.png", dishes / "dish2.png", *BOX, "-o", "out", "--format", "coco")
    assert again.err.startswith("1 already counted")
    assert Path("out/dish2_coco.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "cocoa", "-o", "out"), "did you mean 'coco'?"),
        (("--format", "coco"), "say where to with --output"),
    ],
)
def test_forms_that_cannot_be_written_are_refused_at_once(dishes: Path, count, words, said: str) -> None:
    shown = count(dishes / "dish1.png", *BOX, *words)
    assert (shown.code, shown.out) == (2, "")
    assert said in shown.err
    assert not Path("out").exists()


def test_json_is_one_object_a_line_and_nothing_else(dishes: Path, count, model: str) -> None:
    shown = count(dishes, *BOX, "--json", "-o", "out")
    assert shown.code == 1
    assert [r["image"] for r in shown.records] == [f"dishes/dish{n}" for n in ("1.png", "2.png", "3.jpg", "10.jpg")]
    assert [list(r) for r in shown.records if "count" in r] == [KEYS] * 3
    assert list(shown.records[2]) == ["image", "error"]
    expected = load(model).count(dishes / "dish2.png", [(10, 10, 30, 30)]).to_dict()
    assert {**shown.records[1], "seconds": 0} == {**expected, "seconds": 0}


def test_a_folder_goes_on_past_a_broken_picture(dishes: Path, count) -> None:
    shown = count(dishes, *BOX, "--csv", "deep/counts.csv", "-o", "out")
    assert shown.code == 1
    assert re.search(r"1 could not be counted:\n  dishes/dish3\.jpg[^\n]+\n$", shown.err)
    table = rows(Path("deep/counts.csv"))
    assert [row["image"] for row in table] == ["dishes/dish1.png", "dishes/dish2.png", "dishes/dish10.jpg"]
    printed = dict(re.findall(r"^(\S+): ([\d.]+)", shown.out, re.MULTILINE))
    assert printed == {row["image"]: f"{float(row['count']):.1f}" for row in table}
    assert sorted(p.name for p in Path("out").iterdir()) == ["dish10_count.png", "dish1_count.png", "dish2_count.png"]


def test_a_second_run_skips_what_is_there_and_takes_up_the_rest(dishes: Path, count) -> None:
    count(dishes, *BOX, "-o", "out")
    table = Path("out/counts.csv")
    before = table.read_text()
    Image.new("RGB", (60, 60)).save(dishes / "dish3.jpg")
    Path("out/dish1_count.png").unlink()
    shown = count(dishes, *BOX, "-o", "out")
    assert shown.code == 0
    assert re.findall(r"^(\S+):", shown.out, re.MULTILINE) == ["dishes/dish1.png", "dishes/dish3.jpg"]
    assert "2 already counted, skipped" in shown.err
    assert table.read_text().startswith(before)
    assert len(rows(table)) == 4
    assert Path("out/dish1_count.png").exists()
    again = count(dishes, *BOX, "-o", "out")
    assert (again.code, again.out) == (0, "")
    assert "4 already counted" in again.err


def test_a_run_that_was_interrupted_goes_on(dishes: Path, count, monkeypatch: pytest.MonkeyPatch) -> None:
    (dishes / "dish3.jpg").unlink()
    honest = Counter.count

    def impatient(self: Counter, image: PictureSource, *args: object, **kwargs: object) -> object:
        if Path(image.name).name == "dish2.png":
            raise KeyboardInterrupt
        return honest(self, image, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Counter, "count", impatient)
        shown = count(dishes, *BOX, "--csv", "counts.csv")
    assert shown.code == 130
    assert len(rows(Path("counts.csv"))) == 1
    with Path("counts.csv").open("a") as file:
        file.write("dishes/dish2.png,1.2")  # as if killed in the middle of a row
    assert count(dishes, *BOX, "--csv", "counts.csv").code == 0
    assert [row["image"] for row in rows(Path("counts.csv"))] == [
        "dishes/dish1.png",
        "dishes/dish2.png",
        "dishes/dish10.jpg",
    ]


def test_a_killed_run_loses_nothing(tmp_path: Path, count, model: str) -> None:
    folder, table = tmp_path / "many", tmp_path / "counts.csv"
    folder.mkdir()
    for index in range(12):
        Image.new("RGB", (64, 64), (20 * index, 80, 90)).save(folder / f"{index}.png")
    words = [str(folder), *BOX, "--csv", str(table), "--model", model]
    command = [sys.executable, "-m", "likewise", "count", *words]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 900  # on a busy machine the first picture takes minutes
    while not (table.exists() and table.read_bytes().count(b"\n") > 1):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    left = table.read_bytes().count(b"\n") - 1
    assert left >= 1
    shown = count(*words)
    assert shown.code == 0
    assert f"{left} already counted" in shown.err
    assert [Path(row["image"]).name for row in rows(table)] == [f"{index}.png" for index in range(12)]


@pytest.mark.parametrize(
    "change", [("--box", "10,10,31,30"), ("--region", "0,0,50,0,50,50"), ("--like", "dishes/dish1.png:1,1,20,20")]
)
def test_other_settings_never_mix_with_what_is_there(dishes: Path, count, change: tuple[str, str]) -> None:
    (dishes / "dish3.jpg").unlink()
    count(dishes, *BOX, "--csv", "counts.csv")
    before = Path("counts.csv").read_text()
    shown = count(dishes, *BOX, *change, "--csv", "counts.csv")
    assert shown.code == 2
    assert "counts.csv holds results of another prompt" in shown.err
    assert "--overwrite" in shown.err
    assert Path("counts.csv").read_text() == before
    shown = count(dishes, *BOX, *change, "--csv", "counts.csv", "--overwrite")
    assert shown.code == 0
    assert len(rows(Path("counts.csv"))) == 3
    assert Path("counts.csv").read_text() != before


def test_the_table_has_interval_and_warnings(dishes: Path, count, model: str, tmp_path: Path) -> None:
    from dataclasses import replace

    trusting = load(model).model
    learnt = replace(trusting.config.inference, calibration=Calibration(("alone",), (0.5,), -2.0, 1.0, 1.5, 0.1))
    trusting.config = replace(trusting.config, inference=learnt)
    path = str(save_checkpoint(tmp_path / "trusting.safetensors", trusting))
    shown = count(dishes / "dish1.png", *BOX, "--csv", "a.csv", "--model", path)
    expected = load(path).count(dishes / "dish1.png", [(10, 10, 30, 30)])
    assert expected.interval is not None
    low, high = expected.interval
    [row] = rows(Path("a.csv"))
    assert (float(row["low"]), float(row["high"])) == pytest.approx((low, high), abs=1e-3)
    assert row["warnings"] == " ".join(expected.warnings)
    assert "would not be a surprise" in row["warnings"]
    assert f"({low:.0f} to {high:.0f})" in shown.out
    assert row["untrusted"] == ""
    assert count(dishes / "dish2.png", *BOX, "--csv", "b.csv").code == 0
    assert rows(Path("b.csv"))[0]["low"] == rows(Path("b.csv"))[0]["high"] == rows(Path("b.csv"))[0]["untrusted"] == ""


def test_the_table_and_the_line_say_where_a_count_cannot_be_trusted(
    dishes: Path, count, model: str, tmp_path: Path
) -> None:
    from dataclasses import replace

    hopeless = load(model).model
    learnt = Calibration((), (), 2.0, 1.0, 1.0, 0.1, additive=True)
    hopeless.config = replace(hopeless.config, inference=replace(hopeless.config.inference, calibration=learnt))
    path = str(save_checkpoint(tmp_path / "hopeless.safetensors", hopeless))
    shown = count(dishes / "dish1.png", *BOX, "--csv", "a.csv", "--model", path)
    [row] = rows(Path("a.csv"))
    assert (row["low"], row["high"], row["untrusted"]) == ("", "", "untrusted")
    assert f"{float(row['count']):.1f} (untrusted)" in shown.out
    [record] = [
        json.loads(line) for line in count(dishes / "dish1.png", *BOX, "--json", "--model", path).out.splitlines()
    ]
    assert (record["low"], record["untrusted"]) == (None, True)


def test_the_table_tells_what_was_asked_and_a_folder_with_boxes_is_warned_of(dishes: Path, count, model: str) -> None:
    shown = count(dishes, *BOX, "--csv", "a.csv")
    warned = "note: --box: the same pixels are taken in all 4 pictures; to show an example in one picture, use --like"
    assert warned in shown.err
    [row, *_] = rows(Path("a.csv"))
    assert json.loads(row["prompt"]) == {"exemplars": [[10, 10, 30, 30]]}
    assert row["weights"] == model
    shown = count(dishes / "dish1.png", "--like", "dishes/dish2.png:10,10,30,30", "--csv", "b.csv")
    assert shown.err == ""
    assert json.loads(rows(Path("b.csv"))[0]["prompt"]) == {"like": [["dishes/dish2.png", [10, 10, 30, 30]]]}


def test_results_are_short_where_they_are_shown(dishes: Path, model: str) -> None:
    result = load(model).count(dishes / "dish1.png", [(10, 10, 30, 30)])
    assert repr(result).startswith(f"<CountResult of {result.source}: {result.count:.2f} by tiny")
    assert len(repr(result)) < 100


def test_negatives_and_full_trust_are_passed_on(dishes: Path, count, tmp_path: Path) -> None:
    lite = preset("spdcn-lite")
    torch.manual_seed(0)
    taking = lite.model(replace(lite.config, negatives=True))
    path = str(save_checkpoint(tmp_path / "taking.safetensors", taking))
    plain, against = (
        count(dishes / "dish1.png", *BOX, *more, "--json", "--model", path).records[0]["count"]
        for more in ((), ("--negative", "40,20,60,40", "--trust", "full"))
    )
    expected = load(path).count(dishes / "dish1.png", [(10, 10, 30, 30)], negatives=[(40, 20, 60, 40)])
    assert against == pytest.approx(expected.count, abs=1e-3)
    assert against != plain


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_file_of_somebody_elses_is_never_touched(dishes: Path, count, overwrite: tuple[str, ...]) -> None:
    Path("mine.csv").write_text("name,age\nAda,36")
    shown = count(dishes, *BOX, "--csv", "mine.csv", *overwrite)
    assert shown.code == 2
    assert "mine.csv is another table" in shown.err
    assert Path("mine.csv").read_text() == "name,age\nAda,36"


def test_examples_in_another_picture(dishes: Path, count, model: str) -> None:
    shown = count(dishes / "dish1.png", dishes / "dish2.png", "--like", "dishes/dish10.jpg:5,5,25,25", "--json")
    counter = load(model)
    expected = [
        counter.count(dishes / n, like=[("dishes/dish10.jpg", (5, 5, 25, 25))]) for n in ("dish1.png", "dish2.png")
    ]
    assert [r["count"] for r in shown.records] == [round(r.count, 4) for r in expected]


def test_a_region_counts_less(dishes: Path, count) -> None:
    all_, part = (
        count(dishes / "dish1.png", *BOX, "--json", *more).records[0]
        for more in ((), ("--region", "0,0,40,0,40,60,0,60"))
    )
    assert 0 < part["count"] < all_["count"]
    assert all(x <= 40 for x, _ in part["points"])


def test_a_glob_names_what_a_shell_did_not_expand(dishes: Path, count) -> None:
    shown = count("dishes/*.png", *BOX)
    assert shown.code == 0
    assert re.findall(r"^(\S+):", shown.out, re.MULTILINE) == ["dishes/dish1.png", "dishes/dish2.png"]


def test_pictures_of_one_name_get_overlays_of_their_own(dishes: Path, count) -> None:
    Image.new("RGB", (60, 60)).save(dishes / "dish1.bmp")
    count("dishes/dish1.png", "dishes/dish1.bmp", *BOX, "-o", "out")
    assert {p.name for p in Path("out").glob("*.png")} == {"dish1.png_count.png", "dish1.bmp_count.png"}


def test_overlays_beside_their_pictures_are_not_counted(dishes: Path, count) -> None:
    (dishes / "dish3.jpg").unlink()
    count(dishes, *BOX, "-o", dishes)
    shown = count(dishes, *BOX, "-o", dishes)
    assert (shown.code, shown.out) == (0, "")
    assert "3 already counted" in shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no pictures; expected files, folders or globs"),
        (("dishes",), "nothing says what to count; show one example with --box"),
        (("dishes", "--box", "1,2,3"), "--box 1,2,3: expected four numbers X0,Y0,X1,Y1"),
        (("dishes", "--box", "1,2,3,x"), "expected four numbers"),
        (("dishes", "--box", "30,10,10,30"), "swapped corners"),
        (("dishes", *BOX, "--negative", "1,2,3"), "--negative 1,2,3: expected four numbers"),
        (("dishes", *BOX, "--negative", "1,2,3,4"), "tiny takes no negatives; it takes exemplars"),
        (("dishes", "--like", "ref.jpg"), "expected a picture and a box in it, such as ref.jpg:81,39,120,74"),
        (("dishes", "--like", "dishes/dish7.png:1,1,9,9"), "no such file: dishes/dish7.png; did you mean"),
        (("dishes", "--like", "dishes/dish1.png:1,1,999,9"), "like: dishes/dish1.png: exemplars[0]"),
        (("dishes", *BOX, "--region", "0,0,1,1"), "expected three or more corners"),
        (("dishes", "--text", "cells"), "tiny takes no text; it takes exemplars"),
        (("dishes", "--text", "cells, coins"), "tiny takes no text; it takes exemplars"),
        (("dishes", "--text", "everything except coins"), "boxes round them as negatives"),
        (("dishes", *BOX, "--model", "spdcn-light"), "did you mean 'spdcn-lite'"),
        (("dishes", *BOX, "--model", "gone.safetensors"), "gone.safetensors"),
        (("none/*.png", *BOX), "none/*.png matches no file"),
        (("empty", *BOX), "empty holds no pictures"),
        (("dishes/dish4.png", *BOX), "no such file: dishes/dish4.png; did you mean"),
        (("dishes/dish3.jpg", *BOX), "dishes/dish3.jpg cannot be read"),
        (("dishes/dish1.png", "--box", "10,10,300,30"), "outside the picture, which is 80 x 60"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(dishes: Path, count, words: tuple[str, ...], message: str) -> None:
    Path("empty").mkdir()
    shown = count(*words)
    assert shown.code == 2
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_a_single_failure_is_an_object_too(dishes: Path, count) -> None:
    shown = count("dishes/dish3.jpg", *BOX, "--json")
    assert shown.code == 2
    assert [list(r) for r in shown.records] == [["image", "error"]]


@pytest.mark.parametrize(("text", "box"), [("1,2,3,4", (1, 2, 3, 4)), ("-0.5,2.25, 3,4e1", (-0.5, 2.25, 3, 40))])
def test_boxes_as_typed(text: str, box: tuple[float, ...]) -> None:
    assert parse_box(text) == box
    assert parse_like(f"C:\\pictures\\ref one.jpg:{text}") == ("C:\\pictures\\ref one.jpg", box)


def test_regions_as_typed() -> None:
    assert parse_region("0,0,10,0,10,5") == [(0, 0), (10, 0), (10, 5)]
    with pytest.raises(LikewiseError, match="three or more corners"):
        parse_region("0,0,10,0,10,5,7")


def test_pictures_come_once_and_in_natural_order(dishes: Path) -> None:
    found = list(find_pictures(["dishes/dish10.jpg", "dishes", "dishes/*.png"], "count"))
    assert [p.name for p in found] == ["dish10.jpg", "dish1.png", "dish2.png", "dish3.jpg"]


def test_what_a_folder_leaves_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Films, phones' pictures and other things that people take for pictures; what is hidden is nobody's business."""
    names = (
        "a.jpg",
        "b.jfif",
        "c.jpe",
        "d.AVIF",
        "e.jp2",
        "f.heic",
        "g.heic",
        "h.mp4",
        "._a.jpg",
        ".hidden.png",
        "x.txt",
    )
    monkeypatch.setattr("likewise.data.decoders.reads_heif", lambda: False)
    for name in names:
        (tmp_path / name).write_bytes(b"any")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to("nothing.png")
    (tmp_path / "linked.png").symlink_to("a.jpg")
    found = [path.name for path in find_pictures([str(tmp_path)], "count")]
    assert found == ["a.jpg", "b.jfif", "c.jpe", "d.AVIF", "e.jp2", "gone.png", "linked.png"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "2 .heic (a HEIC photograph; pip install 'likewise[heif]'" in said
    for part in ("1 .mp4 (a film", "1 .jpg (a folder)", "1 .png (a pipe or a device)"):
        assert part in said
    assert "hidden" not in said
    assert ".txt" not in said


def test_a_folder_of_nothing_but_films_is_called_that(tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_bytes(b"any")
    with pytest.raises(LikewiseError, match=r"holds no pictures .*only 1 \.mov \(a film"):
        find_pictures([str(tmp_path)], "count")
