"""CounTX against its authors' network, through the path on which a published checkpoint comes in."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch

from likewise import registry
from likewise.convert import convert


@pytest.fixture(scope="module")
def fixture(parity_dir):
    if not (parity_dir / "countx.npz").is_file():
        pytest.skip(f"{parity_dir} holds no countx fixture")
    spec = importlib.util.spec_from_file_location("fill", parity_dir / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = json.loads((parity_dir / "countx.json").read_text())
    shapes = {name: tuple(shape) for name, shape in meta["shapes"].items()}
    state = {name: torch.from_numpy(values) for name, values in fill.fill(shapes, meta["seed"]).items()}
    return state, np.load(parity_dir / "countx.npz")


def test_density_is_the_authors(fixture, tmp_path):
    state, arrays = fixture
    published = tmp_path / "published.pth"
    torch.save({"model": state}, published)
    _, model = registry.load_model(convert("countx", published, tmp_path / "countx.safetensors"))
    with torch.inference_mode():
        text = model.clip.text.encode_ids(torch.from_numpy(arrays["tokens"]).long())
        density = model.look(torch.from_numpy(arrays["image"]).float(), text)
    expected = torch.from_numpy(arrays["density"])
    side = density.shape[-1]
    assert density.shape == (len(arrays["image"]), 1, side, side)
    step = -(-side // expected.shape[-1])  # the fixture keeps some of the rows and columns
    assert float((density[:, 0, ::step, ::step] - expected).abs().max()) <= 1e-3 * float(expected.abs().max())
    assert density.sum((1, 2, 3)).tolist() == pytest.approx(arrays["total"].tolist(), rel=1e-3)
