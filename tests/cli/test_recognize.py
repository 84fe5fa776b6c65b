"""``likewise recognize`` and ``likewise eval`` of recognisers as people run them; the weights are random."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise import cli
from likewise.methods.s3n import S3N
from likewise.predict import Recognizer
from likewise.preprocess.square_view import SquareView
from likewise.registry import preset
from likewise.weights import save_checkpoint

BEHIND = ["seconds", "model", "settings", "weights", "prompt", "file", "stamp"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    config = replace(preset("s3n-lite").config, classes=3, labels=("ash", "elm", "oak"), view=SquareView(64, 0.0))
    return str(save_checkpoint(tmp_path_factory.mktemp("weights") / "trees.safetensors", S3N(config)))


@pytest.fixture
def leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures and a broken one."""
    monkeypatch.chdir(tmp_path)
    folder = Path("leaves")
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a1.png", "a2.png", "a10.png"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / name)
    (folder / "a3.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def test_one_picture(leaves: Path, model: str, capsys) -> None:
    code, out, err = run(capsys, "recognize", leaves / "a1.png", "--model", model, "-o", "out")
    expected = Recognizer.load(model).recognize(leaves / "a1.png")
    assert (code, err) == (0, "")
    assert out == f"leaves/a1.png: {expected.label} ({expected.probability:.1%})  out/a1_recognize.png\n"
    with Image.open("out/a1_recognize.png") as drawn:
        assert drawn.size == expected.plot().size


def test_json_is_one_object_a_line(leaves: Path, model: str, capsys) -> None:
    code, out, _ = run(capsys, "recognize", leaves, "--model", model, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [r["image"] for r in records] == [f"leaves/a{n}" for n in ("1.png", "2.png", "3.jpg", "10.png")]
    assert list(records[2]) == ["image", "error"]
    assert list(records[0]) == ["image", "model", "label", "nearest", "probability", "top", "seconds"]


def test_a_folder_goes_on_and_is_taken_up_again(leaves: Path, model: str, capsys) -> None:
    code, _, err = run(capsys, "recognize", leaves, "--model", model, "-o", "out")
    assert code == 1
    assert "1 could not be recognised" in err
    with Path("out/names.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["leaves/a1.png", "leaves/a2.png", "leaves/a10.png"]
    assert list(rows[0]) == ["image", "label", "nearest", "probability", "runners_up", *BEHIND]
    assert len(rows[0]["runners_up"].split("; ")) == 2
    Image.new("RGB", (60, 60)).save(leaves / "a3.jpg")
    code, out, err = run(capsys, "recognize", leaves, "--model", model, "-o", "out")
    assert code == 0
    assert out.startswith("leaves/a3.jpg: ")
    assert "3 already recognised, skipped" in err


def test_a_counter_does_not_recognise(leaves: Path, capsys) -> None:
    code, _, err = run(capsys, "recognize", leaves, "--model", "spdcn-lite")
    assert code == 2
    assert "spdcn-lite is there to count; to recognize, name one of s3n" in err


def test_eval_prints_the_shares_and_json_every_picture(tmp_path: Path, model: str, capsys) -> None:
    for label in ("ash", "elm"):
        (tmp_path / label).mkdir()
        for i in range(3):
            Image.new("RGB", (40, 40), (60 * i, 90, 20)).save(tmp_path / label / f"{i}.png")
    code, out, _ = run(capsys, "eval", model, "--data", tmp_path, "--json")
    record = json.loads(out)
    assert code == 0
    assert (record["images"], record["top5"], len(record["per_image"])) == (6, 1.0, 6)
    assert record["top1"] == pytest.approx(sum(p["rank"] == 0 for p in record["per_image"]) / 6)
    code, out, _ = run(capsys, "eval", model, "--data", tmp_path, "--limit", 2)
    assert "top1" in out
    assert "2  " in out
    code, _, err = run(capsys, "eval", model, "--data", tmp_path, "--category", "ash")
    assert code == 2
    assert "--category is not for a model that is there to recognize" in err


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    """Splits val and test of two kinds."""
    rng = np.random.default_rng(1)
    for split, label in (("val", "ash"), ("val", "oak"), ("test", "oak")):
        (tmp_path / split / label).mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / label / f"{i}.png")
    return tmp_path


def test_eval_names_the_classes_recognised_worst(trees: Path, model: str, capsys) -> None:
    """Of a network that always says the same, one class is always right and the other never."""
    code, out, _ = run(capsys, "eval", model, "--data", trees, "--split", "val", "--json")
    record = json.loads(out)
    assert (code, record["images"], set(record["per_class"])) == (0, 4, {"ash", "oak"})
    for label, share in record["per_class"].items():
        ranks = [p["rank"] for p in record["per_image"] if p["truth"] == label]
        assert share == pytest.approx(sum(rank == 0 for rank in ranks) / 2)
    _, out, _ = run(capsys, "eval", model, "--data", trees, "--split", "val")
    shown = out.partition("recognised worst")[2].split()
    worst = [(f"{share:.1%}", label) for label, share in record["per_class"].items() if share < 1]
    assert worst
    assert list(zip(shown[::2], shown[1::2], strict=True)) == worst


def test_eval_leaves_out_what_is_broken_and_says_so(trees: Path, model: str, capsys) -> None:
    (trees / "test" / "oak" / "0.png").write_bytes(b"broken")
    code, out, err = run(capsys, "eval", model, "--data", trees, "--split", "test", "--json")
    record = json.loads(out)
    assert (code, record["images"]) == (1, 1)
    assert [each["image"] for each in record["errors"]] == ["test/oak/0.png"]
    code, _, err = run(capsys, "eval", model, "--data", trees, "--split", "test")
    assert code == 1
    assert err.startswith("left out: test/oak/0.png: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "tst"), "has no split 'tst'; did you mean 'test'?"),
        (("--limit", 0), "--limit 0: expected at least 1"),
        (("--shots", 1), "--shots is not for a model that is there to recognize"),
    ],
)
def test_eval_refuses_what_cannot_be_asked(trees: Path, model: str, capsys, words, message: str) -> None:
    code, out, err = run(capsys, "eval", model, "--data", trees, *words)
    assert (code, out) == (2, "")
    assert message in err


def test_eval_refuses_names_the_model_does_not_know(trees: Path, model: str, capsys) -> None:
    (trees / "val" / "ash").rename(trees / "val" / "elmm")
    code, _, err = run(capsys, "eval", model, "--data", trees)
    assert code == 2
    assert "elmm" in err
    assert "did you mean 'elm'?" in err
