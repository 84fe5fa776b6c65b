"""``likewise segment`` as people run it: what an example may be, folders, stops, and what is refused.

The weights are random: what is tested is what happens to the masks, not the masks.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise import cli
from likewise.cli.inputs import parse_support
from likewise.errors import LikewiseError
from likewise.methods.fwb import FWB, FWB_LITE
from likewise.predict import Segmenter
from likewise.preprocess.rules import Preprocess
from likewise.weights import save_checkpoint

SUPPORT = ("--support", "ref.jpg:ref_mask.png")
BEHIND = ["seconds", "model", "settings", "weights", "prompt", "file", "stamp"]
SIZE = (80, 60)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    small = Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3, fit=(48, 48), multiple=1, tile=0)
    network = FWB(replace(FWB_LITE.config, hidden=8, projection=16, boosting=1, preprocess=small))
    return str(save_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors", network))


def pattern(seed: int) -> Image.Image:
    """Coarse blotches: pure noise looks the same everywhere."""
    blotches = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize(SIZE, Image.Resampling.BILINEAR)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of four pictures, one of them broken, and an example beside it; in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = Path("photos")
    folder.mkdir()
    for seed, name in enumerate(("p1.png", "p2.png", "p10.jpg")):
        pattern(seed).save(folder / name)
    (folder / "p3.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much")
    pattern(9).save("ref.jpg")
    mask = np.zeros(SIZE[::-1], bool)
    mask[20:50, 10:50] = True
    Image.fromarray(mask).save("ref_mask.png")
    return folder


class Shown:
    """What a run printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def records(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def named(self) -> list[str]:
        return re.findall(r"^(\S+):", self.out, re.MULTILINE)


@pytest.fixture
def segment(model: str, capsys: pytest.CaptureFixture[str]):
    def run(*words: object) -> Shown:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["segment", *map(str, words), *([] if "--model" in words else ["--model", model])])
        captured = capsys.readouterr()
        return Shown(int(stopped.value.code or 0), captured.out, captured.err)

    return run


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_picture_gets_its_overlay_and_its_mask(photos: Path, segment, model: str) -> None:
    shown = segment(photos / "p1.png", *SUPPORT, "-o", "out")
    expected = Segmenter.load(model).segment(photos / "p1.png", [("ref.jpg", "ref_mask.png")])
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == f"photos/p1.png: {expected.area:.1%}  out/p1_segment.png  out/p1_mask.png\n"
    assert sorted(p.name for p in Path("out").iterdir()) == ["p1_mask.png", "p1_segment.png"]
    with Image.open("out/p1_mask.png") as mask, Image.open("out/p1_segment.png") as drawn:
        assert np.array_equal(np.asarray(mask) != 0, expected.mask)
        assert np.array_equal(np.asarray(drawn), np.asarray(expected.plot()))


def test_a_folder_goes_on_past_a_broken_picture(photos: Path, segment) -> None:
    shown = segment(photos, *SUPPORT, "--csv", "deep/parts.csv", "-o", "out")
    assert shown.code == 1
    assert re.search(r"1 could not be segmented:\n  photos/p3\.jpg[^\n]+\n$", shown.err)
    table = rows("deep/parts.csv")
    assert [row["image"] for row in table] == shown.named == ["photos/p1.png", "photos/p2.png", "photos/p10.jpg"]
    assert list(table[0]) == ["image", "area", "parts", *BEHIND]
    assert sorted(p.name for p in Path("out").iterdir()) == [
        f"p{n}_{end}.png" for n in (10, 1, 2) for end in ("mask", "segment")
    ]
    for row in table:
        with Image.open(f"out/{Path(row['image']).stem}_mask.png") as mask:
            assert float(row["area"]) == pytest.approx(float((np.asarray(mask) != 0).mean()), abs=1e-5)


def test_json_is_one_object_a_line_and_nothing_else(photos: Path, segment) -> None:
    shown = segment(photos, *SUPPORT, "--json")
    assert shown.code == 1
    assert [r["image"] for r in shown.records] == [f"photos/p{n}" for n in ("1.png", "2.png", "3.jpg", "10.jpg")]
    assert list(shown.records[0]) == ["image", "model", "area", "boxes", "seconds"]
    assert list(shown.records[2]) == ["image", "error"]
    assert list(Path().glob("*.csv")) == []


def test_a_run_that_was_stopped_goes_on(photos: Path, segment, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "p3.jpg").unlink()
    honest = Segmenter.segment

    def impatient(self: Segmenter, picture: Path, support: object) -> object:
        if picture.name == "p2.png":
            raise KeyboardInterrupt
        return honest(self, picture, support)

    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, "segment", impatient)
        assert segment(photos, *SUPPORT, "-o", "out").code == 130
    assert [row["image"] for row in rows("out/segments.csv")] == ["photos/p1.png"]
    shown = segment(photos, *SUPPORT, "-o", "out")
    assert (shown.code, shown.named) == (0, ["photos/p2.png", "photos/p10.jpg"])
    assert "1 already segmented, skipped" in shown.err
    Path("out/p2_mask.png").unlink()  # of two drawings one is not enough
    assert segment(photos, *SUPPORT, "-o", "out").named == ["photos/p2.png"]
    assert Path("out/p2_mask.png").exists()
    assert segment(photos, *SUPPORT, "-o", "out").out == ""


def other_picture() -> None:
    pattern(5).save("ref.jpg")


def other_mask() -> None:
    Image.fromarray(np.ones(SIZE[::-1], bool)).save("ref_mask.png")


@pytest.mark.parametrize("change", [other_picture, other_mask])
def test_an_example_that_changed_under_its_name_is_another(photos: Path, segment, change) -> None:
    segment(photos / "p1.png", *SUPPORT, "--csv", "table.csv")
    before = Path("table.csv").read_text()
    change()
    shown = segment(photos / "p1.png", *SUPPORT, "--csv", "table.csv")
    assert shown.code == 2
    assert "table.csv holds results of another prompt" in shown.err
    assert Path("table.csv").read_text() == before


def test_other_examples_never_mix_with_what_is_there(photos: Path, segment) -> None:
    segment(photos / "p1.png", *SUPPORT, "--csv", "table.csv")
    more = ("--support", "photos/p2.png:5,5,40,40")
    assert segment(photos / "p1.png", *SUPPORT, *more, "--csv", "table.csv").code == 2
    assert segment(photos / "p1.png", *SUPPORT, *more, "--csv", "table.csv", "--overwrite").code == 0
    assert len(rows("table.csv")) == 1


@pytest.mark.parametrize(
    ("typed", "support"),
    [
        (["ref.jpg:10,20,50,60"], [("ref.jpg", (10, 20, 50, 60))]),
        (["ref.jpg:@5,5@9,9"], [("ref.jpg", [(5, 5), (9, 9)])]),
        (
            ["photos/p2.png:@70.5,3", "ref.jpg:ref_mask.png"],
            [("photos/p2.png", [(70.5, 3)]), ("ref.jpg", "ref_mask.png")],
        ),
    ],
)
def test_boxes_clicks_and_several_examples(photos: Path, segment, model: str, typed, support: Sequence) -> None:
    shown = segment(photos / "p1.png", *(word for each in typed for word in ("--support", each)), "--json")
    expected = Segmenter.load(model).segment(photos / "p1.png", support).to_dict()
    assert shown.code == 0
    assert {**shown.records[0], "seconds": 0} == {**expected, "seconds": 0}


def test_an_example_is_never_drawn_over(photos: Path, segment) -> None:
    """A folder in which somebody made a mask beside its picture, and in which the results are to lie too."""
    (photos / "p3.jpg").unlink()
    mask = np.zeros(SIZE[::-1], bool)
    mask[5:25, 5:45] = True
    Image.fromarray(mask).save(photos / "p1_mask.png")
    before = (photos / "p1_mask.png").read_bytes()
    words = (photos, "--support", "photos/p1.png:photos/p1_mask.png")
    shown = segment(*words, "-o", "./photos")
    assert shown.code == 2
    assert "photos/p1_mask.png is given as an example and would be drawn over; choose another --output" in shown.err
    assert (photos / "p1_mask.png").read_bytes() == before
    assert segment(*words, "-o", "out").named == ["photos/p1.png", "photos/p2.png", "photos/p10.jpg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (SUPPORT, "no pictures; expected files, folders or globs, such as: likewise segment"),
        (("photos",), "nothing says what to find; show one example with --support ref.jpg:ref_mask.png"),
        (("photos", "--support", "ref.jpg"), "--support ref.jpg: expected a picture and its mask, such as"),
        (("photos", "--support", "ref.jpg:"), "expected a picture and its mask, such as ref.jpg:ref_mask.png"),
        (("photos", "--support", ":ref_mask.png"), "expected a picture and its mask"),
        (("photos", "--support", "ref.jpg:10,20,50"), "expected four numbers X0,Y0,X1,Y1"),
        (("photos", "--support", "ref.jpg:10;20;50;60"), "expected an array (60, 80), a picture file, a box"),
        (("photos", "--support", "ref.jpg:@5"), "--support ref.jpg:@5: expected clicks such as @81,39@120,74"),
        (("photos", "--support", "ref.jpg:@5,5@"), "expected clicks such as"),
        (("photos", "--support", "reff.jpg:ref_mask.png"), "no such file: reff.jpg; did you mean 'ref.jpg'?"),
        (("photos", "--support", "ref.jpg:ref_msk.png"), "no such file: ref_msk.png; did you mean 'ref_mask.png'?"),
        (("photos", "--support", "ref.jpg:large.png"), "large.png is 90 x 60 pixels, its picture 80 x 60"),
        (("photos", *SUPPORT, "--support", "ref.jpg:black.png"), "support[1]: the mask is empty"),
        (("photos", "--support", "ref.jpg:50,20,10,60"), "swapped corners"),
        (("photos", "--support", "ref.jpg:10,20,50,99"), "outside the picture, which is 80 x 60"),
        (("photos", "--support", "ref.jpg:@5,99"), "click (5, 99) lies outside the picture, which is 80 x 60"),
        (("photos", "--support", "photos/p3.jpg:@5,5"), "photos/p3.jpg cannot be read"),
        (("photos", *SUPPORT, "--model", "spdcn-lite"), "spdcn-lite is there to count; to segment, name one of fwb"),
        (("photos/p3.jpg", *SUPPORT), "photos/p3.jpg cannot be read"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(photos: Path, segment, words: tuple[str, ...], message: str) -> None:
    Image.new("L", (90, 60), 1).save("large.png")
    Image.new("L", SIZE).save("black.png")
    shown = segment(*words)
    assert shown.code == 2
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "support"),
    [
        ("ref.jpg:mask.png", ("ref.jpg", "mask.png")),
        ("ref.jpg:-0.5,2.25, 3,4e1", ("ref.jpg", (-0.5, 2.25, 3, 40))),
        ("ref.jpg:@1,2@3.5,4", ("ref.jpg", [(1, 2), (3.5, 4)])),
        ("at 12:30.jpg:mask.png", ("at 12:30.jpg", "mask.png")),
        ("C:\\my photos\\ref.jpg:mask.png", ("C:\\my photos\\ref.jpg", "mask.png")),
        ("C:\\ref.jpg:D:\\masks\\ref.png", ("C:\\ref.jpg", "D:\\masks\\ref.png")),
        ("ref.jpg:c:/masks/ref.png", ("ref.jpg", "c:/masks/ref.png")),
        ("C:/ref.jpg:@5,5", ("C:/ref.jpg", [(5, 5)])),
        ("C:\\ref.jpg:1,2,3,4", ("C:\\ref.jpg", (1, 2, 3, 4))),
    ],
)
def test_examples_as_typed(text: str, support: tuple[str, object]) -> None:
    assert parse_support(text) == support


@pytest.mark.parametrize("text", ["C:\\ref.jpg", "c:/ref.jpg", "", ":", "C:\\ref.jpg:"])
def test_a_drive_is_no_picture(text: str) -> None:
    with pytest.raises(LikewiseError, match="expected a picture and its mask"):
        parse_support(text)


def test_a_mask_named_like_a_box_is_a_file_where_there_is_one(photos: Path) -> None:
    Path("1,2,3,4").write_bytes(Path("ref_mask.png").read_bytes())
    assert parse_support("ref.jpg:1,2,3,4") == ("ref.jpg", "1,2,3,4")
