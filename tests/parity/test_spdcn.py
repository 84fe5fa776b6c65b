"""SPDCN against its authors' network, through the path on which a published checkpoint comes in."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch

from likewise import registry
from likewise.convert import convert
from likewise.types import PromptBatch


@pytest.fixture(scope="module")
def fixture(parity_dir):
    if not (parity_dir / "spdcn.npz").is_file():
        pytest.skip(f"{parity_dir} holds no spdcn fixture")
    spec = importlib.util.spec_from_file_location("fill", parity_dir / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = json.loads((parity_dir / "spdcn.json").read_text())
    shapes = {name: tuple(shape) for name, shape in meta["shapes"].items()}
    state = {name: torch.from_numpy(values) for name, values in fill.fill(shapes, meta["seed"]).items()}
    return state, np.load(parity_dir / "spdcn.npz")


@pytest.mark.parametrize("wrapped", [True, False])
def test_density_is_the_authors(fixture, tmp_path, wrapped):
    state, arrays = fixture
    published = tmp_path / "published.pth"
    torch.save({"model": state} if wrapped else state, published)
    _, model = registry.load_model(convert("spdcn", published, tmp_path / "spdcn.safetensors"))
    image = model.config.inference.preprocess.denormalised(
        torch.from_numpy(arrays["image"])
    )  # the fixture's is normalised already
    rows = torch.from_numpy(arrays["boxes"]).float()
    prompt = PromptBatch(tuple(rows[rows[:, 0] == i, 1:] for i in range(len(image))))
    with torch.inference_mode():
        density = model(image, prompt) * model.config.density_factor
    expected = torch.from_numpy(arrays["density"])
    assert float((density - expected).abs().max()) <= 1e-3 * float(expected.abs().max())
