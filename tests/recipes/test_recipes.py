"""Recipes: each can be found, says what to expect, and is what was published."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from likewise import lazy
from likewise.engine.config import TrainConfig
from likewise.errors import LikewiseError
from likewise.recipes import recipe, recipe_names, spdcn_fsc147
from likewise.types import CountBatch, PromptBatch
from likewise.weights import read_checkpoint


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_says_how_it_is_run_and_what_comes_of_it(name: str):
    found = recipe(name)
    assert found.name == name
    assert is_dataclass(found.settings)
    assert issubclass(found.settings, TrainConfig)
    assert {"data", "out"} <= {f.name for f in fields(found.settings)}
    assert re.search(rf"^Command:\s(.*\n)*?.*likewise train {name} --", found.about, re.MULTILINE)
    assert re.search(r"^Time: ", found.about, re.MULTILINE)
    assert re.search(r"^Score: ", found.about, re.MULTILINE)


def test_an_unknown_recipe_gets_the_nearest_name():
    with pytest.raises(LikewiseError, match=r"no recipe named 'spdcn-fsc'; did you mean 'spdcn-fsc147'\?"):
        recipe("spdcn-fsc")


def test_without_the_training_extra_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning.pytorch")

    monkeypatch.setattr(lazy.importlib, "import_module", missing)
    with pytest.raises(LikewiseError, match=r"in likewise's folder: pip install '\.\[train\]'"):
        recipe("spdcn-fsc147")


def test_spdcn_fsc147_is_as_published():
    settings = spdcn_fsc147.SpdcnFsc147(data=Path("FSC147"))
    assert (settings.lr, settings.weight_decay, settings.clip) == (5e-5, 0.95, 5)
    assert (settings.batch_size, settings.seed, settings.warmup, settings.ema) == (16, 0, 0, 0)
    epoch = -(-3659 // 16)
    assert settings.steps == 100 * epoch
    assert [settings.rate(e * epoch) for e in (0, 1, 99)] == pytest.approx([1, 0.95, 0.95**99])
    preprocess = spdcn_fsc147.preset("spdcn").config.inference.preprocess
    assert preprocess.mean == (0.5635, 0.5066, 0.4591)
    assert preprocess.std == (0.2839, 0.2805, 0.3042)


class Flat(nn.Module):
    """The same density everywhere; remembers what it was shown."""

    method = "flat"
    task = "count"
    config = TrainConfig()

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(1e-4))
        self.shown: list[tuple[tuple[int, ...], list[int]]] = []

    def forward(self, image: Tensor, prompt: PromptBatch) -> Tensor:
        self.shown.append((tuple(image.shape), [len(e) for e in prompt.exemplars]))
        return self.level.expand(len(image), 1, *image.shape[2:])

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        truth = torch.tensor([float(len(p)) for p in batch.points])
        return {"total": (density.sum(dim=(1, 2, 3)) - truth).abs()}


def test_spdcn_fsc147_runs_on_the_fixture(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = Flat()
    monkeypatch.setattr(spdcn_fsc147, "preset", lambda name: type("Preset", (), {"build": lambda self: model})())
    settings = spdcn_fsc147.SpdcnFsc147(
        data=data_dir / "fsc147" / "mini",
        out=tmp_path,
        steps=2,
        batch_size=2,
        val_every=2,
        workers=0,
        accelerator="cpu",
        progress=False,
    )
    path = spdcn_fsc147.spdcn_fsc147(settings)
    assert path.parent == tmp_path
    assert model.shown == [((2, 3, 384, 576), [3, 3])] * 2 + [((1, 3, 384, 576), [3])]
    # both training pictures, 42 and 49 nuclei, in each of two steps; Adam moves by the learning rate
    assert read_checkpoint(path).state["level"].item() > 1e-4
    assert (tmp_path / "val.csv").read_text().startswith("step,loss,mae")
