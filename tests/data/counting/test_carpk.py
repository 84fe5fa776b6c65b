"""CARPK's and PUCPR+'s own layout, on small folders of the same form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.cli import main
from likewise.data.counting.carpk import CARPK, typical_boxes
from likewise.errors import LikewiseError

CARS = {
    "20161225_TPZ_00001": "10 20 30 28 1\n40 20 52 44 1\n5 40 25 56 1\n",
    "20161225_TPZ_00002": "0 0 16 9 1\n",
    "20160331_NTU_00011": "1 1 11 11 1\n\n20 20 41 30 1",
}


def written(data: Path, ending: str = ".png") -> Path:
    for name in ("Images", "Annotations", "ImageSets"):
        (data / name).mkdir(parents=True)
    for stem, text in CARS.items():
        (data / "Annotations" / f"{stem}.txt").write_text(text)
        pixels = np.full((60, 80, 3), len(text), np.uint8)
        Image.fromarray(pixels).save(data / "Images" / f"{stem}{ending}")
    first, *rest = CARS
    (data / "ImageSets" / "train.txt").write_text("\n".join(rest) + "\n")
    (data / "ImageSets" / "test.txt").write_text(first + "\n")
    return data


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    return written(tmp_path / "CARPK_devkit" / "data").parent


def test_a_sample_is_what_its_lines_say(devkit: Path):
    data = CARPK(devkit, "test")
    assert data.names == ("20161225_TPZ_00001.png",)
    sample = data[0]
    assert sample.boxes.tolist() == [[10, 20, 30, 28], [40, 20, 52, 44], [5, 40, 25, 56]]
    assert sample.points.tolist() == [[20, 24], [46, 32], [15, 48]]
    assert (sample.count, sample.prompt, sample.name) == (3, "cars", "20161225_TPZ_00001.png")
    assert sample.image.shape == (3, 60, 80)
    assert sample.exemplars.shape == (0, 4)


@pytest.mark.parametrize("below", [".", "..", "data"])
@pytest.mark.parametrize(("kit", "ending"), [("CARPK_devkit", ".png"), ("PUCPR+_devkit", ".jpg")])
def test_the_devkit_what_it_is_in_and_its_data_are_all_found(kit: str, ending: str, below: str, tmp_path: Path):
    written(tmp_path / kit / "data", ending)
    assert [len(CARPK(tmp_path / kit / below, split)) for split in ("train", "test", None)] == [2, 1, 3]


def test_a_folder_with_both_devkits_is_not_guessed_at(devkit: Path):
    written(devkit.parent / "PUCPR+_devkit" / "data")
    with pytest.raises(LikewiseError, match=r"holds CARPK_devkit/data and PUCPR\+_devkit/data; give one of them"):
        CARPK(devkit.parent)


def test_exemplars_are_the_boxes_nearest_to_the_median_size(devkit: Path):
    sizes = [160**0.5, 288**0.5, 320**0.5]
    assert np.median(sizes) == pytest.approx(288**0.5)
    assert CARPK(devkit, "test", exemplars=1)[0].exemplars.tolist() == [[40, 20, 52, 44]]
    assert CARPK(devkit, "test", exemplars=2)[0].exemplars.tolist() == [[40, 20, 52, 44], [5, 40, 25, 56]]
    assert len(CARPK(devkit, "test", exemplars=9)[0].exemplars) == 3
    same = torch.tensor([[0.0, 0, 4, 4], [9, 0, 13, 4], [0, 9, 4, 13]])
    assert torch.equal(typical_boxes(same, 2), same[:2])
    with pytest.raises(LikewiseError, match="exemplars = -1"):
        CARPK(devkit, exemplars=-1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3 4", "expected five integers"),
        ("1 2 3 4 1 1", "expected five integers"),
        ("1 2 3 4.5 1", "expected five integers"),
        ("car 2 3 4 1", "expected five integers"),
        ("9 2 9 4 1", "expected x0 < x1 and y0 < y1"),
        ("1 6 9 4 1", "expected x0 < x1 and y0 < y1"),
    ],
)
def test_a_line_that_is_no_car_is_named(devkit: Path, line: str, message: str):
    path = devkit / "data" / "Annotations" / "20161225_TPZ_00002.txt"
    path.write_text(f"0 0 16 9 1\n{line}\n")
    with pytest.raises(LikewiseError, match=rf"20161225_TPZ_00002\.txt, line 2 is '{line}'; {message}"):
        CARPK(devkit)
    assert len(CARPK(devkit, "test")) == 1  # which does not hold it


def test_boxes_are_cut_at_the_border_and_must_be_in_the_picture(devkit: Path):
    path = devkit / "data" / "Annotations" / "20161225_TPZ_00001.txt"
    path.write_text("-4 50 10 64 1\n70 10 90 20 1\n")
    assert CARPK(devkit, "test")[0].boxes.tolist() == [[0, 50, 10, 60], [70, 10, 80, 20]]
    path.write_text("10 10 20 20 1\n80 10 90 20 1\n")
    with pytest.raises(LikewiseError, match=r"is 80 x 60 pixels; box 2 .* lies outside"):
        CARPK(devkit, "test")[0]


def test_what_is_missing_is_told(devkit: Path, tmp_path: Path):
    data = devkit / "data"
    with pytest.raises(LikewiseError, match=r"no split 'tests'; did you mean 'test'\?"):
        CARPK(devkit, "tests")
    (data / "Images" / "20161225_TPZ_00001.png").unlink()
    with pytest.raises(LikewiseError, match=r"has no 20161225_TPZ_00001\.png; did you mean"):
        CARPK(devkit, "test")
    (data / "Annotations" / "20161225_TPZ_00002.txt").unlink()
    with pytest.raises(LikewiseError, match=r"has no 20161225_TPZ_00002\.txt"):
        CARPK(devkit, "train")
    (data / "Annotations").rename(data / "Anotations")
    with pytest.raises(LikewiseError, match=r"has no Annotations, which CARPK .* did you mean 'Anotations'"):
        CARPK(devkit)
    with pytest.raises(LikewiseError, match="has no ImageSets"):
        CARPK(tmp_path / "nothing")
    for name in ("train", "test"):
        (data / "ImageSets" / f"{name}.txt").write_text("\n")
    (data / "Anotations").rename(data / "Annotations")
    with pytest.raises(LikewiseError, match="names no picture"):
        CARPK(devkit)


def test_eval_counts_it_from_as_many_boxes_as_are_asked_for(devkit: Path, capsys: pytest.CaptureFixture[str]):
    words = ["eval", "spdcn-lite", "--data", str(devkit), "--split", "test", "--exemplars", "2", "--json"]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    told = json.loads(capsys.readouterr().out)
    assert stopped.value.code in (0, None)
    assert (told["images"], told["per_image"][0]["truth"], told["per_image"][0]["prompt"]) == (1, 3, "cars")
