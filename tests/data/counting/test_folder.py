"""Counting folders: what is read from a file, made up here, and from the real sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.data.counting.folder import CountingFolder
from likewise.data.open_dataset import open_counting
from likewise.errors import LikewiseError

CATEGORIES = [
    {"id": 1, "name": "apple", "plural": "apples"},
    {"id": 7, "name": "pear", "plural": "pears", "source_name": "PEAR_v2"},
]


def note(number: int, image: int, category: int | None, bbox: list[float] | None, **more: Any) -> dict[str, Any]:
    record = {"id": number, "image_id": image, "bbox": bbox, **more}
    return record if category is None else record | {"category_id": category}


def written(folder: Path, images: list[dict[str, Any]], notes: list[dict[str, Any]] | None = None, **more: Any) -> Path:
    """A folder with a 40 x 30 picture for every record, unless there is one already."""
    for image in images:
        path = folder / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            Image.fromarray(np.full((30, 40, 3), 9, np.uint8)).save(path)
    content = {"images": images, "categories": CATEGORIES, **({"annotations": notes} if notes else {}), **more}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def image(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"images/{number}.png", "width": 40, "height": 30, **more}


def ask(x: float, category: int | None = None) -> dict[str, Any]:
    record = {"bbox": [x, 1, 4, 5]}
    return record if category is None else record | {"category_id": category}


def test_boxes_points_and_exemplars_of_one_kind(tmp_path: Path):
    notes = [
        note(1, 1, 1, [2, 3, 10, 8]),
        note(2, 1, 1, [20, 4, 6, 6], point=[22.5, 9]),
        note(3, 1, 1, None, point=[1, 2]),
    ]
    data = CountingFolder(written(tmp_path, [image(1, exemplars=[ask(2, 1), [5, 6, 9, 11]])], notes))
    sample = data[0]
    assert len(data) == 1
    assert sample.image.shape == (3, 30, 40)
    assert sample.points.tolist() == [[7, 7], [22.5, 9], [1, 2]]
    assert sample.boxes[:2].tolist() == [[2, 3, 12, 11], [20, 4, 26, 10]]
    assert sample.boxes[2].isnan().all()
    assert sample.exemplars.tolist() == [[2, 1, 6, 6], [5, 6, 9, 11]]
    assert (sample.name, sample.prompt, sample.count) == ("images/1.png", "apples", 3)
    torch.testing.assert_close(sample.sizes(), torch.tensor([80**0.5, 6, (80**0.5 + 6) / 2]))


def mixed(folder: Path) -> Path:
    notes = [note(i, 1, c, [3 * i, 1, 4, 5]) for i, c in ((1, 1), (2, 1), (3, 7), (4, 7), (5, 7))]
    notes += [note(6, 2, 7, [9, 9, 3, 3]), note(7, 2, 1, [19, 9, 3, 3])]
    images = [image(1, exemplars=[ask(3, 1), ask(9, 7), ask(12, 7)]), image(2, exemplars=[ask(9, 7)])]
    return written(folder, images, notes)


def contents(data: CountingFolder) -> list[tuple[str, str | None, float, int]]:
    return [(s.name[7], s.prompt, s.count, len(s.exemplars)) for s in (data[i] for i in range(len(data)))]


def test_a_picture_gives_a_sample_for_every_kind_of_its_exemplars(tmp_path: Path):
    mixed(tmp_path)
    assert contents(CountingFolder(tmp_path)) == [("1", "apples", 2, 1), ("1", "pears", 3, 2), ("2", "pears", 1, 1)]


@pytest.mark.parametrize("name", ["pear", "pears", "Pears", "PEAR_v2", "7"])
def test_one_category_by_any_of_its_names(tmp_path: Path, name: str):
    mixed(tmp_path)
    assert contents(CountingFolder(tmp_path, category=name)) == [("1", "pears", 3, 2), ("2", "pears", 1, 1)]


def test_several_categories_and_all_targets(tmp_path: Path):
    mixed(tmp_path)
    both = CountingFolder(tmp_path, category=("pear", "apple"))
    assert contents(both) == [("1", "pears", 3, 2), ("1", "apples", 2, 1), ("2", "pears", 1, 1)]
    everything = CountingFolder(tmp_path, targets="all")
    assert contents(everything)[2:] == [("2", "apples", 1, 0), ("2", "pears", 1, 1)]
    assert contents(CountingFolder(tmp_path, category="apple", targets="all"))[1] == ("2", "apples", 1, 0)


def test_a_plain_exemplar_is_of_the_kind_it_lies_on(tmp_path: Path):
    notes = [note(1, 1, 1, [3, 3, 8, 8]), note(2, 1, 7, [20, 3, 8, 8]), note(3, 1, 7, [20, 15, 8, 8])]
    written(tmp_path, [image(1, exemplars=[[19, 2, 28, 11]])], notes)
    assert contents(CountingFolder(tmp_path)) == [("1", "pears", 2, 1)]


def test_an_exemplar_is_of_the_kind_of_its_annotation(tmp_path: Path):
    notes = [note(1, 1, 1, [3, 3, 8, 8]), note(2, 1, 7, [20, 3, 8, 8])]
    written(tmp_path, [image(1, exemplars=[{"annotation_id": 2, "bbox": [1, 1, 2, 2]}])], notes)
    assert contents(CountingFolder(tmp_path)) == [("1", "pears", 1, 1)]


def test_a_count_is_the_truth_where_nothing_is_annotated(tmp_path: Path):
    notes = [note(1, 2, 1, [3, 3, 8, 8])]
    images = [
        image(1, count=57, exemplars=[[1, 2, 5, 6]]),
        image(2, count=99, exemplars=[[3, 3, 11, 11]]),
        image(3, count=0),
    ]
    data = CountingFolder(written(tmp_path, images, notes))
    assert [data[i].count for i in range(3)] == [57, 1, 0]
    assert data[0].points.shape == (0, 2)


def test_without_categories_or_sizes_and_with_bare_file_names(tmp_path: Path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "images" / "b.png")
    images = [
        {"id": "x", "file_name": "a.png", "prompt": "red dots", "exemplars": [[1, 1, 4, 4]]},
        {"id": 2, "file_name": "b.png"},
    ]
    notes = [
        {"image_id": "x", "point": [2, 2]},
        {"image_id": "x", "point": [9, 9]},
        {"image_id": 2, "bbox": [1, 1, 3, 3]},
    ]
    (tmp_path / "annotations.json").write_text(json.dumps({"images": images, "annotations": notes}))
    data = CountingFolder(tmp_path / "annotations.json")
    assert [(data[i].count, data[i].prompt) for i in (0, 1)] == [(2, "red dots"), (1, None)]


def test_crowds_are_left_out_and_visibility_is_kept(tmp_path: Path):
    notes = [
        note(1, 1, 1, [3, 3, 8, 8], visible=0.25),
        note(2, 1, 1, [0, 0, 30, 30], iscrowd=1),
        note(3, 1, 1, [20, 3, 8, 8], visible=1),
    ]
    sample = CountingFolder(written(tmp_path, [image(1, exemplars=[[3, 3, 11, 11]])], notes))[0]
    assert sample.count == 2
    assert sample.visible is not None
    assert sample.visible.tolist() == [0.25, 1.0]


def test_unknown_names_get_the_nearest(tmp_path: Path):
    written(
        tmp_path,
        [image(1, split="train", exemplars=[[1, 1, 2, 2]]), image(2, split="val")],
        [note(1, 1, 1, [1, 1, 2, 2])],
    )
    with pytest.raises(LikewiseError, match=r"no split 'vall'; did you mean 'val'\?"):
        CountingFolder(tmp_path, "vall")
    with pytest.raises(LikewiseError, match=r"no category 'aple'; did you mean 'apples'\?"):
        CountingFolder(tmp_path, category="aple")
    with pytest.raises(LikewiseError, match=r"no category 'zebra'; there are apples, pears"):
        CountingFolder(tmp_path, category="zebra")
    with pytest.raises(LikewiseError, match=r"no picture to count with split 'val', category 'pear'"):
        CountingFolder(tmp_path, "val", "pear")
    with pytest.raises(LikewiseError, match=r"no such folder: .*did you mean"):
        CountingFolder(tmp_path.parent / (tmp_path.name + "x"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{,", "is not JSON: Expecting property name"),
        ("[]", "no list 'images'"),
        ('{"images": {}}', "no list 'images'"),
        ('{"images": [{"id": 1}]}', r"images\[0\] has no 'file_name'"),
        ('{"images": [3]}', r"images\[0\] has no 'id' and no 'file_name'"),
        ('{"images": [], "annotations": [{}]}', r"annotations\[0\] has no 'image_id'"),
        ('{"images": []}', "has no picture to count"),
        ('{"images": [{"id": 1, "file_name": "a", "exemplars": [[1, 2, 3]]}]}', r"a: exemplar is \[1, 2, 3\]"),
        ('{"images": [{"id": 1, "file_name": "a", "exemplars": [{"bbox": "x"}]}]}', "a: exemplar bbox is 'x'"),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1}]}',
            "annotation of image 1: point or bbox",
        ),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_explained(tmp_path: Path, content: str, message: str):
    (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(LikewiseError, match=message):
        CountingFolder(tmp_path)


def test_a_missing_file_is_an_error_that_helps(tmp_path: Path):
    (tmp_path / "annotation.json").write_text("{}")
    with pytest.raises(LikewiseError, match=r"no annotations.json; did you mean 'annotation.json'"):
        CountingFolder(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exemplars": [[30, 1, 50, 9]]}, r"images/1.png: exemplars\[0\] .* reaches outside"),
        ({"exemplars": [[3, 1, 3, 9]]}, "zero area"),
        ({"width": 30, "height": 40}, r"images/1.png is 40 x 30 pixels, but its record says 30 x 40"),
    ],
)
def test_a_record_that_does_not_fit_its_picture_is_named_when_read(
    tmp_path: Path, change: dict[str, Any], message: str
):
    data = CountingFolder(written(tmp_path, [image(1, exemplars=[[1, 1, 3, 3]]) | change, image(2, count=3)]))
    with pytest.raises(LikewiseError, match=message):
        data[0]
    assert data[1].count == 3


def test_a_broken_picture_is_named_when_read(tmp_path: Path):
    data = CountingFolder(written(tmp_path, [image(1, count=1), image(2, count=2)]))
    path = tmp_path / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(LikewiseError, match=r"1.png cannot be read"):
        data[0]
    assert data[1].count == 2


@pytest.mark.parametrize("name", ["nuclei", "blood", "marrow", "adipocytes", "vgg_cells"])
def test_the_real_sets_hold_what_their_files_say(data_dir: Path, name: str):
    content = json.loads((data_dir / name / "annotations.json").read_text())
    data = CountingFolder(data_dir / name)
    kinds = {i["id"]: sorted({e["category_id"] for e in i["exemplars"]}) for i in content["images"]}
    files = {i["id"]: i["file_name"] for i in content["images"]}
    plural = {c["id"]: c["plural"] for c in content["categories"]}
    counts: dict[tuple[str, str], int] = {(files[i], plural[c]): 0 for i, cs in kinds.items() for c in cs}
    for a in content["annotations"]:
        if a["category_id"] in kinds[a["image_id"]]:
            counts[files[a["image_id"]], plural[a["category_id"]]] += 1
    found = {(t.file_name, t.prompt): len(t.points) for t in data.targets}
    assert found == counts
    sample = data[0]
    first = [a for a in content["annotations"] if a["image_id"] == content["images"][0]["id"]]
    first = [a for a in first if plural[a["category_id"]] == sample.prompt]
    assert sample.points.tolist() == [pytest.approx(a["point"]) for a in first]
    x, y, w, h = np.array([a["bbox"] for a in first]).T
    np.testing.assert_allclose(sample.boxes, np.stack((x, y, x + w, y + h), axis=1), rtol=1e-5)


def test_blood_white_cells_and_platelets_apart(data_dir: Path):
    white = CountingFolder(data_dir / "blood", "val", "WBC")
    platelets = CountingFolder(data_dir / "blood", "val", "platelets")
    both = CountingFolder(data_dir / "blood", "val", ("WBC", "Platelets"))
    assert len(both) == len(white) + len(platelets)
    assert {t.prompt for t in both.targets} == {"white blood cells", "platelets"}
    assert all(t.exemplars.shape[0] >= 1 for t in both.targets)


def test_a_folder_is_opened_by_its_look(data_dir: Path):
    assert type(open_counting(data_dir / "blood", "val", "platelets")).__name__ == "CountingFolder"
    assert type(open_counting(data_dir / "fsc147" / "mini", "val")).__name__ == "FSC147"
    with pytest.raises(LikewiseError, match="one class each"):
        open_counting(data_dir / "fsc147" / "mini", None, ("nuclei", "platelets"))


def opened(folder: Path, images: list[dict[str, Any]], notes: list[Any], **more: Any) -> CountingFolder:
    for each in images:
        Image.new("RGB", (40, 30)).save(folder / "a.png" if each.get("id") is None else folder / f"{each['id']}.png")
    content = {"images": images, "annotations": notes, **more}
    (folder / "annotations.json").write_text(json.dumps(content))
    return CountingFolder(folder)


def plain(number: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number}.png", **more}


DOT = {"point": [9, 9]}


@pytest.mark.parametrize(
    ("images", "notes", "more", "message"),
    [
        ([plain(1)], [{"image_id": "1", **DOT}], {}, r"one annotation belongs to no image: image_id '1'.*the number 1"),
        ([plain("1")], [{"image_id": 1, **DOT}], {}, r"to no image: image_id 1 .*the text '1', not the number 1"),
        ([plain(1)], [{"image_id": 1, **DOT}, *[{"image_id": i, **DOT} for i in (7, 8, 7)]], {},
         r"3 annotations belong to no image: image_id 7, 8 \(the first is annotations\[1\]\)"),
        ([plain("dish1")], [{"image_id": "dish", **DOT}], {}, "did you mean 'dish1'"),
        ([plain(1), {**plain(1), "file_name": "b.png"}], [], {}, r"images\[0\] and images\[1\] both have id 1"),
        ([plain(1), {**plain(2), "file_name": "1.png"}], [], {}, r"both have file_name '1.png'"),
        ([{"id": True, "file_name": "1.png"}], [], {}, "id is True; expected a number or a text"),
        ([plain(None)], [], {}, "id is None"),
        ([plain(1)], [{"image_id": [1], **DOT}], {}, r"annotations\[0\]: image_id is \[1\]"),
        ([{"id": 1, "file_name": 3}], [], {}, "file_name is 3; expected a text"),
        ([plain(1, width="40", height="30")], [], {}, "width is '40'; expected a number"),
        ([plain(1, width=40)], [], {}, "a width or a height alone"),
        ([plain(1, count="57")], [], {}, "count is '57'"),
        ([plain(1, count=-1)], [], {}, "count is -1"),
        ([plain(1, prompt=["a"])], [], {}, "prompt is"),
        ([plain(1, exemplars={"bbox": [1, 1, 2, 2]})], [], {}, "expected a list of boxes"),
        ([plain(1)], [{"image_id": 1, "bbox": ["1", "2", "3", "4"]}], {}, "expected 4 numbers"),
        ([plain(1)], [{"image_id": 1, "bbox": [9, 9, -3, 4]}], {}, "neither of them negative"),
        ([plain(1)], [{"image_id": 1, "bbox": [1, 2, float("nan"), 4]}], {}, "expected 4 numbers"),
        ([plain(1)], [{"image_id": 1, "point": [1, float("inf")]}], {}, "expected 2 numbers"),
        ([plain(1)], [{"image_id": 1, "iscrowd": "0", **DOT}], {}, "iscrowd is '0'; expected one of 0, 1"),
        ([plain(1)], [{"image_id": 1, "visible": "much", **DOT}], {}, "visible is 'much'"),
        ([plain(1)], [{"image_id": 1, "category_id": "1", **DOT}], {"categories": CATEGORIES},
         "belongs to no category: category_id '1'.*the number 1"),
        ([plain(1)], [], {"categories": [CATEGORIES[0], CATEGORIES[0]]}, "both have id 1"),
        ([plain(1, exemplars=[{"bbox": [1, 1, 2, 2], "category_id": 9}])], [], {"categories": CATEGORIES},
         "an exemplar is of category 9"),
        ([plain(1, exemplars=[{"bbox": [1, 1, 2, 2], "annotation_id": 9}])], [{"id": 8, "image_id": 1, **DOT}], {},
         "an exemplar is annotation 9, of which the picture has 0"),
    ],
)  # fmt: skip
def test_every_record_is_used_or_named(
    tmp_path: Path, images: list[dict[str, Any]], notes: list[Any], more: dict[str, Any], message: str
):
    with pytest.raises(LikewiseError, match=message):
        opened(tmp_path, images, notes, **more)


def test_points_outside_their_picture_are_named_when_read(tmp_path: Path):
    notes = [
        {"image_id": 1, "point": [39, 29]},
        {"image_id": 1, "point": [48, 9]},
        {"image_id": 2, "bbox": [35, 1, 9, 3]},
    ]
    data = opened(tmp_path, [plain(1), plain(2)], notes)
    with pytest.raises(LikewiseError, match=r"1.png: 1 of 2 annotated points lie outside the picture.*\(48, 9\)"):
        data[0]
    assert data[1].count == 1  # a box may reach out of it


@pytest.mark.parametrize("folder", ["images", "images/deep"])
def test_names_written_on_windows_are_found(tmp_path: Path, folder: str):
    (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / folder / "a.png")
    name = f"{folder}/a.png".replace("/", "\\")
    (tmp_path / "annotations.json").write_text(json.dumps({"images": [{"id": 1, "file_name": name, "count": 3}]}))
    assert CountingFolder(tmp_path)[0].count == 3
    Image.new("RGB", (20, 20)).save(tmp_path / name)  # a file of just this name comes first
    assert CountingFolder(tmp_path)[0].image.shape == (3, 20, 20)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_part_of_the_file(tmp_path: Path, encoding: str):
    Image.new("RGB", (40, 30)).save(tmp_path / "é.png")
    text = json.dumps({"images": [{"id": 1, "file_name": "é.png", "count": 3}]}, ensure_ascii=False)
    (tmp_path / "annotations.json").write_text(text, encoding=encoding)
    assert CountingFolder(tmp_path)[0].count == 3


def test_splits_may_be_numbers_and_names_must_be_of_one_category(tmp_path: Path):
    data = opened(tmp_path, [plain(1, split=1, count=2), plain(2, split=2, count=3)], [])
    assert len(data) == 2
    assert CountingFolder(tmp_path, "2")[0].count == 3
    twins = [{"id": 1, "name": "nut"}, {"id": 2, "name": "Nut"}]
    opened(tmp_path, [plain(1)], [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3]}], categories=twins)
    with pytest.raises(LikewiseError, match=r"several categories 'nut', with the ids 1, 2"):
        CountingFolder(tmp_path, category="nut")


@pytest.mark.parametrize("wrong", [[1], {"a": 1}, True])
def test_a_category_that_is_no_id_is_refused_without_a_list_of_categories_too(tmp_path: Path, wrong: Any):
    with pytest.raises(LikewiseError, match=r"annotations\[0\].*category_id"):
        opened(tmp_path, [plain(1)], [{"id": 1, "image_id": 1, "category_id": wrong, "bbox": [1, 1, 5, 5]}])


def test_categories_by_number_and_by_text_are_not_mixed(tmp_path: Path):
    notes = [{"id": i, "image_id": 1, "category_id": kind, "bbox": [1, 1, 5, 5]} for i, kind in enumerate([1, "1"])]
    with pytest.raises(LikewiseError, match=r"annotations\[1\] has '1' for category_id, annotations\[0\] has 1"):
        opened(tmp_path, [plain(1)], notes)
