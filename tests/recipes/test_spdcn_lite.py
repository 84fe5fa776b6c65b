"""The recipes of spdcn-lite run from data to weights that count."""

from __future__ import annotations

import csv
import math

import pytest

pytest.importorskip("lightning", reason="training needs the [train] extra")

from likewise.data.folder import CountingFolder
from likewise.data.synthetic import SceneConfig, write_scenes
from likewise.predict import load
from likewise.recipes import recipe
from likewise.recipes.spdcn_ablation import ROWS


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(SceneConfig(seed=5, side=(160, 200), objects=(6, 12), size=(16.0, 30.0), emoji=False), 3, folder, 1)
    return folder


QUICK = {"steps": 2, "batch_size": 2, "crop_size": 96, "workers": 0, "progress": False, "accelerator": "cpu"}


def test_the_lite_recipe_trains_and_its_weights_count(scenes, data_dir, tmp_path):
    lite = recipe("spdcn-lite")
    weights = lite.run(lite.settings(data=data_dir, scenes=scenes, out=tmp_path, val_every=0, **QUICK))
    with (tmp_path / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2]
    assert all(math.isfinite(float(row[name])) for row in rows for name in ("loss", "l2", "count", "block"))
    sample = CountingFolder(scenes)[0]
    result = load(weights).count(sample.image, exemplars=sample.exemplars.tolist())
    assert math.isfinite(result.count)


def test_the_ablation_writes_a_row_for_every_variant(scenes, data_dir, tmp_path):
    ablation = recipe("spdcn-ablation")
    quick = {**QUICK, "steps": 1, "limit": 1}
    table = ablation.run(
        ablation.settings(data=data_dir, scenes=scenes, val_scenes=scenes, out=tmp_path, **quick)
    ).read_text()
    assert [name in table for name in ROWS] == [True] * len(ROWS)
    losses = {path.read_text() for path in tmp_path.glob("*/losses.csv")}
    assert len(losses) == len(ROWS)  # each variant is a variant: no two have the same loss on the same crops
