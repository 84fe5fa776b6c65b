"""Which layout a folder has: each is told by what is in it, and a folder of none gets the nearest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from likewise.data.counting.carpk import CARPK
from likewise.data.counting.folder import CountingFolder
from likewise.data.open_dataset import LAYOUTS, layout_of, open_counting, open_labelled, open_named
from likewise.errors import LikewiseError

#: What tells each layout, as the sets' own documents have it.
FILES = {
    "FSC-147": ("count", ["annotation_FSC147_384.json"]),
    "FSCD-147": ("count", ["annotation_FSC147_384.json", "annotations/instances_test.json"]),
    "ShanghaiTech": ("count", ["part_A/train_data/images/IMG_1.jpg"]),
    "MCAC": ("count", ["test/1/info_with_occ_bbox.json", "test/1/img.png"]),
    "CARPK or PUCPR+": ("count", ["Images/a.png", "Annotations/a.txt", "ImageSets/test.txt"]),
    "a counting folder": ("count", ["annotations.json"]),
    "PASCAL-5i": ("segment", ["VOCdevkit/VOC2012/JPEGImages/a.jpg"]),
    "COCO-20i": ("segment", ["annotations/instances_val2014.json"]),
    "labels in a folder": ("segment", ["index.json", "folds.json"]),
    "CUB-200-2011": ("recognize", ["image_class_labels.txt", "images/001.A/a.jpg"]),
    "FGVC-Aircraft": ("recognize", ["data/variants.txt"]),
    "Stanford Cars": ("recognize", ["devkit/cars_meta.mat"]),
    "an index": ("recognize", ["index.json", "classes.json", "images/a.jpg"]),
    "a folder a class": ("recognize", ["apple/1.jpg", "pear/1.jpg"]),
}
OPEN = {"count": open_counting, "segment": open_labelled, "recognize": open_named}


def made(root: Path, files: list[str]) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_every_layout_is_told_by_its_files(tmp_path: Path):
    assert set(FILES) == {layout.name for layouts in LAYOUTS.values() for layout in layouts}
    for i, (name, (task, files)) in enumerate(FILES.items()):
        root = made(tmp_path / str(i), files)
        assert layout_of(root, task, LAYOUTS[task]).name == name


def test_the_devkits_of_car_parks_are_opened(tmp_path: Path):
    data = made(tmp_path / "PUCPR+_devkit" / "data", FILES["CARPK or PUCPR+"][1])
    Image.new("RGB", (40, 30)).save(data / "Images" / "a.png")
    (data / "Annotations" / "a.txt").write_text("1 1 9 9 1\n20 5 30 12 1\n")
    (data / "ImageSets" / "test.txt").write_text("a\n")
    found = open_counting(tmp_path, "test", "Cars", exemplars=1)
    assert isinstance(found, CARPK)
    assert (found[0].count, len(found[0].exemplars), len(open_counting(tmp_path)[0].exemplars)) == (2, 1, 0)
    with pytest.raises(LikewiseError, match="no category 'lorries'"):
        open_counting(tmp_path, None, ("cars", "lorries"))
    with pytest.raises(LikewiseError, match="prompts = 'texts' is a choice that FSC-147 gives"):
        open_counting(tmp_path, prompts="texts")


def test_a_counting_folder_is_opened_by_its_file_too(tmp_path: Path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    content = {"images": [{"id": 1, "file_name": "a.png", "count": 3}]}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (tmp_path / "others.json").write_text(json.dumps(content))
    for root in (tmp_path, tmp_path / "annotations.json", tmp_path / "others.json"):
        data = open_counting(root)
        assert isinstance(data, CountingFolder)
        assert data[0].count == 3
    with pytest.raises(LikewiseError, match="prompts = 'classes'"):
        open_counting(tmp_path, prompts="classes")


@pytest.mark.parametrize(
    ("task", "files", "message"),
    [
        ("count", [], r"no pictures to count; expected a counting folder \(annotations\.json\), "
         r"MCAC \(train/1/info_with_occ_bbox\.json\), ShanghaiTech \(train_data/images\), "
         r"CARPK or PUCPR\+ \(Images \+ Annotations \+ ImageSets\), FSC-147 \(annotation_FSC147_384\.json\), "
         r"FSCD-147 \(annotation_FSC147_384\.json \+ instances_\*\.json\)$"),
        ("count", ["annotation.json"], r"the nearest is a counting folder, of which it lacks annotations\.json; "
         r"annotation\.json is there instead$"),
        ("count", ["Images/a.png", "ImageSets/a.txt"], r"nearest is CARPK or PUCPR\+, of which it lacks Annotations$"),
        ("count", ["CARPK_devkit/data/ImageSets/test.txt"], r"nearest is CARPK or PUCPR\+, of which it lacks "
         r"CARPK_devkit/data/Images and CARPK_devkit/data/Annotations$"),
        ("count", FILES["CUB-200-2011"][1], r"; it is CUB-200-2011, which has named pictures$"),
        ("segment", FILES["an index"][1], r"no labelled pictures; expected labels in a folder "
         r"\(index\.json \+ folds\.json\), .*; it is an index, which has named pictures$"),
        ("segment", ["VOC2021/a"], r"the nearest is PASCAL-5i, of which it lacks VOC2012; VOC2021 is there instead$"),
        ("recognize", ["folds.json", "index.json"], r"; it is labels in a folder, which has labelled pictures$"),
        ("recognize", ["classes.json"], r"the nearest is an index, of which it lacks index\.json"),
    ],
)  # fmt: skip
def test_a_folder_of_no_layout_gets_the_nearest(task: str, files: list[str], message: str, tmp_path: Path):
    with pytest.raises(LikewiseError, match=message):
        OPEN[task](made(tmp_path, files))


@pytest.mark.parametrize("task", OPEN)
def test_a_folder_that_is_not_there_gets_the_nearest_name(task: str, tmp_path: Path):
    (tmp_path / "flowers").mkdir()
    with pytest.raises(LikewiseError, match=r"no such folder: .*flower; did you mean 'flowers'\?"):
        OPEN[task](tmp_path / "flower")
