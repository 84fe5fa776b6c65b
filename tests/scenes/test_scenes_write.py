"""Scenes on disk: a valid counting folder, the same whatever the number of workers, and resumable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.data.counting.folder import CountingFolder
from likewise.errors import LikewiseError
from likewise.ops.run_lengths import decode_rle
from likewise.scenes import SceneConfig, make_scene, write_scenes
from likewise.scenes.assets import assets_of

CONFIG = SceneConfig(seed=11, side=(160, 200), objects=(3, 25), size=(8.0, 60.0), second_share=0.8, emoji=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in [folder / "annotations.json", *sorted(folder.glob("images/*"))]}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("scenes")
    return write_scenes(CONFIG, 6, out, masks=True).parent


def test_the_folder_says_what_the_scenes_hold(written):
    content = json.loads((written / "annotations.json").read_text())
    names = {c["id"]: c["name"] for c in content["categories"]}
    for index, image in enumerate(content["images"]):
        scene = make_scene(CONFIG, index)
        assert (image["height"], image["width"]) == scene.image.shape[:2]
        with Image.open(written / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
        assert image["prompt"] == scene.target
        assert image["split"] == "train"
        assert image["count"] == len(scene.of_kind(scene.target))
        notes = [n for n in content["annotations"] if n["image_id"] == image["id"]]
        for i, (note, thing) in enumerate(zip(notes, scene.objects, strict=True)):
            assert names[note["category_id"]] == thing.kind
            x, y, w, h = note["bbox"]
            assert (x, y, x + w, y + h) == thing.box
            assert note["point"] == pytest.approx(thing.point, abs=0.006)
            assert note["visible"] == pytest.approx(thing.visible, abs=6e-4)
            assert np.array_equal(decode_rle(note["segmentation"]), scene.mask(i))
        by_id = {n["id"]: n for n in notes}
        assert len(image["exemplars"]) == min(3, image["count"])
        for exemplar in image["exemplars"]:
            assert exemplar["bbox"] == by_id[exemplar["annotation_id"]]["bbox"]
            assert names[exemplar["category_id"]] == scene.target


def test_ids_are_unique_and_refer_to_something(written):
    content = json.loads((written / "annotations.json").read_text())
    for key in ("images", "annotations", "categories"):
        ids = [record["id"] for record in content[key]]
        assert len(ids) == len(set(ids))
    assert {n["image_id"] for n in content["annotations"]} <= {i["id"] for i in content["images"]}
    assert {n["category_id"] for n in content["annotations"]} == {c["id"] for c in content["categories"]}


def test_the_folder_reads_back_as_a_counting_data_set(written):
    targets, every = CountingFolder(written), CountingFolder(written, targets="all")
    assert len(targets) == 6
    assert len(every) == sum(len(make_scene(CONFIG, i).names) for i in range(6)) > 6
    for index in range(6):
        scene, sample = make_scene(CONFIG, index), targets[index]
        boxes = [scene.objects[i].box for i in scene.of_kind(scene.target)]
        assert sample.boxes.tolist() == pytest.approx(np.array(boxes))
        assert sample.prompt == scene.target
        # the picture went through JPEG, so it is close, not equal
        error = np.abs(sample.image.permute(1, 2, 0).numpy().astype(int) - scene.image).mean()
        assert error < 12


def test_a_stopped_run_goes_on_and_ends_the_same(written, tmp_path):
    write_scenes(CONFIG, 2, tmp_path, masks=True)
    first = (tmp_path / "images" / "000000.jpg").stat().st_mtime_ns
    (tmp_path / "images" / "000004.jpg").write_bytes(b"half a pict")  # killed while writing
    done = []
    write_scenes(CONFIG, 6, tmp_path, masks=True, on_done=lambda: done.append(1))
    assert len(done) == 6
    assert (tmp_path / "images" / "000000.jpg").stat().st_mtime_ns == first
    assert contents(tmp_path) == contents(written)


def test_workers_write_the_same_bytes(written, tmp_path):
    write_scenes(CONFIG, 6, tmp_path, workers=2, masks=True)
    assert contents(tmp_path) == contents(written)


def test_a_folder_of_another_config_is_refused(written):
    with pytest.raises(LikewiseError, match="another seed"):
        write_scenes(replace(CONFIG, seed=12), 6, written, masks=True)


def test_a_folder_without_scenes_yet_can_be_used_otherwise(tmp_path):
    with pytest.raises(LikewiseError, match="is not a folder"):
        write_scenes(replace(CONFIG, cutouts=(str(tmp_path / "gone"),)), 1, tmp_path)
    assert write_scenes(CONFIG, 1, tmp_path).is_file()


def test_nothing_to_write_is_told(tmp_path):
    with pytest.raises(LikewiseError, match="count = 0"):
        write_scenes(CONFIG, 0, tmp_path)


def test_the_command_writes_scenes_and_a_sheet(tmp_path, capsys):
    from likewise.cli import main

    words = ["data", "synth", "-n", "2", "-o", str(tmp_path), "--size", "128", "--preset", "two-kinds", "--preview"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--seed", "3", "--split", "val"])
    assert ended.value.code in (0, None)
    assert capsys.readouterr().out.split() == [str(tmp_path / "annotations.json"), str(tmp_path / "preview.png")]
    data = CountingFolder(tmp_path, split="val")
    assert len(data) == 2
    assert all(max(sample.size) <= 128 for sample in data)


def test_real_folders_serve_as_backgrounds_and_cutouts(data_dir, tmp_path):
    config = replace(
        CONFIG,
        backgrounds=(str(data_dir / "grocery"), str(data_dir / "clothing")),
        cutouts=(str(data_dir / "grocery_iconic"),),
    )
    bank = assets_of(config)
    assert {k.name for k in bank.kinds["cutout"]} >= {"lemon", "mango"}
    assert not [p for p in bank.photos.paths if "/val/" in p]
    assert CountingFolder(write_scenes(config, 2, tmp_path))[0].count >= 1
