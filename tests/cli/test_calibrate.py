"""``likewise calibrate`` from sets of pictures to weights whose counts have an interval."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise import cli
from likewise.data.open_dataset import open_counting
from likewise.predict import Counter, load
from likewise.preprocess.square_view import SquareView
from likewise.registry import preset
from likewise.weights import save_checkpoint


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders with twelve small pictures each, all of the same dots."""
    folders = []
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        folder = tmp_path_factory.mktemp(name)
        images = []
        for number in range(12):
            pixels = rng.integers(0, 60, (48, 48, 3), dtype=np.uint8)
            pixels[4:24, 4:24] = 255
            Image.fromarray(pixels).save(folder / f"{number}.png")
            images.append(
                {
                    "id": number,
                    "file_name": f"{number}.png",
                    "count": 2 + number // 4,
                    "exemplars": [[4, 4, 24, 24]],
                    "split": "val" if number else "test",
                }
            )
        (folder / "annotations.json").write_text(json.dumps({"images": images, "annotations": []}))
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    lite = preset("spdcn-lite")
    rules = replace(lite.config.inference.preprocess, object_size=16.0)
    network = lite.model(replace(lite.config, inference=replace(lite.config.inference, preprocess=rules)))
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors", network)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*map(str, words)])
    return int(stopped.value.code or 0)


def test_weights_learn_how_far_off_they_are(
    sets: list[Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sure.safetensors"
    first, second = sets
    code = run("calibrate", model, "--data", f"{first}:val", "--data", second, "-o", out)
    assert code == 0, capsys.readouterr().err
    assert "learnt from 23 pictures of 2 sets" in capsys.readouterr().out
    sure, plain = load(out), load(model)
    assert plain.inference.calibration is None
    assert sure.model.config == replace(
        plain.model.config, inference=replace(plain.inference, calibration=sure.inference.calibration)
    )
    before = plain.model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in sure.model.state_dict().items())
    result = sure.count(first / "3.png", [(4, 4, 24, 24)])
    assert result.interval is not None
    assert result.interval[0] <= result.count <= result.interval[1]
    assert run("eval", out, "--data", first, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert {"coverage", "width", "interval_score", "untrusted", "nae_doubtful", "nae_rest", "warned"} <= report.keys()
    assert report["coverage"] >= 0.75


def test_peaks_are_read_as_counts_best(
    sets: list[Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "read.safetensors"
    assert run("calibrate", model, "--data", sets[0], "--data", sets[1], "--settle", "-o", out) == 0
    lines = capsys.readouterr().out.splitlines()
    said = {line.split(",")[0].split(":")[0]: float(line.split()[-1]) for line in lines[:3]}
    assert list(said) == ["sums as they are", "before", "best"]
    assert said["best"] == min(said.values())
    chosen = load(out).inference.snap_peaks
    assert chosen is None or f"one from {chosen[0]:g} to {chosen[1]:g}" in lines[2]


def test_how_boxes_are_meant_and_how_large_things_are_shown_is_kept_with_the_weights(
    sets: list[Path], model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "told.safetensors"
    words = ["calibrate", model, "--data", sets[0], "--data", sets[1], "-o", out, "--limit", 10]
    assert run(*words, "--margin", 2.5, "--object-size", 12) == 0
    before, after = load(model).inference, load(out).inference
    assert (before.margin, before.preprocess.object_size) == (0, 16)
    assert after.margin == 2.5
    assert after.preprocess == replace(before.preprocess, object_size=12)
    large, small = (load(file).count(sets[0] / "3.png", [(4, 4, 24, 24)]).grid.size for file in (model, out))
    assert small == pytest.approx(large * (12 / 16) ** 2, rel=0.1)


def test_an_object_size_that_cannot_be_is_refused(
    sets: list[Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", sets[0], "--data", sets[1], "-o", tmp_path / "x.safetensors", "--limit", 1]
    assert run("calibrate", model, *words, "--object-size", 0) == 2
    assert "at least 1 pixel" in capsys.readouterr().err
    torch.manual_seed(0)
    plain = preset("spdcn-lite")
    rules = replace(plain.config.inference.preprocess, object_size=None)
    network = plain.model(replace(plain.config, inference=replace(plain.config.inference, preprocess=rules)))
    own = save_checkpoint(tmp_path / "own.safetensors", network)
    assert run("calibrate", own, *words, "--object-size", 30) == 2
    assert "does not rescale" in capsys.readouterr().err


def test_one_set_is_not_enough(
    sets: list[Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("calibrate", model, "--data", sets[0], "-o", tmp_path / "x.safetensors", "--limit", 1) == 2
    assert "expected 20 pictures of two sets or more" in capsys.readouterr().err
    assert run("calibrate", "s3n-lite", "--data", sets[0], "-o", tmp_path / "x.safetensors") == 2
    assert not (tmp_path / "x.safetensors").exists()


def test_too_few_pictures_are_told_before_any_is_counted(
    sets: list[Path], model: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(Counter, "count", None)
    out = tmp_path / "x.safetensors"
    assert run("calibrate", model, "--data", sets[0], "--data", sets[1], "-o", out, "--limit", 9) == 2
    assert "18 pictures of 2 sets are too few" in capsys.readouterr().err
    assert run("calibrate", model, "--data", sets[0], "--data", sets[0], "-o", out) == 2
    assert "24 pictures of 1 sets are too few" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Weights that recognise, 24 small pictures of their classes, and three of other things."""
    torch.manual_seed(0)
    lite = preset("s3n-lite")
    config = replace(lite.config, classes=2, labels=("ash", "elm"), view=SquareView(64, 0.0))
    weights = save_checkpoint(tmp_path_factory.mktemp("weights") / "trees.safetensors", lite.model(config), half=True)
    rng = np.random.default_rng(0)
    known, other = tmp_path_factory.mktemp("known"), tmp_path_factory.mktemp("other")
    for number in range(24):
        folder = known / config.labels[number % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    for number in range(3):
        Image.new("RGB", (20, 20), (80 * number, 0, 0)).save(other / f"{number}.png")
    return weights, known, other


def test_a_recogniser_learns_to_say_none_of_these(
    trees: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, known, other = trees
    out = tmp_path / "taught.safetensors"
    assert run("calibrate", weights, "--data", known, "--unknown", other, "-o", out) == 0
    shown = capsys.readouterr().out
    taught, before = load(out), load(weights)
    pictures = sorted(known.glob("*/*.png"))
    values = sorted(taught.recognize(picture).familiarity for picture in pictures)
    assert taught.model.config.open_set.threshold == pytest.approx(values[0], abs=1e-5)
    assert f"{sum(v >= taught.model.config.open_set.threshold for v in values)} of 24 that show one" in shown
    refused = sum(not taught.recognize(picture).known for picture in other.iterdir())
    assert f"{other}: {refused} of 3 are none of these, AUROC " in shown
    assert all(before.recognize(picture).known for picture in other.iterdir())
    state = zip(before.model.state_dict().values(), taught.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in state)
    assert abs(out.stat().st_size - weights.stat().st_size) < 1000  # kept in 16 bits


def test_what_is_for_the_other_task_is_refused(
    sets: list[Path], model: Path, trees: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.safetensors"
    words = ["--data", sets[0], "--data", sets[1], "-o", out]
    assert run("calibrate", model, *words, "--unknown", trees[2]) == 2
    assert "--unknown is for what recognises" in capsys.readouterr().err
    assert run("calibrate", trees[0], "--data", trees[1], "-o", out, "--settle") == 2
    assert "--settle is for counters" in capsys.readouterr().err
    assert run("calibrate", trees[0], "--data", trees[1], "-o", out, "--limit", 5) == 2
    assert "5 pictures are too few" in capsys.readouterr().err
    assert run("calibrate", "fwb-lite", "--data", sets[0], "-o", out) == 2
    assert "fwb-lite is there to segment" in capsys.readouterr().err
    assert not out.exists()


def test_weights_of_three_sets_are_judged_on_each_by_the_others(
    sets: list[Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = sets
    words = ["--data", f"{first}:val", "--data", f"{second}:val", "--data", f"{first}:test", "-o", tmp_path / "x.st"]
    assert run("calibrate", model, *words) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "left out, " in line]
    assert len(said) <= 4
    for line in said:
        assert re.search(r"\d+% held, width [\d.]+, score [\d.]+, \d+% untrusted", line), line


def test_weights_stored_in_half_precision_stay_so(sets: list[Path], model: Path, tmp_path: Path) -> None:
    half = save_checkpoint(tmp_path / "half.safetensors", load(model).model, half=True)
    out = tmp_path / "sure.safetensors"
    assert run("calibrate", half, "--data", sets[0], "--data", sets[1], "-o", out) == 0
    assert abs(out.stat().st_size - half.stat().st_size) < 2000
    before, after = (load(file).model.state_dict() for file in (half, out))
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_the_suite_is_all_sets_of_one_folder(
    sets: list[Path], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "sure.safetensors"
    asked = []

    def two(data: Path, *, by_name: bool) -> dict[str, object]:
        asked.append((data, by_name))
        return {folder.name: lambda folder=folder: open_counting(folder, None, exemplars=3) for folder in sets}

    monkeypatch.setattr("likewise.lab.suite.calibration.sets", two)
    assert run("calibrate", model, "--suite", "calibration", "--data", tmp_path, "-o", out) == 0
    assert "learnt from 24 pictures of 2 sets" in capsys.readouterr().out
    assert asked == [(tmp_path, False)]
    words = ["--suite", "calibration", "--data", sets[0], "--data", sets[1], "-o", out]
    assert run("calibrate", model, *words) == 2
    assert "expected one --data" in capsys.readouterr().err
