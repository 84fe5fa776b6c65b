from __future__ import annotations

import json
import math

import pytest
from safetensors.torch import save_file

import likewise.weights
from likewise.cli.models import describe, models
from likewise.errors import LikewiseError
from likewise.registry import model_names, preset


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
