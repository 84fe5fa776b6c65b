"""VLCounter's ablation: a row for each part, and the small CLIP that it stands on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("lightning", reason="training needs the [train] extra")

from likewise.data.counting.by_text import TextPromptDataset
from likewise.data.counting.collate import collate
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.transforms import Crop, SceneCrop
from likewise.errors import LikewiseError
from likewise.lab.experiments import vlcounter_ablation as ablation
from likewise.lab.experiments.small_clip import SmallClip
from likewise.methods.vlcounter import Config, VLCounter
from likewise.nn.clip import ClipConfig
from likewise.predict import load
from likewise.scenes import SceneConfig, write_scenes
from likewise.types import PromptBatch

TINY = ClipConfig(
    image_size=64,
    image_width=32,
    image_layers=6,
    image_heads=2,
    text_width=32,
    text_layers=2,
    text_heads=2,
    features=32,
)
QUICK = {"steps": 2, "batch_size": 2, "workers": 0, "progress": False, "accelerator": "cpu"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    two = replace(SceneConfig.two_kind_scenes(), seed=5, side=(80, 96), size=(12.0, 20.0), objects=(5, 9), emoji=False)
    write_scenes(two, 3, folder, 1)
    return folder


def test_the_ablation_writes_a_row_for_every_variant_with_one_clip(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "SMALL_CLIP", TINY)
    rows = ("M1", "M2", "M5")
    monkeypatch.setattr(ablation, "ABLATION", {row: ablation.ABLATION[row] for row in rows})
    settings = ablation.VlcounterAblation(
        data=scenes, val_scenes=scenes, out=tmp_path, limit=2, window=64, stride=32, clip_steps=2, clip_batch=4, **QUICK
    )
    table = ablation.vlcounter_ablation(settings).read_text()
    assert [f"| {row} |" in table for row in ("always the median", *rows)] == [True] * 4
    assert len({(tmp_path / row / "losses.csv").read_text() for row in rows}) == 3
    towers = [load(tmp_path / row / "model.safetensors").model.clip.state_dict() for row in rows]
    # it is not made again
    made = ablation.small_clip(settings, CountingFolder(scenes, targets="all"), replace(TINY, image_size=64))
    assert all(torch.equal(tower[name], made[name]) for tower in towers for name in made)


def test_a_small_clip_learns_which_patches_show_what(scenes):
    torch.manual_seed(0)
    model = SmallClip(replace(TINY, image_size=64, image_layers=2))
    crop = SceneCrop(Crop(size=64, jitter=(1.0, 1.0), look=None))
    data = TextPromptDataset([CountingFolder(scenes, targets="all")], absent=0.0, varied=False, transform=crop)
    batch = collate([data[i] for i in range(4)], text=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        torch.manual_seed(1)  # the same sentences each time
        loss = model.loss(model(batch.image, batch.prompt), batch)["total"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_small_clip_gives_what_vlcounter_compares(scenes):
    torch.manual_seed(0)
    model, image = SmallClip(TINY), torch.rand(1, 3, 64, 64)
    counter = VLCounter(Config(clip=TINY, tuning="none", affine=False, skips=False, skip_blocks=(4, 3, 2), stride=32))
    counter.clip.load_state_dict(model.clip.state_dict())
    seen = []
    counter.v_proj.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    counter(image, PromptBatch(exemplars=(torch.zeros(0, 4),), text=("cats",)))
    own = model(image, PromptBatch(exemplars=(torch.zeros(0, 4),)))
    torch.testing.assert_close(own.flatten(2).transpose(1, 2), seen[0], rtol=1e-4, atol=1e-5)


def test_a_small_clip_needs_to_know_what_everything_is_called(scenes):
    model = SmallClip(TINY)
    batch = collate([CountingFolder(scenes, targets="all")[0]], text=True)
    with pytest.raises(LikewiseError, match="AskedByName"):
        model.loss(torch.zeros(1, 32, 4, 4), batch)
