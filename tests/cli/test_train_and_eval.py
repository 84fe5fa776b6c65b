"""The two commands, with small stand-ins for the network and the recipe."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from skimage import data

from likewise import predict, recipes
from likewise.cli import main
from likewise.cli.train import _tell_best, descriptions, settings
from likewise.engine.config import TrainConfig
from likewise.errors import LikewiseError
from likewise.recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class Settings(TrainConfig):
    """Settings of a run that is none.

    Attributes:
        data: where the pictures are, which
            nobody looks at.
        canvas: height and width.
    """

    data: Path
    out: Path = Path("runs/pretend")
    canvas: tuple[int, int] = (384, 576)


def pretend(config: Settings) -> Path:
    """Pretend to train.

    Command: likewise train pretend --data DIR
    """
    return config.out / f"{config.steps}-{config.lr}.safetensors"


PRETEND = Recipe("pretend", pretend, Settings)


@pytest.fixture
def only_pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "RECIPES", {"pretend": f"{__name__}:pretend"})
    monkeypatch.setattr(recipes, "recipe", lambda name: PRETEND)


def run(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    return stopped.value.code


def test_settings_are_typed_by_the_recipe():
    given = (
        "--data",
        "d",
        "--steps",
        "100",
        "--lr",
        "1e-4",
        "--no-progress",
        "--canvas",
        "96",
        "144",
        "--schedule=constant",
    )
    assert settings(PRETEND, given) == Settings(
        data=Path("d"), steps=100, lr=1e-4, progress=False, canvas=(96, 144), schedule="constant"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--data", "d", "--step", "3"), r"Unknown option: --step\. Did you mean --steps\?"),
        (("--steps", "3"), "--data requires"),
        (("--data", "d", "--lr", "much"), "Invalid value .* --lr"),
        (("--data", "d", "--schedule", "cosin"), 'Did you mean "cosine"'),
        (("--data", "d", "--steps", "0"), "steps = 0: expected at least 1"),
        (("--data", "d", "e"), "pretend: .*'e'"),
    ],
)
def test_a_wrong_setting_is_an_error_that_helps(given: tuple[str, ...], message: str):
    with pytest.raises(LikewiseError, match=message):
        settings(PRETEND, given)


def test_train_runs_the_recipe_and_prints_where_the_weights_are(only_pretend: None, capsys: pytest.CaptureFixture[str]):
    assert run("train", "pretend", "--data", "d", "--out", "o", "--steps", "7", "--lr", "0.5") == 0
    assert capsys.readouterr().out.strip() == str(Path("o") / "7-0.5.safetensors")


def test_train_lists_recipes_and_settings(only_pretend: None, capsys: pytest.CaptureFixture[str]):
    assert run("train", "--list") == 0
    listed = capsys.readouterr().out
    assert "pretend" in listed
    assert "Pretend to train." in listed
    assert run("train", "pretend", "--list") == 0
    told = capsys.readouterr().out
    assert "Command: likewise train pretend --data DIR" in told
    assert "--batch-size" in told
    assert "to be given" in told
    assert told.index("to be given") < told.index("--batch-size")  # what has to be said comes first


def test_settings_are_described_where_they_are_listed(only_pretend: None, capsys, monkeypatch) -> None:
    assert descriptions(Settings)["data"] == "where the pictures are, which nobody looks at."
    assert descriptions(Settings)["seed"].startswith("of everything random")
    monkeypatch.setenv("COLUMNS", "200")
    assert run("train", "pretend", "--list") == 0
    assert "which nobody looks at" in capsys.readouterr().out


def test_every_setting_of_every_recipe_is_described() -> None:
    for name in recipes.recipe_names():
        settings_of = recipes.recipe(name).settings
        missing = {each.name for each in fields(settings_of)} - set(descriptions(settings_of))
        assert not missing, name


def test_settings_can_be_given_where_none_has_to_be() -> None:
    for name in recipes.recipe_names():
        settings_of = recipes.recipe(name).settings
        if all(each.default is not MISSING or each.default_factory is not MISSING for each in fields(settings_of)):
            made = settings(recipes.recipe(name), ("--out", "runs/other", "--seed", "5"))
            assert made == replace(settings_of(), out=Path("runs/other"), seed=5), name
            assert settings(recipes.recipe(name), ()) == settings_of(), name


def test_without_a_recipe_there_is_a_line_for_each(only_pretend: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train") == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["pretend", "Pretend", "to", "train."]


def test_train_knows_its_real_recipes(capsys: pytest.CaptureFixture[str]):
    assert run("train", "spdcn-fsc14") == 2
    assert "did you mean 'spdcn-fsc147'?" in capsys.readouterr().err


def test_train_tells_what_was_published_beside_what_it_does(capsys: pytest.CaptureFixture[str]):
    assert run("train", "fwb-pascal5i", "--published") == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(word in told for word in ("setting", "published", "ours", "source"))
    assert "weight decay 0.0001 0.0001 main_official.py" in told
    assert run("train", "fwb-lite", "--published") == 2
    assert "fwb-lite repeats no published run" in capsys.readouterr().err


class Ten:
    """Counts ten in every picture."""

    task = "count"

    def count(self, image: np.ndarray, exemplars: object = (), *, text: str | None = None) -> object:
        return type("Result", (), {"count": 10.0, "seconds": 0.5})()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(predict, "load", lambda name: Ten())
    images = []
    for number, count in enumerate((8, 20)):
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / f"{number}.png")
        split = ("train", "val")[number]
        images.append(
            {"id": number, "file_name": f"{number}.png", "count": count, "exemplars": [[1, 1, 3, 3]], "split": split}
        )
    (tmp_path / "annotations.json").write_text(json.dumps({"images": images}))
    return tmp_path


def test_eval_prints_a_table(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run("eval", "any", "--data", str(folder)) == 0
    lines = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert (lines["images"], lines["mae"], lines["nae"], lines["seconds_per_image"]) == ("2", "6", "37.5%", "0.5")


def test_eval_prints_one_json_object(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run("eval", "any", "--data", str(folder), "--split", "val", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["images"], values["mae"], values["nae"]) == (1, 10, 0.5)
    assert values["per_image"][0]["image"] == "1.png"


def test_eval_tells_of_broken_pictures(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "0.png").write_bytes(b"broken")
    assert run("eval", "any", "--data", str(folder)) == 1
    assert "left out: 0.png" in capsys.readouterr().err
    assert run("eval", "any", "--data", str(folder), "--split", "tran") == 2
    assert "did you mean 'train'?" in capsys.readouterr().err


def test_sums_of_a_counter_by_name_are_those_of_the_network_that_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """``--sum`` reaches the counter that is shown what the name finds: its peaks are not snapped to whole things."""
    Image.fromarray(data.coins()).save(tmp_path / "coins.png")
    record = {"id": 1, "file_name": "coins.png", "count": 24, "prompt": "coins"}
    (tmp_path / "annotations.json").write_text(json.dumps({"images": [record]}))
    counts = []
    for options in ([], ["--sum"]):
        assert run("eval", "countx-lite", "--data", str(tmp_path), "--json", *options) == 0
        counts.append(json.loads(capsys.readouterr().out)["per_image"][0]["count"])
    assert counts == pytest.approx([24.0, 22.52], abs=0.05)


def test_the_command_says_which_weights_were_the_best(tmp_path, capsys):
    weights = tmp_path / "model.safetensors"
    _tell_best(weights)
    assert capsys.readouterr().err == ""
    note = {"best": json.dumps({"metric": "mae", "value": 14.3125, "step": 458})}
    save_file({"a": torch.zeros(1)}, tmp_path / "best.safetensors", metadata=note)
    _tell_best(weights)
    said = f"best validation: mae 14.31 at step 458, in {tmp_path / 'best.safetensors'}"
    assert capsys.readouterr().err.strip() == said
