"""The bundled counter by name on pictures: what a user gets from ``load("countx-lite")``."""

from __future__ import annotations

from itertools import count, islice

import numpy as np
import pytest

from likewise.errors import LikewiseError
from likewise.predict import load
from likewise.scenes import SceneConfig, make_scene
from likewise.vocabulary import words_of


@pytest.fixture(scope="module")
def counter():
    return load("countx-lite")


@pytest.fixture(scope="module")
def two_kinds(counter):
    """Fresh scenes of two unlike kinds whose names the weights were taught: drawn things, found on every machine."""
    config = SceneConfig(seed=99, side=(400, 512), objects=(5, 40), size=(16.0, 120.0), emoji=False, two_kinds=True)
    scenes = (make_scene(config, index) for index in count())
    return list(islice((s for s in scenes if all(map(counter.model.knows, s.names))), 10))


def test_words_have_the_places_they_were_trained_at(counter):
    """Their order is that of the embedding's rows: whoever changes how names become words would shuffle them."""
    index = counter.model.words.index
    assert len(index) == 1223
    assert {word: index[word] for word in ("apple", "strawberry", "tulip", "zebra")} == {
        "apple": 28,
        "strawberry": 1035,
        "tulip": 1139,
        "zebra": 1220,
    }
    assert words_of("The red Strawberries") == ("red", "strawberry")


def test_other_names_give_other_densities(counter, two_kinds):
    for scene in two_kinds[:4]:
        first, second = (counter.count(scene.image, text=name) for name in scene.names)
        assert not np.allclose(first.density, second.density)


@pytest.mark.parametrize("absent", ["watermelon", "violin", "airplane"])
def test_what_is_not_there_is_hardly_counted(counter, two_kinds, absent):
    """Less than 15 % of what there is."""
    counted = sum(counter.count(scene.image, text=absent).count for scene in two_kinds)
    assert counted < 0.15 * sum(len(scene.objects) for scene in two_kinds)


def test_an_unknown_name_is_refused_with_the_nearest(counter):
    with pytest.raises(LikewiseError, match="the nearest known names are 'strawberry'"):
        counter.count(np.zeros((64, 64, 3), np.uint8), text="strawbery")
    with pytest.raises(LikewiseError, match="no word of 'zeppelin' is known"):
        counter.count(np.zeros((64, 64, 3), np.uint8), text="zeppelin")


@pytest.mark.parametrize("size", [(1, 1), (40, 900), (700, 60), (900, 1300)])
def test_any_size_and_shape(counter, size):
    result = counter.count(np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8), text="apples")
    assert result.density.shape == size
    assert np.isfinite(result.density).all()
