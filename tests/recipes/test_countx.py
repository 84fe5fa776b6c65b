"""The recipes of CounTX: the lite one from scenes to weights that count by name, the published one as published."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("lightning", reason="training needs the [train] extra")

from likewise.data.counting.by_text import TextPromptDataset, known_names
from likewise.data.counting.folder import CountingFolder
from likewise.errors import LikewiseError
from likewise.methods.countx import Config, CounTX
from likewise.methods.countx.lite import COUNTX_LITE_CONFIG, CounTXLite
from likewise.nn.clip import ClipConfig
from likewise.predict import load
from likewise.recipes import countx_fsc147, recipe
from likewise.recipes.countx_lite import go_on_from, start_from_statistics, vocabulary_of
from likewise.scenes import SceneConfig, write_scenes
from likewise.types import PromptBatch
from likewise.vocabulary import vocabulary
from likewise.weights import save_checkpoint

QUICK = {"steps": 2, "batch_size": 2, "workers": 0, "progress": False, "accelerator": "cpu", "val_every": 2}
#: Counting by the network's own density.
ALONE = replace(COUNTX_LITE_CONFIG.inference, counted_by="")
SMALL = Config(
    clip=ClipConfig(32, 8, 32, 2, 2, 32, 2, 2, 32),
    width=32,
    heads=2,
    decoder=(16, 16),
    window=64,
    decoder_grid=16,
    stride=32,
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    config = SceneConfig(seed=5, side=(160, 200), objects=(6, 12), size=(16.0, 30.0), emoji=False)
    write_scenes(replace(config, two_kinds=True, second_share=1.0), 3, folder, 1)
    return folder


@pytest.fixture(scope="module")
def assortment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assortment")
    config = SceneConfig.assortment()
    write_scenes(replace(config, seed=6, side=(160, 200), kinds=(4, 8), size=(16.0, 30.0), emoji=False), 2, folder, 1)
    return folder


def test_the_lite_recipe_trains_and_its_weights_count_by_name(scenes, assortment, data_dir, tmp_path):
    lite = recipe("countx-lite")
    quick = {**QUICK, "width": 32, "crop_size": 96, "val_batch_size": 32}
    settings = lite.settings(
        data=data_dir, scenes=(scenes,), assortments=(assortment,), val_scenes=(scenes,), out=tmp_path, **quick
    )
    weights = lite.run(settings)
    with (tmp_path / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2]
    assert all(math.isfinite(float(row[name])) for row in rows for name in ("loss", "density", "match", "naming"))
    sample = CountingFolder(scenes)[0]
    counter = load(weights)
    assert math.isfinite(counter.count(sample.image, text=sample.prompt).count)
    with pytest.raises(LikewiseError, match="no word of 'zeppelin' is known"):
        counter.count(sample.image, text="zeppelin")


def test_names_are_known_from_statistics_before_any_training(scenes, data_dir):
    """The place of a thing is nearer to its own name than to the other kind's in the picture, mostly."""
    folder = CountingFolder(scenes, targets="all")
    data = TextPromptDataset([folder], seed=1, absent=0.0, varied=False)
    names = vocabulary(known_names([folder]))
    torch.manual_seed(0)
    model = CounTXLite(replace(COUNTX_LITE_CONFIG, vocabulary=names))
    model.load_trunk(load_file(data_dir / "weights" / "mobilenetv2_100.safetensors"))

    def right():
        model.eval()
        shares = []
        with torch.inference_mode():
            for sample in (data[i] for i in range(6)):
                things = sample.things
                features = model.tower(model.normalised(sample.image[None].float() / 255))
                columns, rows = (things.points / 8).long().unbind(1)
                places = model.similarity(features, model.encode(things.names[:1])).places[0, :, rows, columns]
                known = model.similarity.unit(model.encode(things.names))
                shares.append(((known @ places).argmax(0) == things.kinds).float().mean())
        return float(torch.stack(shares).mean())

    before = right()
    start_from_statistics(model, data, 6)
    assert right() > max(0.8, before)


def test_countx_fsc147_is_as_published(tmp_path):
    settings = countx_fsc147.CountxFsc147(data=tmp_path)
    assert (settings.lr, settings.weight_decay, settings.beta2, settings.batch_size) == (6.25e-6, 0.05, 0.95, 8)
    epoch = 3659 // 8
    assert (settings.steps, settings.warmup) == (1000 * epoch, 10 * epoch)
    # by fractions of an epoch: up in a line, then down half a cosine over what is left
    for at in (0, 0.25, 3, 9.5):
        assert settings.rate(round(at * epoch)) == pytest.approx(at / 10, abs=2e-4)
    for at in (10, 10.5, 100, 505, 999.5):
        expected = (1 + math.cos(math.pi * (at - 10) / 990)) / 2
        assert settings.rate(round(at * epoch)) == pytest.approx(expected, abs=1e-5)
    config = countx_fsc147.preset("countx").config
    assert (config.width, config.layers, config.heads, config.window, config.density_factor) == (512, 2, 16, 384, 60)


@pytest.mark.parametrize("prompts", ["texts", "classes"])
def test_countx_fsc147_runs_on_the_fixture(data_dir, tmp_path, monkeypatch, prompts):
    asked = []

    class Listening(CounTX):
        def encode(self, texts):
            asked.extend(texts)
            return super().encode(texts)

    monkeypatch.setattr(countx_fsc147, "preset", lambda name: type("Preset", (), {"config": SMALL}))
    monkeypatch.setattr(countx_fsc147, "CounTX", Listening)
    data = data_dir / "fsc147" / "mini"
    settings = countx_fsc147.CountxFsc147(data=data, out=tmp_path, pretrained=False, prompts=prompts, **QUICK)
    path = countx_fsc147.countx_fsc147(settings)
    assert path.parent == tmp_path
    assert (tmp_path / "val.csv").read_text().startswith("step,loss,mae")
    assert {text.startswith("the ") for text in asked} == {prompts == "texts"}


def test_a_run_goes_on_from_earlier_weights_with_words_and_inputs_that_are_new(scenes, tmp_path):
    torch.manual_seed(0)
    plain = replace(COUNTX_LITE_CONFIG, examples=False, boxes=False, inference=ALONE)
    old = CounTXLite(replace(plain, vocabulary=("red apple", "coin"), width=32)).eval()
    path = save_checkpoint(tmp_path / "old.safetensors", old)
    new = CounTXLite(replace(COUNTX_LITE_CONFIG, vocabulary=("red apple", "coin", "airship"), width=32)).eval()
    go_on_from(new, path)
    image = torch.rand(1, 3, 96, 128)
    with torch.inference_mode():
        for text in ("red apple", "coins"):
            prompt = PromptBatch(text=(text,))
            torch.testing.assert_close(new(image, prompt).density, old(image, prompt).density)
    assert new.knows("airships")
    settings = recipe("countx-lite").settings(data=tmp_path, scenes=(scenes,), weights=path)
    assert set(vocabulary_of(settings.weights)) == {"red apple", "coin"}
