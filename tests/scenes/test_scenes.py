"""Scenes: repeatable, exact in every label, and what their presets promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.transforms import Crop, TrainCrop
from likewise.data.infinite import MixedDataset
from likewise.errors import LikewiseError
from likewise.scenes import Scene, SceneConfig, SyntheticScenes, contact_sheet, make_scene, scene_sample, write_scenes
from likewise.scenes.assets import assets_of
from likewise.scenes.environments import SETTINGS
from likewise.scenes.kinds.emoji import find_font

SMALL = SceneConfig(seed=3, side=(200, 260), objects=(1, 60), size=(8.0, 90.0), emoji=False)
PRESETS = {
    "default": SMALL,
    "val": replace(SMALL, split="val"),
    "crowded": replace(SMALL, objects=(80, 200)),
    "wide-scale": replace(SceneConfig.wide_scale(), seed=3, side=(420, 480), objects=(40, 120), emoji=False),
    "two-kinds": replace(SceneConfig.two_kind_scenes(), seed=3, side=(256, 320), objects=(5, 20), emoji=False),
    "crowds": replace(SceneConfig.crowds(), seed=3, side=(256, 320), objects=(40, 120), emoji=False),
    "cells": replace(SceneConfig.cells(), seed=3, side=(256, 320), objects=(20, 80), emoji=False),
    "assortment": replace(SceneConfig.assortment(), seed=3, side=(300, 340), kinds=(8, 12), emoji=False),
}


def scenes(name: str, count: int = 6) -> list[Scene]:
    return [make_scene(PRESETS[name], i) for i in range(count)]


def test_a_scene_is_a_function_of_config_and_index():
    first, again = make_scene(SMALL, 5), make_scene(SMALL, 5)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.owner.tobytes() == again.owner.tobytes()
    assert first.objects == again.objects
    assert first.names == again.names
    assert first.exemplars(first.target) == again.exemplars(again.target)
    others = (make_scene(SMALL, 6), make_scene(replace(SMALL, seed=4), 5), make_scene(replace(SMALL, split="val"), 5))
    assert all(first.image.tobytes() != other.image.tobytes() for other in others)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_label_agrees_with_the_masks(preset):
    """Recounted pixel by pixel: area, centroid, and an extent that lies in the box, and is the box if all is seen."""
    for scene in scenes(preset):
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8
        assert scene.image.shape == (*scene.owner.shape, 3)
        assert set(np.unique(scene.owner)) - {0} == set(range(1, len(scene.objects) + 1))
        for i, thing in enumerate(scene.objects):
            rows, columns = np.nonzero(scene.mask(i))
            assert thing.area == len(rows)
            assert thing.point == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5))
            extent = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            x0, y0, x1, y1 = thing.box
            assert 0 <= x0 <= extent[0]
            assert 0 <= y0 <= extent[1]
            assert extent[2] <= x1 <= width
            assert extent[3] <= y1 <= height
            if thing.visible == 1:
                assert extent == thing.box


@pytest.mark.parametrize("preset", PRESETS)
def test_every_object_is_of_a_kind_of_the_scene(preset):
    for scene in scenes(preset):
        assert len(set(scene.names)) == len(scene.names)
        by_kind = [i for name in scene.names for i in scene.of_kind(name)]
        assert sorted(by_kind) == list(range(len(scene.objects)))
        assert scene.target == scene.names[0]
        assert all(scene.of_kind(name) for name in scene.names)


def test_what_is_mostly_hidden_is_left_out_and_nothing_else():
    """Counting everything that shows at all adds exactly the mostly hidden ones."""
    dropped = 0
    for i in range(8):
        config = replace(SMALL, objects=(60, 150))
        strict, lenient = make_scene(config, i), make_scene(replace(config, min_visible=1e-6), i)
        assert strict.image.tobytes() == lenient.image.tobytes()
        assert strict.objects == tuple(thing for thing in lenient.objects if thing.visible >= config.min_visible)
        dropped += len(lenient.objects) - len(strict.objects)
    assert dropped > 0


def test_sizes_and_counts_stay_in_the_range_asked_for():
    config = replace(SMALL, objects=(10, 20), size=(20.0, 40.0), second_share=0.0)
    for i in range(10):
        scene = make_scene(config, i)
        if scene.layout != "tissue":
            assert len(scene.objects) <= 20
            # an outline turned by 45 degrees fills a larger box, a star or a ring a smaller part of it
            whole = [thing.size for thing in scene.objects if thing.visible == 1]
            assert all(10 < size < 40 * 2.3 for size in whole)


def test_wide_scale_scenes_span_almost_the_fourfold_and_ordinary_ones_do_not():
    """Size by area of wholly visible objects, which turning does not change."""

    def ratio(scene: Scene) -> float:
        sides = [t.area**0.5 for i in scene.of_kind(scene.target) if (t := scene.objects[i]).visible == 1]
        return max(sides) / min(sides) if len(sides) >= 5 else 1.0

    wide = [ratio(scene) for scene in scenes("wide-scale", 12)]
    calm = [ratio(make_scene(replace(PRESETS["wide-scale"], wide_share=0.0), i)) for i in range(12)]
    assert max(wide) >= 3.5
    assert np.median(wide) > 2.5
    assert np.median(calm) < 2.2


def test_two_kind_scenes_hold_four_or_more_of_each_of_two():
    for scene in scenes("two-kinds", 10):
        assert len(scene.names) == 2
        assert min(len(scene.of_kind(name)) for name in scene.names) >= 4


def test_assortments_hold_many_kinds_and_a_few_of_each():
    shown = [scene for scene in scenes("assortment", 8) if scene.names]
    assert np.mean([len(scene.names) for scene in shown]) > 5
    for scene in shown:
        assert len(scene.names) <= 12
        assert max(len(scene.of_kind(name)) for name in scene.names) <= 3


def test_some_scenes_have_other_kinds_and_most_have_one():
    kinds = [len(scene.names) for scene in scenes("default", 40)]
    assert 0.2 < np.mean([k >= 2 for k in kinds]) < 0.6


def test_train_and_val_share_no_kind():
    train, val = assets_of(SMALL), assets_of(PRESETS["val"])
    names = [{k.name for kinds in bank.kinds.values() for k in kinds} for bank in (train, val)]
    assert not names[0] & names[1]
    assert 0.05 < len(names[1]) / len(names[0] | names[1]) < 0.15
    for name in (name for scene in scenes("val") for name in scene.names):
        assert any(name.endswith(base) for base in names[1])
        assert name not in names[0]


def test_exemplars_are_whole_distinct_objects_of_the_kind():
    for scene in scenes("default", 10):
        for kind in scene.names:
            chosen = scene.exemplars(kind)
            assert len(chosen) == len(set(chosen)) == min(3, len(scene.of_kind(kind)))
            assert set(chosen) <= set(scene.of_kind(kind))
    scene = make_scene(PRESETS["crowded"], 1)
    chosen = [scene.objects[i].visible for i in scene.exemplars(scene.target)]
    everyone = [scene.objects[i].visible for i in scene.of_kind(scene.target)]
    assert min(chosen) >= np.median(everyone)


def test_without_the_font_shapes_stand_in(monkeypatch):
    from likewise.scenes import assets
    from likewise.scenes.kinds import emoji

    monkeypatch.setattr(emoji, "find_font", lambda: None)
    emoji.emoji_kinds.cache_clear()
    assets.load_assets.cache_clear()
    try:
        config = replace(SMALL, emoji=True)
        assert assets_of(config).kinds["emoji"] == ()
        assert make_scene(config, 0).objects
    finally:
        emoji.emoji_kinds.cache_clear()
        assets.load_assets.cache_clear()


def test_with_the_font_sprites_appear():
    if find_font() is None:
        pytest.skip("no colour-emoji font is installed (Debian: fonts-noto-color-emoji)")
    config = replace(SMALL, emoji=True)
    sprites = {k.name for k in assets_of(config).kinds["emoji"]}
    targets = [make_scene(config, i).target for i in range(30)]
    assert any(target.endswith(name) for target in targets for name in sprites)


def test_the_data_set_gives_the_scenes_as_samples():
    data = SyntheticScenes(SMALL, 3, start=4)
    assert len(data) == 3
    sample, scene = data[1], make_scene(SMALL, 5)
    assert torch.equal(sample.image.permute(1, 2, 0), torch.from_numpy(scene.image))
    assert sample.count == len(scene.of_kind(scene.target)) == len(sample.boxes)
    assert sample.prompt == scene.target
    assert sample.exemplars.tolist() == [list(scene.objects[i].box) for i in scene.exemplars(scene.target)]
    with pytest.raises(IndexError):
        data[3]


def test_any_kind_of_a_scene_can_be_asked_for():
    scene = next(s for s in scenes("two-kinds") if len(s.names) == 2)
    samples = [scene_sample(scene, kind) for kind in scene.names]
    assert sum(sample.count for sample in samples) == len(scene.objects)
    assert not set(map(tuple, samples[0].points.tolist())) & set(map(tuple, samples[1].points.tolist()))


def test_a_sample_knows_the_boxes_of_the_other_kinds_as_a_written_scene_does(tmp_path):
    config = PRESETS["two-kinds"]
    read = CountingFolder(write_scenes(config, 3, tmp_path).parent)
    for i in range(3):
        scene, sample = make_scene(config, i), SyntheticScenes(config, 3)[i]
        other = next(name for name in scene.names if name != scene.target)
        assert sample.others.boxes.tolist() == [list(scene.objects[k].box) for k in scene.of_kind(other)]
        assert torch.equal(sample.others.boxes, scene_sample(scene, other).boxes)
        torch.testing.assert_close(read[i].others.boxes, sample.others.boxes)
        torch.testing.assert_close(read[i].others.weights, sample.others.weights, atol=0.01, rtol=0.0)
    alone = next(s for s in scenes("default") if len(s.names) == 1)
    assert scene_sample(alone, alone.target).others.boxes.shape == (0, 4)


def test_a_crop_of_a_scene_shows_some_of_the_other_kinds_as_negatives():
    crop = TrainCrop(Crop(size=160, negatives=1.0, box_jitter=0.0, look=None))
    data = MixedDataset([SyntheticScenes(PRESETS["two-kinds"], 6)], None, 0, crop)
    numbers = [len(data[i].negatives) for i in range(12)]
    assert max(numbers) > 0
    assert sum(n > 0 for n in numbers) >= 6


def test_a_contact_sheet_shows_every_scene():
    sheet = contact_sheet(scenes("default", 3), columns=2)
    cells = [sheet.crop((x, y, x + 400, y + 400)) for x, y in ((0, 0), (420, 0), (0, 436), (420, 436))]
    assert [bool(cell.getbbox()) for cell in cells] == [True, True, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test"}, "expected 'train' or 'val'"),
        ({"objects": (0, 5)}, "objects"),
        ({"size": (30.0, 10.0)}, "size"),
        ({"objects": (1, 5000)}, "at most 2000"),
    ],
)
def test_impossible_configs_are_told(change, message):
    with pytest.raises(LikewiseError, match=message):
        replace(SMALL, **change)


def test_an_unknown_preset_is_told_with_the_nearest():
    with pytest.raises(LikewiseError, match="'wide-scale'"):
        SceneConfig.preset("wide-scal")
    assert SceneConfig.preset("two-kinds").two_kinds
    assert SceneConfig.preset("near-twins").twin_share == 1
    assert SceneConfig.preset("assortment").kinds is not None
    assert SceneConfig.preset("crowds").objects[0] > 50
    assert "glow" in SceneConfig.preset("cells").settings
    assert SceneConfig.preset("receding").settings == ("receding",)


def test_the_ground_of_hidden_things_has_their_colours(monkeypatch):
    config = replace(SceneConfig.hidden(), side=(192, 256), objects=(3, 20), size=(20, 60), emoji=False, seed=3)
    hidden = np.mean([_ground_like_the_things(make_scene(config, index)) for index in range(6)])
    monkeypatch.setitem(SETTINGS, "hidden", replace(SETTINGS["hidden"], hidden=False))
    bare = np.mean([_ground_like_the_things(make_scene(config, index)) for index in range(6)])
    assert hidden > bare + 0.1


def _ground_like_the_things(scene):
    """Share of the ground that is about as bright and as coloured as the target is on average."""
    mine = np.isin(scene.owner, [1 + i for i in scene.of_kind(scene.target)])
    apart = np.abs(scene.image[scene.owner == 0] - scene.image[mine].mean(0)).max(-1)
    return (apart < 60).mean()
