"""FSC-147's own layout: the small fixture, the real split, class and text files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from likewise.data.counting.fsc147 import FSC147, read_classes, read_splits, read_texts
from likewise.errors import LikewiseError


@pytest.fixture(scope="module")
def mini(data_dir: Path) -> Path:
    return data_dir / "fsc147" / "mini"


def test_samples_are_what_the_file_says(mini: Path):
    records = json.loads((mini / "annotation_FSC147_384.json").read_text())
    data = FSC147(mini)
    assert sorted(data.names) == sorted(records)
    for i, name in enumerate(data.names):
        sample, record = data[i], records[name]
        assert sample.name == name
        assert sample.size[0] == 384
        np.testing.assert_allclose(sample.points, record["points"], rtol=1e-6)
        for box, quad in zip(sample.exemplars.tolist(), record["box_examples_coordinates"], strict=True):
            (x0, y0), (_, y1), (x1, _), _ = quad
            assert box == [x0, y0, x1, y1]


def test_a_box_goes_to_the_point_it_belongs_to(mini: Path):
    data = FSC147(mini)
    for i in range(len(data)):
        sample = data[i]
        assert int(sample.known.sum()) == 3
        for box, point in zip(sample.boxes[sample.known], sample.points[sample.known], strict=True):
            assert (box[:2] < point).all()
            assert (point < box[2:]).all()


def test_boxes_and_points_lie_on_the_objects(mini: Path, data_dir: Path):
    """The nuclei of the fixture shine on black: their boxes and points must be brighter than the rest."""
    data = FSC147(mini, "train")
    for i in range(len(data)):
        sample = data[i]
        grey = sample.image.float().mean(dim=0)
        x, y = sample.points.long().T
        at_points = grey[y, x].median()
        in_boxes = torch.stack(
            [grey[int(t) : int(b), int(s) : int(r)].mean() for s, t, r, b in sample.exemplars]
        ).mean()
        background = grey.median()
        assert abs(at_points - background) > 10
        assert (at_points - background) * (in_boxes - background) > 0


def test_counts_of_the_fixture(mini: Path):
    counts = {FSC147(mini)[i].name: FSC147(mini)[i].count for i in range(4)}
    assert counts == {"900001.jpg": 42, "900002.jpg": 49, "900003.jpg": 16, "900004.jpg": 4}
    for name, count in counts.items():
        density = np.load(mini / "gt_density_map_adaptive_384_VarV2" / name.replace("jpg", "npy"))
        assert density.sum() == pytest.approx(count, rel=1e-3)


def test_splits_classes_and_texts(mini: Path):
    assert FSC147(mini, "train").names == ("900001.jpg", "900002.jpg")
    assert FSC147(mini, category="platelets").names == ("900004.jpg",)
    assert FSC147(mini, "val")[0].prompt == read_classes(mini)["900003.jpg"]
    assert FSC147(mini, "val", prompts="texts")[0].prompt == "the red blood cells"


def test_the_real_files(data_dir: Path):
    splits = read_splits(data_dir / "fsc147")
    sizes = {"train": 3659, "val": 1286, "test": 1190, "val_coco": 277, "test_coco": 282}
    assert {name: len(files) for name, files in splits.items()} == sizes
    classes, texts = read_classes(data_dir / "fsc147"), read_texts(data_dir / "fsc147")
    assert classes["2.jpg"] == "sea shells"
    assert texts["2.jpg"] == "the sea shells"
    known = {name for split in ("train", "val", "test") for name in splits[split]}
    assert len(known) == 6135
    assert known <= classes.keys()
    assert len({classes[name] for name in known}) == 147


def test_errors(mini: Path, tmp_path: Path, data_dir: Path):
    with pytest.raises(LikewiseError, match=r"no split 'valid'; did you mean 'val'"):
        FSC147(mini, "valid")
    with pytest.raises(LikewiseError, match=r"no class 'platelet'; did you mean 'platelets'"):
        FSC147(mini, category="platelet")
    with pytest.raises(LikewiseError, match="of class 'platelets'"):
        FSC147(mini, "val", "platelets")
    with pytest.raises(LikewiseError, match=r"no annotation_FSC147_384.json, which FSC-147 comes with"):
        FSC147(data_dir / "fsc147")
    copy = shutil.copytree(mini, tmp_path / "copy")
    (copy / "images_384_VarV2" / "900003.jpg").unlink()
    with pytest.raises(LikewiseError, match=r"no such file: .*900003.jpg; did you mean"):
        FSC147(copy, "val")[0]
    records = json.loads((copy / "annotation_FSC147_384.json").read_text())
    del records["900003.jpg"]
    (copy / "annotation_FSC147_384.json").write_text(json.dumps(records))
    with pytest.raises(LikewiseError, match=r"lacks 1 of the pictures, such as 900003.jpg"):
        FSC147(copy, "val")


def test_points_and_boxes_beyond_the_border_stay_and_are_cut(mini: Path, tmp_path: Path):
    copy = shutil.copytree(mini, tmp_path / "copy")
    records = json.loads((copy / "annotation_FSC147_384.json").read_text())
    width = FSC147(mini, "val")[0].size[1]
    record = records["900003.jpg"]
    record["points"] = [[width, 10], [5, 384.4], [-0.3, 3]]
    record["box_examples_coordinates"][0] = [[-3, 5], [-3, 20], [14, 20], [14, 5]]
    record["box_examples_coordinates"][1] = [[width + 2, 5], [width + 2, 20], [width + 9, 20], [width + 9, 5]]
    (copy / "annotation_FSC147_384.json").write_text(json.dumps(records))
    sample = FSC147(copy, "val")[0]
    assert sample.count == 3
    limit = torch.tensor([width, 384])
    assert ((sample.points >= 0) & (sample.points < limit)).all()
    assert sample.exemplars.shape == (2, 4)
    assert sample.exemplars[0].tolist() == [0, 5, 14, 20]
