"""The tables of what was published: their values are the recipes', and where they are not, it is said why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likewise.data.fewshot.crops import EpisodeCrop, cropped
from likewise.engine.published import Setting, default
from likewise.errors import LikewiseError
from likewise.methods.s3n import S3N, Config
from likewise.recipes import recipe, recipe_names
from likewise.recipes.fwb_benchmarks import FwbBenchmark, crop_of
from likewise.recipes.s3n_fine_grained import S3nAircraft, S3nCars, S3nCub
from likewise.registry import preset

TABLES = [name for name in recipe_names() if recipe(name).published]


@pytest.mark.parametrize("name", TABLES)
def test_a_recipe_does_what_was_published_or_says_why_not(name: str):
    table = recipe(name).published
    assert len({each.name for each in table}) == len(table)
    for each in table:
        assert each.source, each.name
        assert each.same != bool(each.why), each


def test_methods_have_their_tables():
    assert {"s3n-cub", "s3n-aircraft", "s3n-cars", "fwb-pascal5i", "fwb-coco20i"} <= set(TABLES)
    assert {"vlcounter-fsc147", "countx-fsc147"} <= set(TABLES)
    assert not {"s3n-lite", "fwb-lite", "fwb-clothing", "countx-lite", "vlcounter-ablation"} & set(TABLES)


def test_ours_is_asked_for_and_compared():
    @dataclass
    class Numbers:
        given: int
        rate: float = 0.1

    row = Setting("rate", 0.3, "a paper", lambda: default(Numbers, "rate")() * 3)
    assert row.same
    assert row.row == ("rate", "0.3", "0.3", "a paper")
    other = Setting("rate", 0.4, "a paper", default(Numbers, "rate"), why="slower is enough")
    assert not other.same
    assert other.row == ("rate", "0.4", "0.1 (slower is enough)", "a paper")
    for wrong in ("given", "rat"):
        with pytest.raises(LikewiseError, match="no default"):
            default(Numbers, wrong)()


@pytest.mark.parametrize("settings", [S3nCub, S3nAircraft, S3nCars])
def test_s3ns_rates_and_stages(settings: type[S3nCub]):
    config = settings(data=Path("CUB"), steps=60 * 375)
    assert [config.rate(epoch * 375) for epoch in (0, 30, 39, 40, 59)] == pytest.approx([1, 1, 1, 0.1, 0.1])
    model = S3N(Config(classes=4, trunk="resnet18"))
    rates = {id(p): group["lr"] for group in model.parameter_groups(config.lr) for p in group["params"]}
    for branch in model.branches.values():
        assert rates[id(branch.radius)] == 1e-7
        assert rates[id(branch.conv.weight)] == rates[id(branch.norm.weight)] == 1e-3
        assert rates[id(branch.classify.weight)] == 1e-2
    assert rates[id(model.joined.weight)] == rates[id(model.origin.weight)] == 1e-2
    assert {rates[id(p)] for p in model.trunk.parameters()} == {1e-3}
    early = []
    for epoch in (20, 21):
        model.begin_step(epoch * 375 / config.steps)
        early.append(model._early)
    assert early == [True, False]


def test_fwbs_rates_crops_and_the_presets_way():
    config = FwbBenchmark(data=Path("VOC"))
    assert config.weight_decay == 1e-4
    assert [config.rate(step) for step in (0, 5000, 9999)] == pytest.approx([1, 0.5**0.9, 1e-4**0.9])
    colour = (124, 116, 104)  # 255 x (0.485, 0.456, 0.406), which the network sees as about 0
    assert crop_of(config) == EpisodeCrop(512, scale=None, mirror=False, least=0.0, outside=colour, centred=True)
    for name in ("fwb", "fwb-vgg16"):
        numbers = preset(name).config
        assert (numbers.support_gradient, numbers.unlabelled, numbers.shots) == (False, "background", "sum")
        assert numbers.norms == "batch"


@pytest.mark.parametrize("size", [(20, 30), (21, 29), (39, 40), (20, 40)])
def test_a_published_crop_has_small_pictures_in_its_middle_on_their_mean_colour(size):
    height, width = size
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    mask = (torch.rand(size) < 0.3).to(torch.uint8)
    crop = replace(crop_of(FwbBenchmark(data=Path("VOC"))), size=40)
    seen, label = cropped(image, mask, crop, np.random.default_rng(0), example=True)
    top, left = (1 + 40 - height) // 2, (1 + 40 - width) // 2  # as ZeroPad2d pads on every side, before the crop
    assert torch.equal(seen[:, top : top + height, left : left + width], image)
    assert torch.equal(label[top : top + height, left : left + width], mask)
    assert int((label == 255).sum()) == 40 * 40 - height * width
    outside = seen.permute(1, 2, 0)[label == 255]
    assert bool((outside == torch.tensor([124, 116, 104])).all())
    means, stds = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    assert float(((torch.tensor([124, 116, 104]) / 255 - means) / stds).abs().max()) < 0.01


def test_a_crop_without_a_colour_is_the_picture_itself_on_black_labelled_255():
    image = torch.randint(1, 256, (3, 20, 30), dtype=torch.uint8)
    mask = (torch.rand(20, 30) < 0.3).to(torch.uint8)
    crop = EpisodeCrop(size=40, scale=None, mirror=False)
    seen, label = cropped(image, mask, crop, np.random.default_rng(0), example=True)
    rows, columns = torch.nonzero(seen.sum(0) > 0, as_tuple=True)
    y, x = int(rows.min()), int(columns.min())
    assert torch.equal(seen[:, y : y + 20, x : x + 30], image)
    assert torch.equal(label[y : y + 20, x : x + 30], mask)
    assert int((label == 255).sum()) == 40 * 40 - 20 * 30
    assert int(seen.sum()) == int(image.sum())
    inside, part = cropped(
        image, mask, EpisodeCrop(size=8, scale=None, mirror=False), np.random.default_rng(1), example=False
    )
    windows = image.unfold(1, 8, 1).unfold(2, 8, 1).permute(1, 2, 0, 3, 4)
    assert bool((windows == inside).flatten(2).all(2).any())
    assert part.shape == (8, 8)
