"""The bundled fwb-lite: its file, its card, and that its masks follow the examples."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.data.fewshot.episodes import Episodes
from likewise.data.fewshot.labelled import LabelFolder
from likewise.engine.segment_eval import evaluate
from likewise.metrics import Overlaps
from likewise.predict import Segmenter
from likewise.registry import preset
from likewise.scenes import SceneConfig
from likewise.scenes.episodes import SceneMasks
from likewise.weights import file_sha256, read_checkpoint


def test_the_file_is_the_one_on_the_card_and_every_layer_was_trained():
    card = preset("fwb-lite").card
    assert card.path.stat().st_size < 4e6
    assert file_sha256(card.path) == card.sha256
    held = read_checkpoint(card.path)
    assert (held.method, held.config["trunk"]) == ("fwb", "mobilenetv2")
    assert held.config["trunk_rate"] > 0


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("fwb-lite")


@pytest.fixture(scope="module")
def halves():
    """Fresh scenes of two unlike kinds that both of their halves show, drawn things found on every machine.

    (query, truth of each kind, example of each kind) of each scene.
    """
    config = SceneConfig(
        seed=99, side=(320, 400), objects=(5, 30), size=(24.0, 160.0), emoji=False, two_kinds=True, small_share=0.0
    )
    scenes = SceneMasks(config, 5)
    kinds: dict[int, list[int]] = {}
    for kind, (first, _) in scenes.pictures.items():
        kinds.setdefault(first, []).append(kind)
    found = []
    for first, both in kinds.items():
        read = [[scenes.read(index, kind) for kind in both] for index in (first, first + 1)]
        examples = [(image, mask.numpy()) for image, mask in read[0]]
        found.append((read[1][0][0], [mask.numpy() for _, mask in read[1]], examples))
    return [scene for scene in found if len(scene[1]) == 2]


@pytest.fixture(scope="module")
def masks(segmenter, halves):
    """Scene by scene, the query's mask by either example."""
    return [[segmenter.segment(query, [example]).mask for example in examples] for query, _, examples in halves]


def test_one_example_finds_its_kind_in_the_other_half_of_a_scene(halves, masks):
    """Far better than calling everything the thing."""
    ours, everything = Overlaps(), Overlaps()
    for index, ((_, truths, _), found) in enumerate(zip(halves, masks, strict=True)):
        for kind, (truth, mask) in enumerate(zip(truths, found, strict=True)):
            name = f"{index}, {kind}"
            ours.add(name, mask, truth)
            everything.add(name, np.ones_like(mask), truth)
    assert len(ours) >= 6
    assert ours.miou > 0.5
    assert ours.miou > everything.miou + 0.25


def test_an_example_of_the_other_kind_gives_another_mask(halves, masks):
    """Masks cover most of the kind that was shown and little of the one that was not."""
    shares = []
    for (_, truths, _), found in zip(halves, masks, strict=True):
        shares.append([[mask[truth == 1].mean() for truth in truths] for mask in found])
        assert (found[0] != found[1]).mean() > 0.05
    own, other = np.mean(shares, axis=0)[[0, 1], [0, 1]], np.mean(shares, axis=0)[[0, 1], [1, 0]]
    assert own.min() > 0.7
    assert other.max() < 0.4


def test_it_finds_clothes_in_photographs_it_was_not_trained_on(segmenter, data_dir):
    novel = LabelFolder(data_dir / "clothing", "val", 2, "novel")
    episodes, everything = Episodes(novel, seed=4, length=4), Overlaps()
    report = evaluate(segmenter, episodes)
    for index in range(len(episodes)):
        episode = episodes[index]
        truth = episode.mask.numpy()
        everything.add(episode.class_name, np.ones_like(truth, bool), truth)
    assert report.overlaps.miou > everything.miou + 0.15


@pytest.mark.parametrize("size", [(1, 1), (40, 700), (600, 60)])
def test_any_size_and_shape(segmenter, halves, size):
    query = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    result = segmenter.segment(query, halves[0][2][:1])
    assert result.mask.shape == size
    assert np.isfinite(result.score).all()
