"""The table of models: every entry builds, every mistake is told."""

from __future__ import annotations

import pytest
from torch import nn

from likewise import registry
from likewise.errors import LikewiseError
from likewise.weights import Checkpoint


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
        ("zzz", "there are .*s3n-lite, spdcn"),
    ],
)
def test_an_unknown_model_names_the_nearest(typed, told):
    with pytest.raises(LikewiseError, match=told):
        registry.preset(typed)


def test_an_unknown_method_in_a_checkpoint_names_the_nearest():
    with pytest.raises(LikewiseError, match="no method named 'spdnc'; did you mean 'spdcn'"):
        registry.build(Checkpoint("spdnc", {}, {}), "a.safetensors")


def test_weights_that_are_not_bundled_say_how_to_get_them():
    with pytest.raises(LikewiseError, match="likewise convert spdcn"):
        registry.load_model("spdcn")
