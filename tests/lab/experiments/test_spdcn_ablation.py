"""SPDCN's ablation: a row for each variant."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning", reason="training needs the [train] extra")

from likewise.lab.experiments.spdcn_ablation import ROWS
from likewise.recipes import recipe
from likewise.scenes import SceneConfig, write_scenes

QUICK = {"steps": 2, "batch_size": 2, "crop_size": 96, "workers": 0, "progress": False, "accelerator": "cpu"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(SceneConfig(seed=5, side=(160, 200), objects=(6, 12), size=(16.0, 30.0), emoji=False), 3, folder, 1)
    return folder


def test_the_ablation_writes_a_row_for_every_variant(scenes, data_dir, tmp_path):
    ablation = recipe("spdcn-ablation")
    quick = {**QUICK, "steps": 1, "limit": 1}
    table = ablation.run(
        ablation.settings(data=data_dir, scenes=scenes, val_scenes=scenes, out=tmp_path, **quick)
    ).read_text()
    assert [name in table for name in ROWS] == [True] * len(ROWS)
    losses = {path.read_text() for path in tmp_path.glob("*/losses.csv")}
    assert len(losses) == len(ROWS)  # each variant is a variant: no two have the same loss on the same crops
