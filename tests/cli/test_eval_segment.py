"""``likewise eval`` of segmenters: folds, shots, limits, and a table that adds up; the weights are random."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise import cli
from likewise.data.masks import Marking, mark_thing
from likewise.methods.fwb import FWB, FWB_LITE
from likewise.predict import Segmenter
from likewise.preprocess.rules import Preprocess
from likewise.weights import save_checkpoint

#: Class -> name, and the folds that keep them for testing.
KINDS = {1: "bag", 2: "hat", 3: "coat", 4: "skirt"}
FOLDS = ((1, 2), (3, 4))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    small = Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3, fit=(48, 48), multiple=1, tile=0)
    network = FWB(replace(FWB_LITE.config, hidden=8, projection=16, boosting=1, preprocess=small))
    return str(save_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors", network))


@pytest.fixture(scope="module")
def wardrobe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in two folds; each shows class 1 or 2 on the left and 3 or 4 on the right, in its colour."""
    root = tmp_path_factory.mktemp("wardrobe")
    rng, images = np.random.default_rng(0), []
    for i in range(12):
        pixels, label = rng.integers(0, 60, (36, 48, 3), dtype=np.uint8), np.zeros((36, 48), np.uint8)
        for kind, left in ((1 + i % 2, 4), (3 + i % 2, 28)):
            place = (slice(6, 30), slice(left, left + 12 + i % 3))
            label[place] = kind
            pixels[place] += np.array([[60 * kind % 190, 190 - 40 * kind, 30]], np.uint8)
        label[:2] = 255
        Image.fromarray(pixels).save(root / f"{i}.png")
        Image.fromarray(label).save(root / f"{i}_label.png")
        shares = {str(kind): float((label == kind).mean()) for kind in KINDS}
        split = "train" if i < 4 else "val"
        images.append({"image": f"{i}.png", "label": f"{i}_label.png", "split": split, "class_fraction": shares})
    folds = [{"fold": f, "novel": [{"id": k, "name": KINDS[k]} for k in novel]} for f, novel in enumerate(FOLDS)]
    (root / "index.json").write_text(json.dumps({"images": images}))
    (root / "folds.json").write_text(json.dumps({"min_fraction": 0.005, "folds": folds}))
    return root


@pytest.fixture
def evaluated(model: str, wardrobe: Path, capsys: pytest.CaptureFixture[str]):
    def run(*words: object, data: Path = wardrobe) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["eval", model, "--data", str(data), *map(str, words)])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


def masks_of(name: str, root: Path, kind: int) -> np.ndarray:
    """(H, W): 1, 0, 255 of a class in a picture, read anew."""
    label = np.asarray(Image.open(root / name.replace(".png", "_label.png")))
    return np.where(label == 255, 255, label == kind)


def test_json_holds_every_fold_and_class_and_they_add_up(evaluated, wardrobe: Path, model: str) -> None:
    """Intersections and unions of every episode are counted again, from the pictures that are named."""
    code, out, err = evaluated("--limit", 5, "--json")
    held = json.loads(out)
    assert (code, err) == (0, "")
    assert (held["images"], held["errors"]) == (10, [])
    assert {f: set(each["per_class"]) for f, each in held["folds"].items()} == {
        "0": {"bag", "hat"},
        "1": {"coat", "skirt"},
    }
    segmenter, ids = Segmenter.load(model), {name: kind for kind, name in KINDS.items()}
    counts = {name: [0, 0] for name in KINDS.values()}
    for episode in held["per_image"]:
        (support,), kind = episode["support"], ids[episode["kind"]]
        example = masks_of(support, wardrobe, kind)
        found = segmenter.segment(wardrobe / episode["image"], [(wardrobe / support, example == 1)]).mask
        truth = masks_of(episode["image"], wardrobe, kind)
        both, either = (found & (truth == 1)).sum(), ((found | (truth == 1)) & (truth != 255)).sum()
        assert episode["iou"] == pytest.approx(both / either)
        counts[episode["kind"]][0] += int(both)
        counts[episode["kind"]][1] += int(either)
    for fold, kinds in enumerate(FOLDS):
        each = held["folds"][str(fold)]
        expected = {KINDS[k]: counts[KINDS[k]][0] / counts[KINDS[k]][1] for k in kinds}
        assert each["per_class"] == pytest.approx(expected)
        assert each["miou"] == pytest.approx(np.mean(list(expected.values())))
    for key in ("miou", "boundary_iou", "fb_iou"):
        assert held[key] == pytest.approx(np.mean([each[key] for each in held["folds"].values()]))
        assert math.isfinite(held[key])


def test_the_table_shows_the_mean_and_each_class(evaluated) -> None:
    held = json.loads(evaluated("--limit", 3, "--json")[1])
    code, out, _ = evaluated("--limit", 3)
    lines = {line.split()[0]: line.split()[1] for line in out.splitlines() if len(line.split()) > 1}
    assert code == 0
    assert lines["images"] == "6"
    assert lines["miou"] == f"{held['miou']:.1%}"
    for fold in held["folds"].values():
        assert {name: lines[name] for name in fold["per_class"]} == {
            name: f"{share:.1%}" for name, share in fold["per_class"].items()
        }
    assert "IoU by class, fold 1" in out


def test_one_fold_more_shots_and_another_split(evaluated) -> None:
    held = json.loads(evaluated("--fold", 1, "--shots", 3, "--limit", 4, "--json")[1])
    assert set(held["folds"]) == {"1"}
    assert held["miou"] == held["folds"]["1"]["miou"]
    for episode in held["per_image"]:
        assert (episode["fold"], len(set(episode["support"]))) == (1, 3)
        assert episode["image"] not in episode["support"]
        assert episode["kind"] in ("coat", "skirt")
        assert int(episode["image"].removesuffix(".png")) >= 4
    trained = json.loads(evaluated("--fold", 0, "--split", "train", "--limit", 4, "--json")[1])
    assert all(int(episode["image"].removesuffix(".png")) < 4 for episode in trained["per_image"])


def test_examples_may_be_shown_by_a_box_or_a_click(evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def marked(mask: np.ndarray, marking: Marking) -> object:
        asked.append(marking)
        return mark_thing(mask, marking)

    monkeypatch.setattr("likewise.engine.segment_eval.mark_thing", marked)
    for words, marking in (((), "mask"), (("--support", "box"), "box"), (("--support", "click"), "click")):
        assert evaluated("--fold", 0, "--limit", 2, "--shots", 2, "--json", *words)[0] == 0
        assert asked == [marking] * 4
        asked.clear()


def test_the_seed_draws_the_episodes(evaluated) -> None:
    first, again, other = (
        [
            (episode["image"], episode["support"], episode["iou"])
            for episode in json.loads(evaluated("--fold", 0, "--limit", 8, "--seed", seed, "--json")[1])["per_image"]
        ]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert [episode[:2] for episode in first] != [episode[:2] for episode in other]
    plain = json.loads(evaluated("--fold", 0, "--limit", 8, "--json")[1])["per_image"]
    assert [episode["image"] for episode in plain] == [image for image, *_ in first]


def test_what_cannot_be_read_is_left_out_and_said(evaluated, wardrobe: Path, tmp_path: Path) -> None:
    for path in wardrobe.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "5.png").write_bytes(b"broken")
    code, out, err = evaluated("--fold", 0, "--limit", 16, "--json", data=tmp_path)
    held = json.loads(out)
    assert code == 1
    assert held["images"] + len(held["errors"]) == 16
    assert "5.png" in held["errors"][0]["error"]
    code, _, err = evaluated("--fold", 0, "--limit", 16, data=tmp_path)
    assert code == 1
    assert err.count("left out: ") == len(held["errors"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fold", 2), "fold = 2: expected 0 to 1"),
        (("--shots", 0), "shots = 0: expected at least 1"),
        (("--limit", 0), "--limit 0: expected at least 1"),
        (("--split", "tran"), "has no split 'tran'; did you mean 'train'?"),
        (("--exemplars", 2), "--exemplars is not for a model that is there to segment"),
    ],
)
def test_what_cannot_be_asked_is_refused(evaluated, words: tuple[object, ...], message: str) -> None:
    code, out, err = evaluated(*words)
    assert (code, out) == (2, "")
    assert message in err


def test_a_folder_of_another_kind_is_refused(evaluated, tmp_path: Path) -> None:
    code, _, err = evaluated(data=tmp_path)
    assert code == 2
    assert "has no labelled pictures; expected labels in a folder (index.json + folds.json)" in err
    assert "index.json" in err
