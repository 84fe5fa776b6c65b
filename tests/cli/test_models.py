from __future__ import annotations

import dataclasses
import json
import math

import pytest
from safetensors.torch import save_file

import likewise.weights
from likewise.cli.models import describe, models
from likewise.errors import LikewiseError
from likewise.registry import load_model, model_names, preset
from likewise.weights import file_sha256, save_checkpoint


def test_table_names_every_model(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    models()
    shown = capsys.readouterr().out
    for name in model_names():
        assert name in shown
        assert preset(name).card.licence in shown


def test_json_is_one_object_a_line(capsys):
    models(as_json=True)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [model["name"] for model in told] == model_names()
    assert all(model["card"]["licence"] for model in told)
    assert all(model["prompts"] or model["task"] == "recognize" for model in told)


def test_one_model_shows_its_whole_card(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    models("spdcn")
    shown = capsys.readouterr().out
    card = preset("spdcn").card
    for part in (
        card.paper,
        card.source,
        card.how_to,
        *card.scores.values(),
        "density_factor = 128.0",
        "preprocess.fit = (384, 576)",
    ):
        assert part in shown


def test_parameters_are_those_of_the_published_checkpoint(parity_dir):
    shapes = json.loads((parity_dir / "spdcn.json").read_text())["shapes"]
    assert describe(preset("spdcn"))["parameters"] == sum(math.prod(shape) for shape in shapes.values())


def test_bundled_weights_are_told_from_those_to_fetch(monkeypatch, tmp_path):
    import torch

    assert describe(preset("spdcn"))["bundled"] is False
    monkeypatch.setattr(likewise.weights, "ASSETS", tmp_path)
    save_file({"x": torch.zeros(250_000)}, tmp_path / "x.safetensors")
    made_up = preset("spdcn")
    made_up = type(made_up)(**{**vars(made_up), "card": type(made_up.card)("MIT", "none", file="x.safetensors")})
    told = describe(made_up)
    assert (told["bundled"], told["megabytes"]) == (True, 1.0)


def test_unknown_model_gets_the_nearest_name():
    with pytest.raises(LikewiseError, match="spdcn-lite"):
        models("spdcn-light")


def test_the_config_is_the_one_that_is_loaded():
    for name in ("spdcn-lite", "countx-lite"):
        loaded = dataclasses.asdict(load_model(name)[1].config)
        told = describe(preset(name))
        assert told["knows"] == list(loaded.pop("vocabulary", []))
        assert told["config"] == loaded


def test_a_file_is_a_model_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    tiny = preset("s3n-lite")
    config = dataclasses.replace(tiny.config, classes=2, labels=("ash", "elm"))
    path = save_checkpoint(tmp_path / "trees.safetensors", tiny.model(config))
    models(str(path))
    shown = capsys.readouterr().out
    for part in ("trees", "recognize", f"in {path}", "ash, elm", "classes = 2", file_sha256(path)):
        assert part in shown
    models(str(path), as_json=True)
    assert json.loads(capsys.readouterr().out)["knows"] == ["ash", "elm"]
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    with pytest.raises(LikewiseError, match="not a complete safetensors file"):
        models(str(tmp_path / "broken.safetensors"))
    with pytest.raises(LikewiseError, match="no checkpoint at"):
        models(str(tmp_path / "none.safetensors"))


def test_names_of_photographs_are_told_apart_from_those_of_drawn_things(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    told = describe(preset("countx-lite"))
    assert {"macaw", "avocado", "bird", "red blood cell"} <= set(told["photographs"])
    assert {"heart", "disc"} <= set(told["knows"]) - set(told["photographs"])
    models("countx-lite")
    shown = capsys.readouterr().out
    assert shown.index("knows in photographs") < shown.index("macaw") < shown.index("knows as drawn things")
    classifier = describe(preset("cam-lite"))
    assert {"avocado", "bird"} <= set(classifier["knows"])
    assert "kinds" not in classifier["config"]
    assert classifier["photographs"] == []
