"""FWB against its authors' network, through the path on which a published checkpoint comes in."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from likewise import registry
from likewise.convert import convert
from likewise.types import SupportBatch

#: Fixture -> the preset with its trunk.
FIXTURES = {"fwb_resnet101": "fwb", "fwb_vgg16": "fwb-vgg16"}
#: Number of the authors' model -> whether it weighs features, and whether it is given several shots.
PLAIN = {0: (False, False), 2: (True, False), 8: (True, True)}
BOOSTED = {3: (False, False), 5: (True, False), 9: (True, True)}


@pytest.fixture(scope="module", params=FIXTURES)
def fixture(request, parity_dir, tmp_path_factory):
    """The converted network, its trunk run once for all, and the arrays."""
    name = request.param
    if not (parity_dir / f"{name}.npz").is_file():
        pytest.skip(f"{parity_dir} holds no {name} fixture")
    spec = importlib.util.spec_from_file_location("fill", parity_dir / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = json.loads((parity_dir / f"{name}.json").read_text())
    shapes = {key: tuple(shape) for key, shape in meta["shapes"].items()}
    state = {key: torch.from_numpy(values) for key, values in fill.fill(shapes, meta["seed"]).items()}
    if name == "fwb_vgg16":  # both forms in which the authors' files come
        state = {f"module.{key}": tensor for key, tensor in state.items()}
    folder = tmp_path_factory.mktemp(name)
    torch.save({"state_dict": state}, folder / "published.pth")
    _, model = registry.load_model(convert(FIXTURES[name], folder / "published.pth", folder / "fwb.safetensors"))
    model.look = once(model.look)
    return model, dict(np.load(parity_dir / f"{name}.npz"))


def once(look):
    """Looking that remembers: the trunk takes most of the time, and sees the same seven pictures in every test."""
    seen = {}

    def remembered(images):
        for image in images:
            if image.numpy().tobytes() not in seen:
                (seen[image.numpy().tobytes()],) = look([image])
        return [seen[image.numpy().tobytes()] for image in images]

    return remembered


def prepared(model, arrays, several, **changes):
    """The network so configured, the query and its support, in RGB."""
    model.config = replace(model.config, last_shot_features=True, vote="hard", **changes)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (model.config.preprocess.mean, model.config.preprocess.std))
    ending = "s" * several
    images = torch.from_numpy(arrays[f"support{ending}"]).float() * std + mean  # the fixture's are normalised already
    masks = torch.from_numpy(arrays[f"support_mask{ending}"]).bool()
    query = torch.from_numpy(arrays["query"]).float() * std + mean
    return query, SupportBatch((tuple(images),), (tuple(masks),))


@pytest.mark.parametrize("number", PLAIN)
def test_similarity_and_logits_are_the_authors(fixture, number):
    model, arrays = fixture
    weighting, several = PLAIN[number]
    query, support = prepared(model, arrays, several, weighting=weighting, boosting=0)
    with torch.inference_mode():
        similarity = model.similarity(model.look(query)[0], model.describe(support)[0])[None]
        logits = model(query, support)
    for found, key in ((similarity, "similarity"), (logits, "logits")):
        expected = torch.from_numpy(arrays[f"model{number}_{key}"])
        assert found.shape == expected.shape
        assert float((found - expected).abs().max()) <= 1e-3


@pytest.mark.parametrize("number", BOOSTED)
def test_votes_are_the_authors(fixture, number):
    model, arrays = fixture
    weighting, several = BOOSTED[number]
    query, support = prepared(model, arrays, several, weighting=weighting, boosting=10)
    with torch.inference_mode():
        votes = model.votes(model.look(query)[0], model.describe(support)[0])[None]
    expected = torch.from_numpy(arrays[f"model{number}_votes"])
    assert votes.shape == expected.shape
    assert float(((votes - expected).abs() <= 1e-3).float().mean()) >= 0.995
