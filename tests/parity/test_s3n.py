"""S3N against its authors' network, through the path on which a published checkpoint comes in."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from likewise import registry
from likewise.convert import convert
from likewise.ops.response_peaks import class_response, entropy_gate, response_means

#: The classifier is this many times surer in the third setting, so that the entropy gate takes its other branch.
SURER = 150


@pytest.fixture(scope="module")
def fixture(parity_dir):
    if not (parity_dir / "s3n.npz").is_file():
        pytest.skip(f"{parity_dir} holds no s3n fixture")
    spec = importlib.util.spec_from_file_location("fill", parity_dir / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = json.loads((parity_dir / "s3n.json").read_text())
    shapes = {name: tuple(shape) for name, shape in meta["shapes"].items()}
    state = {name: torch.from_numpy(values) for name, values in fill.fill(shapes, meta["seed"]).items()}
    return state, np.load(parity_dir / "s3n.npz"), meta


@pytest.fixture(scope="module")
def model(fixture, tmp_path_factory):
    state, _, meta = fixture
    folder = tmp_path_factory.mktemp("s3n")
    torch.save({"state_dict": state}, folder / "published.pth")
    model = registry.load_model(convert("s3n", folder / "published.pth", folder / "s3n.safetensors"))[1]
    assert model.config.aligned
    # the fixture comes from the authors' code under today's PyTorch, which reads the grid half a pixel off, not 0.4.1
    model.config = replace(model.config, aligned=False, base=meta["base_ratio"], map_size=meta["grid_size"])
    for name, key in (("discriminative", "radius"), ("complementary", "radius_inv")):
        model.branches[name].radius.data.fill_(meta[key])  # no tensors of the file: they are as constructed
    return model


@pytest.mark.parametrize(
    ("setting", "selection", "surer"),
    [("train_early", "every", 1), ("test", "extremes", 1), ("test_confident", "extremes", SURER)],
)
def test_logits_and_sampled_pictures_are_the_authors(fixture, model, setting, selection, surer):
    arrays = fixture[1]
    weight = model.origin.weight.data
    model.origin.weight.data = weight * surer
    try:
        with torch.inference_mode():
            seen = model.look(torch.from_numpy(arrays["image"]).float(), selection)
    finally:
        model.origin.weight.data = weight
    for name, logits in {
        "logits": seen.logits,
        "logits_origin": seen.origin,
        "logits_zoom": seen.discriminative,
        "logits_complement": seen.complementary,
    }.items():
        expected = torch.from_numpy(arrays[f"{setting}_{name}"])
        assert float((logits - expected).abs().max()) <= 1e-3 * float(expected.abs().max()), name
    for name, branch in (("zoom", "discriminative"), ("complement", "complementary")):
        expected = torch.from_numpy(arrays[f"{setting}_{name}"])
        block = seen.sampled[branch].shape[2] // expected.shape[2]  # of which each pixel of the fixture is the mean
        difference = F.avg_pool2d(seen.sampled[branch], block) - expected
        assert float(difference.abs().max()) <= 1e-3 * float(expected.abs().max()), name


def test_response_maps_are_the_authors(fixture, model):
    arrays = fixture[1]
    maps = torch.from_numpy(arrays["response_maps_confident"].astype(np.float32))
    with torch.inference_mode():
        features = model.trunk(torch.from_numpy(arrays["image"]).float())
        weight, size = SURER * model.origin.weight, (maps.shape[2], maps.shape[3])
        logits = response_means(features, weight, model.origin.bias, size)
        shares = entropy_gate(logits)
        response = class_response(features, weight, shares, size)
    means = maps.mean((2, 3))
    assert float((logits - means).abs().max()) <= 1e-3 * float(means.abs().max())  # ranked by these
    opened = (shares == 1).any(1)  # for these the most probable class's map is the response
    assert bool(opened.any())
    for i in opened.nonzero()[:, 0].tolist():
        best = int(logits[i].argmax())
        expected = (maps[i, best] - maps[i, best].min()) / (maps[i, best].max() - maps[i, best].min())
        assert float((response[i] - expected).abs().max()) <= 2e-3  # the fixture holds half precision
