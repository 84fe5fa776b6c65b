"""The table of models: every entry builds, every mistake is told."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest
import torch
from torch import nn

from likewise import registry
from likewise.errors import LikewiseError
from likewise.weights import Checkpoint, config_from, read_checkpoint


@pytest.mark.parametrize("name", registry.model_names())
def test_every_model_builds_and_says_who_made_it(name):
    preset = registry.preset(name)
    assert preset.name == name
    assert isinstance(preset.build(), nn.Module)
    assert preset.model is registry.method_class(preset.model.method)
    card = preset.card
    assert card.licence
    assert card.data
    assert card.paper
    assert card.path is not None or card.how_to


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("spdcn-light", "did you mean 'spdcn-lite'"),
        ("spdc", "did you mean 'spdcn'"),
        ("zzz", "there are cam-lite, .*s3n-lite"),
    ],
)
def test_an_unknown_model_names_the_nearest(typed, told):
    with pytest.raises(LikewiseError, match=told):
        registry.preset(typed)


def test_an_unknown_method_in_a_checkpoint_names_the_nearest():
    with pytest.raises(LikewiseError, match="no method named 'spdnc'; did you mean 'spdcn'"):
        registry.build(Checkpoint("spdnc", {}, {}), "a.safetensors")


BUNDLED = [name for name in registry.model_names() if registry.preset(name).card.path is not None]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_network_made_without_memory_is_the_one_made_with_it(name):
    preset = registry.preset(name)
    held = read_checkpoint(preset.card.path)
    expected = preset.model(config_from(type(preset.config), held.config))
    expected.load_state_dict(held.state, strict=True)
    built = registry.build(held, name)
    assert not built.training
    assert built.config == expected.config
    for kind in ("named_parameters", "named_buffers"):  # buffers that are not saved among them
        ours, theirs = dict(getattr(built, kind)()), dict(getattr(expected, kind)())
        assert ours.keys() == theirs.keys()
        for key, tensor in theirs.items():
            assert ours[key].device.type == "cpu"
            assert ours[key].dtype == tensor.dtype
            assert ours[key].requires_grad == tensor.requires_grad
            assert torch.equal(ours[key], tensor), key


@pytest.mark.parametrize("name", [name for name in registry.model_names() if name not in BUNDLED])
def test_every_network_can_be_made_without_memory(name):
    preset = registry.preset(name)
    with torch.device("meta"):
        network = preset.build()
    saved = network.state_dict()
    assert all(tensor.is_meta for tensor in saved.values())
    assert not [name for name, b in network.named_buffers() if b.is_meta and name not in saved]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"channels": 10**9}, r"to_classes.weight has shape \(96, 224, 1, 1\), expected \(1000000000, 224, 1, 1\)"),
        ({"channels": -1}, "describes no network"),
        ({"channels": 2**62}, "describes no network"),
        ({"decoder": [[64, 0]]}, "describes no network"),
        ({"decoder": [[64, 1]] * 100_000}, "many more layers"),
        ({"preprocess": None}, "preprocess = None, expected Preprocess"),
        ({"roi_size": 10**6}, "roi_size"),
    ],
)
def test_a_config_that_is_not_the_files_costs_no_memory(changes, told):
    held = read_checkpoint(registry.preset("spdcn-lite").card.path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LikewiseError, match=told):
        registry.build(replace(held, config={**held.config, **changes}), "a.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    held = read_checkpoint(registry.preset("spdcn-lite").card.path)
    held.state["to_classes.bias"][3] = value
    with pytest.raises(LikewiseError, match=r"to_classes\.bias holds numbers that are not finite"):
        registry.build(held, "a.safetensors")


def test_whole_numbers_are_no_weights():
    held = read_checkpoint(registry.preset("spdcn-lite").card.path)
    state = {**held.state, "to_classes.bias": held.state["to_classes.bias"].long()}
    with pytest.raises(LikewiseError, match=r"to_classes\.bias holds torch\.int64, expected torch\.float32"):
        registry.build(replace(held, state=state), "a.safetensors")


def test_weights_that_are_not_bundled_say_how_to_get_them():
    with pytest.raises(LikewiseError, match="likewise convert spdcn"):
        registry.load_model("spdcn")
