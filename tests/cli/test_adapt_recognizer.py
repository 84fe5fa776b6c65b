"""``likewise adapt`` on a folder a name, and ``likewise recognize`` with the file that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from likewise import cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four cuttings each of bricks and of grass."""
    for name, whole in (("brick", data.brick()), ("grass", data.grass())):
        (tmp_path / "materials" / name).mkdir(parents=True)
        for number in range(4):
            part = whole[128 * number : 128 * number + 128, :128]
            Image.fromarray(np.repeat(part[..., None], 3, axis=2)).save(tmp_path / "materials" / name / f"{number}.png")
    return tmp_path / "materials"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``likewise`` followed by these words."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    told = capsys.readouterr()
    return int(ended.value.code or 0), " ".join(told.out.split()), " ".join(told.err.split())


def test_a_folder_a_name_teaches_a_recogniser(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    card = tmp_path / "mine.safetensors"
    code, told, _ = run(capsys, "adapt", "cam-lite", "--data", folder, "-o", card)
    assert code == 0
    assert "2 names, taught by 8 pictures" in told
    assert "too few pictures to learn when to say none of these" in told
    _, told, _ = run(capsys, "recognize", folder / "grass" / "0.png", "--model", card, "--json")
    assert json.loads(told)["label"] == "grass"
    assert "2 names, taught by 8 pictures" in run(capsys, "models", card)[1]


def test_as_json_it_says_which_pictures_were_right(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    card = tmp_path / "mine.safetensors"
    told = json.loads(run(capsys, "adapt", "cam-lite", "--data", folder, "-o", card, "--json")[1])
    assert (told["file"], told["base"], told["names"]) == (str(card), "cam-lite", ["brick", "grass"])
    assert told["right"] == sum(each["truth"] == each["found"] for each in told["pictures"])
    assert len(told["pictures"]) == 8


def test_options_of_counters_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, _, told = run(capsys, "adapt", "cam-lite", "--data", folder, "-o", tmp_path / "a.safetensors", "--limit", 3)
    assert code != 0
    assert "--limit is for counters; cam-lite recognises" in told
