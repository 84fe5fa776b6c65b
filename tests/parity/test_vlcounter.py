"""VLCounter against its authors' network, through the path on which a published checkpoint comes in."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from likewise import registry
from likewise.convert import convert
from likewise.methods.vlcounter import mean_feature
from likewise.methods.vlcounter.rank_loss import rank_loss
from likewise.nn.clip import CLIP_MEAN, CLIP_STD


@pytest.fixture(scope="module")
def arrays(parity_dir):
    if not (parity_dir / "vlcounter.npz").is_file():
        pytest.skip(f"{parity_dir} holds no vlcounter fixture")
    return {name: torch.from_numpy(np.array(v)) for name, v in np.load(parity_dir / "vlcounter.npz").items()}


@pytest.fixture(scope="module")
def model(arrays, parity_dir, tmp_path_factory):
    """The network out of a file as the authors publish it; the last block's attention is in it under both its names."""
    spec = importlib.util.spec_from_file_location("fill", parity_dir / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = json.loads((parity_dir / "vlcounter.json").read_text())
    shapes = {name: tuple(shape) for name, shape in meta["shapes"].items()}
    state = {name: torch.from_numpy(values) for name, values in fill.fill(shapes, meta["seed"]).items()}
    last = max(int(name.split(".")[3]) for name in state if name.startswith("v_enc.transformer.resblocks."))
    for name in [name for name in state if name.startswith("v_enc.attn.")]:
        state[name.replace("v_enc.", f"v_enc.transformer.resblocks.{last}.")] = state[name]
    folder = tmp_path_factory.mktemp("vlcounter")
    torch.save({"state_dict": state}, folder / "published.pth")
    _, model = registry.load_model(convert("vlcounter", folder / "published.pth", folder / "vlcounter.safetensors"))
    for file in folder.iterdir():
        file.unlink()  # 600 MB each
    return model


@pytest.fixture(scope="module")
def text(model, arrays):
    tokens = arrays["tokens"].long()
    return mean_feature(model.clip.text.encode_ids(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2]))


@torch.inference_mode()
def test_density_and_similarity_are_the_authors(model, arrays, text):
    density, similarity = model.look(arrays["image"].float(), text)
    for found, expected in ((density, arrays["density"]), (similarity, arrays["similarity"])):
        assert float((found - expected).abs().max()) <= 1e-3 * float(expected.abs().max())


@torch.inference_mode()
def test_a_wide_picture_is_counted_as_the_authors_do(model, arrays, text, monkeypatch):
    monkeypatch.setattr(model, "config", replace(model.config, blend="paper"))
    image = arrays["wide_image"].float()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    density = model.count(image * std + mean, text[: len(image)])  # the fixture's is normalised already
    assert density.sum((1, 2, 3)).tolist() == pytest.approx(arrays["wide_count"].flatten().tolist(), rel=1e-3)
    block = density.shape[-1] // arrays["wide_density"].shape[-1]  # of which each value of the fixture is the mean
    blocks = F.avg_pool2d(model.config.density_factor * density, block)
    expected = arrays["wide_density"].view_as(blocks)
    assert float((blocks - expected).abs().max()) <= 1e-3 * float(expected.abs().max())


def test_the_rank_aware_loss_is_the_authors(arrays):
    loss = rank_loss(arrays["rank_similarity"], arrays["rank_density"].float()).mean()
    assert float(loss) == pytest.approx(float(arrays["rank_loss"]), rel=1e-4)
