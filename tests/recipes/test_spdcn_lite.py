"""The recipes of spdcn-lite run from data to weights that count."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import pytest
import torch

pytest.importorskip("lightning", reason="training needs the [train] extra")

from likewise import registry
from likewise.data.counting.folder import CountingFolder
from likewise.errors import LikewiseError
from likewise.methods.spdcn import SPDCN
from likewise.predict import load
from likewise.recipes import recipe
from likewise.recipes.spdcn_lite import SpdcnLite, averaged, go_on_from, mixture
from likewise.scenes import SceneConfig, write_scenes
from likewise.types import PromptBatch
from likewise.weights import save_checkpoint


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(SceneConfig(seed=5, side=(160, 200), objects=(6, 12), size=(16.0, 30.0), emoji=False), 3, folder, 1)
    return folder


QUICK = {"steps": 2, "batch_size": 2, "crop_size": 96, "workers": 0, "progress": False, "accelerator": "cpu"}


def test_the_lite_recipe_trains_and_its_weights_count(scenes, data_dir, tmp_path):
    lite = recipe("spdcn-lite")
    weights = lite.run(lite.settings(data=data_dir, scenes=(scenes, scenes), out=tmp_path, val_every=0, **QUICK))
    with (tmp_path / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2]
    assert all(math.isfinite(float(row[name])) for row in rows for name in ("loss", "l2", "count", "block"))
    sample = CountingFolder(scenes)[0]
    result = load(weights).count(sample.image, exemplars=sample.exemplars.tolist())
    assert math.isfinite(result.count)


def test_what_is_held_out_is_never_drawn(scenes, data_dir):
    def drawn(*held_out):
        data = mixture(SpdcnLite(data=data_dir, scenes=(scenes,), held_out=held_out))
        return {data.datasets[int(i)].root.name for i in data.shares.nonzero()[0][1:]}, data.shares.sum()

    assert drawn() == ({"nuclei", "blood", "red_cells", "orchard"}, 1.0)
    assert drawn("nuclei") == ({"blood", "red_cells", "orchard"}, 1.0)
    assert drawn("nuclei", "blood", "red_cells", "orchard") == (set(), 1.0)
    with pytest.raises(LikewiseError, match="expected any of 'nuclei', 'blood'"):
        drawn("marrow")


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_earlier_weights_have_their_share_in_the_average(share, tmp_path):
    config = registry.preset("spdcn-lite").config
    files, states = [], []
    for seed in (3, 4):
        torch.manual_seed(seed)
        network = SPDCN(config)
        files.append(save_checkpoint(tmp_path / f"{seed}.safetensors", network))
        states.append(network.state_dict())
    mixed = registry.load_model(averaged(files[0], files[1], share))[1].state_dict()
    for name, tensor in mixed.items():
        expected = states[0][name] * (1 - share) + states[1][name] * share
        torch.testing.assert_close(tensor, expected, check_dtype=False)


def test_going_on_from_earlier_weights_counts_as_they_did_and_takes_negatives(tmp_path):
    config = registry.preset("spdcn-lite").config
    torch.manual_seed(3)
    earlier = SPDCN(replace(config, negatives=False)).eval()
    later = SPDCN(replace(config, negatives=True)).eval()
    go_on_from(later, save_checkpoint(tmp_path / "earlier.safetensors", earlier))
    image, box = torch.rand(1, 3, 96, 112), torch.tensor([[10.0, 10.0, 40.0, 44.0]])
    expected = earlier(image, PromptBatch((box,)))
    shown = later(image, PromptBatch((box,), (box + 30.0,)))
    assert torch.allclose(shown, expected, rtol=0.0, atol=1e-5 * float(expected.detach().max()))
    shown.sum().backward()
    unseen = later.decoder[0][0].weight.grad[:, earlier.decoder[0][0].weight.shape[1] :]
    assert (unseen.abs().amax((0, 2, 3)) > 0).all()  # what is made of negatives is learned all the same
