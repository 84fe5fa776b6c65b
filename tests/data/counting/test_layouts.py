"""FSCD-147's, ShanghaiTech's and MCAC's own layouts, on small folders of the same form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from likewise.data.counting.fscd147 import FSCD147
from likewise.data.counting.mcac import MCAC
from likewise.data.counting.shanghaitech import ShanghaiTech
from likewise.data.open_dataset import open_counting
from likewise.errors import LikewiseError

DOTS = [[10.0, 10.0], [30.0, 12.0], [50.0, 30.0]]


def fsc147(root: Path) -> Path:
    (root / "images_384_VarV2").mkdir(parents=True)
    corners = [[[6, 6], [6, 15], [15, 15], [15, 6]]]
    record = {"points": DOTS, "box_examples_coordinates": corners}
    for name in ("1.jpg", "2.jpg"):
        Image.new("RGB", (64, 40)).save(root / "images_384_VarV2" / name)
    (root / "annotation_FSC147_384.json").write_text(json.dumps({"1.jpg": record, "2.jpg": record}))
    splits = {"train": ["1.jpg"], "val": [], "test": ["2.jpg"]}
    (root / "Train_Test_Val_FSC_147.json").write_text(json.dumps(splits))
    return root


def instances(path: Path, boxes: list[list[float]], **size: int) -> None:
    path.parent.mkdir(exist_ok=True)
    records = [{"id": i, "image_id": 7, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)]
    images = [{"id": 7, "file_name": "2.jpg", **size}]
    path.write_text(json.dumps({"images": images, "annotations": records, "categories": [{"id": 1, "name": "fg"}]}))


@pytest.mark.parametrize("where", ["instances_test.json", "annotations/instances_test.json"])
def test_fscd147_gives_each_point_its_box(where: str, tmp_path: Path):
    root = fsc147(tmp_path)
    # for a picture of twice the size, in another order than the dots
    instances(root / where, [[90, 50, 20, 20], [50, 14, 20, 20], [10, 12, 20, 16]], width=128, height=80)
    data = open_counting(root, "test")
    assert isinstance(data, FSCD147)
    sample = data[0]
    assert sample.points.tolist() == DOTS
    assert sample.boxes.tolist() == [[5, 6, 15, 14], [25, 7, 35, 17], [45, 25, 55, 35]]
    assert sample.exemplars.tolist() == [[6, 6, 15, 15]]
    assert sample.count == 3
    train = FSCD147(root, "train")[0]
    assert train.known.sum() == 1


def test_fscd147_with_fewer_or_more_boxes_than_points_keeps_the_points(tmp_path: Path):
    root = fsc147(tmp_path)
    instances(root / "instances_test.json", [[46, 26, 9, 9]])
    sample = FSCD147(root, "test")[0]
    assert sample.known.tolist() == [False, False, True]
    assert sample.count == 3
    instances(root / "instances_test.json", [[x, 5, 6, 6] for x in range(0, 50, 7)])
    sample = FSCD147(root, "test")[0]
    assert bool(sample.known.all())
    (root / "instances_test.json").write_text('{"images": [{"id": 1}]}')
    with pytest.raises(LikewiseError, match="not in COCO's format"):
        FSCD147(root)
    (root / "instances_test.json").unlink()
    with pytest.raises(LikewiseError, match="the boxes of FSCD-147"):
        FSCD147(root)


def part(root: Path, heads: dict[str, list[list[float]]], truth: str = "ground_truth") -> Path:
    for split, numbers in (("train_data", heads), ("test_data", {"1": [[1.0, 2.0]]})):
        (root / split / "images").mkdir(parents=True)
        (root / split / truth).mkdir()
        for number, points in numbers.items():
            Image.new("RGB", (50, 40)).save(root / split / "images" / f"IMG_{number}.jpg")
            location = np.empty((1, 1), object)
            location[0, 0] = {"location": np.array(points, float).reshape(-1, 2), "number": len(points)}
            savemat(root / split / truth / f"GT_IMG_{number}.mat", {"image_info": location})
    return root


@pytest.mark.parametrize("truth", ["ground_truth", "ground-truth"])
def test_shanghaitech_has_a_point_a_head_in_the_order_of_the_numbers(truth: str, tmp_path: Path):
    part(tmp_path / "part_A_final", {"10": [[50.2, -0.4], [3.5, 4.5]], "2": []}, truth)
    data = open_counting(tmp_path, "train")
    assert isinstance(data, ShanghaiTech)
    assert data.names == ("train_data/IMG_2.jpg", "train_data/IMG_10.jpg")
    assert data[0].count == 0
    np.testing.assert_allclose(data[1].points, [[49.999, 0], [3.5, 4.5]], atol=1e-5)
    assert (data[1].prompt, len(data[1].exemplars), bool(data[1].known.any())) == ("people", 0, False)
    assert len(open_counting(tmp_path)) == 3
    assert len(ShanghaiTech(tmp_path / "part_A_final", "test")) == 1
    for category in ("people", "Person"):
        assert len(open_counting(tmp_path, "test", category)) == 1
    with pytest.raises(LikewiseError, match="no category 'cars'"):
        open_counting(tmp_path, "test", "cars")


def test_what_shanghaitech_lacks_is_told(tmp_path: Path):
    with pytest.raises(LikewiseError, match="no train_data/images"):
        ShanghaiTech(tmp_path)
    one = part(tmp_path / "part_A", {"1": [[1.0, 1.0]]})
    with pytest.raises(LikewiseError, match=r"no split 'tset'.*test"):
        ShanghaiTech(one, "tset")
    truth = one / "train_data" / "ground_truth" / "GT_IMG_1.mat"
    truth.write_bytes(b"MATLAB 5.0 MAT-file, broken")
    with pytest.raises(LikewiseError, match="does not hold image_info"):
        ShanghaiTech(one, "train")[0]
    truth.unlink()
    with pytest.raises(LikewiseError, match="no such file"):
        ShanghaiTech(one, "train")[0]
    part(tmp_path / "part_B", {"1": [[1.0, 1.0]]})
    with pytest.raises(LikewiseError, match="part_A and part_B; give one of them"):
        open_counting(tmp_path)


def mcac(root: Path) -> Path:
    """A picture of 800 x 700 with two kinds; its middle begins at (64, 14)."""
    folder = root / "test" / "12"
    folder.mkdir(parents=True)
    pixels = np.zeros((700, 800, 3), np.uint8)
    pixels[14, 64] = 200
    Image.fromarray(pixels).save(folder / "img.png")
    first = {
        "centers_crop672": [[0.5, 0.75, 3.0], [0.25, 0.0, 3.0], [0.9, 0.9, 1.0]],
        "occlusions_crop672": [30, 10, 70],
        "bboxes_crop672": [[[158, 178], [326, 346]], [[660, 680], [158, 178]], [[0, 9], [0, 9]]],
        "centers": [[0.1, 0.9, 0.0]],
        "occlusions": [0],
        "bboxes": [[[60, 80], [70, 90]]],
    }
    hidden = {**first, "occlusions_crop672": [100, 90, 70], "occlusions": [80]}
    (folder / "info_with_occ_bbox.json").write_text(json.dumps({"countables": [hidden, first]}))
    return root


def test_mcac_has_a_sample_a_kind_of_what_is_not_hidden(tmp_path: Path):
    data = open_counting(mcac(tmp_path), "test")
    assert isinstance(data, MCAC)
    assert data.names == ("test/12:1",)
    sample = data[0]
    assert sample.image.shape == (3, 672, 672)
    assert sample.image[:, 0, 0].tolist() == [200] * 3
    torch.testing.assert_close(sample.points, torch.tensor([[336.0, 168.0], [168.0, 672 - 1e-3]]))
    assert sample.boxes.tolist() == [[326, 158, 346, 178], [158, 660, 178, 672]]
    assert sample.exemplars.tolist() == [[158, 660, 178, 672], [326, 158, 346, 178]]
    assert sample.visible is not None
    torch.testing.assert_close(sample.visible, torch.tensor([0.7, 0.9]))
    assert len(open_counting(tmp_path, exemplars=1)[0].exemplars) == 1
    whole = MCAC(tmp_path, crop=None)[0]
    assert whole.image.shape == (3, 700, 800)
    torch.testing.assert_close(whole.points, torch.tensor([[80.0, 70.0]]))
    assert whole.boxes.tolist() == [[70, 60, 90, 80]]


def test_what_mcac_lacks_is_told(tmp_path: Path):
    root = mcac(tmp_path)
    with pytest.raises(LikewiseError, match=r"no split 'tests'.*test"):
        MCAC(root, "tests")
    with pytest.raises(LikewiseError, match="occlusions_crop300"):
        MCAC(root, crop=300)
    with pytest.raises(LikewiseError, match="no category 'shoes'"):
        open_counting(root, category="shoes")
    with pytest.raises(LikewiseError, match="exemplars = -1"):
        MCAC(root, exemplars=-1)
    Image.new("RGB", (600, 700)).save(root / "test" / "12" / "img.png")
    with pytest.raises(LikewiseError, match="600 x 700 pixels; expected at least 672"):
        MCAC(root)[0]
    (root / "test" / "12" / "info_with_occ_bbox.json").write_text('{"countables": []}')
    with pytest.raises(LikewiseError, match="nothing to count"):
        MCAC(root)
    (root / "test" / "12" / "info_with_occ_bbox.json").unlink()
    with pytest.raises(LikewiseError, match="which MCAC comes with"):
        MCAC(root)
