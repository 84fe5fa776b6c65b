"""Prompt sensitivity with counters whose behaviour is known."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from likewise.data.counting.folder import CountingFolder
from likewise.engine.sensitivity import prompt_sensitivity
from likewise.errors import LikewiseError

#: Picture -> how many there are of each kind; the picture's grey value tells a counter which one it sees.
SCENES = {
    "a.png": {"apples": 10, "bolts": 4},
    "b.png": {"bolts": 6, "cats": 9},
    "c.png": {"dogs": 5, "eels": 5},
    "d.png": {"cats": 3},
}


@pytest.fixture
def folder(tmp_path):
    kinds = sorted({kind for scene in SCENES.values() for kind in scene})
    images, annotations = [], []
    for index, (name, scene) in enumerate(SCENES.items()):
        Image.fromarray(np.full((20, 20, 3), index, np.uint8)).save(tmp_path / name)
        images.append({"id": index, "file_name": name})
        for kind, count in scene.items():
            note = {"image_id": index, "category_id": kinds.index(kind), "bbox": [1, 1, 4, 4]}
            annotations += [note] * count
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": k} for i, k in enumerate(kinds)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return CountingFolder(tmp_path, targets="all")


class Known:
    """Counts what ``rule`` says of the scene it is shown and the name it is given."""

    def __init__(self, rule):
        self.rule = rule

    def count(self, image, exemplars=(), *, text=None):
        return SimpleNamespace(count=self.rule(list(SCENES.values())[int(image[0, 0, 0])], text), seconds=0.0)


def test_a_perfect_counter_follows_and_gives_nothing_for_what_is_absent(folder):
    seen = []
    found = prompt_sensitivity(
        Known(lambda scene, text: scene.get(text, 0)), folder, progress=lambda *n: seen.append(n)
    )
    assert (found.pictures, found.follows, found.nae, found.absent) == (3, 1.0, 0.0, 0.0)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_counter_that_ignores_the_name_does_not_follow_and_counts_what_is_absent(folder):
    found = prompt_sensitivity(Known(lambda scene, _: sum(scene.values())), folder)
    assert (found.follows, found.absent) == (0.0, 1.0)
    assert found.nae == pytest.approx(np.mean([4 / 10, 10 / 4, 9 / 6, 6 / 9, 1, 1]))


def test_a_counter_that_moves_too_little_or_the_wrong_way_does_not_follow(folder):
    def lazily(scene, text):
        return np.mean(list(scene.values())) + 0.4 * (scene.get(text, 0) - np.mean(list(scene.values())))

    assert prompt_sensitivity(Known(lazily), folder).follows == 0.0
    assert prompt_sensitivity(Known(lambda scene, text: -scene.get(text, 0)), folder).follows == 0.0


def test_kinds_that_are_as_many_tell_nothing(folder, tmp_path):
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["images"] = [image for image in content["images"] if image["file_name"] == "c.png"]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
    (tmp_path / "one.json").write_text(json.dumps(content))
    found = prompt_sensitivity(
        Known(lambda scene, text: scene.get(text, 0)), CountingFolder(tmp_path / "one.json", targets="all")
    )
    assert (found.pictures, found.nae) == (1, 0.0)
    assert math.isnan(found.follows)
    assert found.to_dict()["absent"] is None


def test_an_unknown_name_is_nothing_where_absent_and_leaves_a_picture_out_where_not(folder):
    def knows_no_bolts(scene, text):
        if text == "bolts":
            raise LikewiseError("unknown")
        return scene.get(text, 0)

    found = prompt_sensitivity(Known(knows_no_bolts), folder)
    assert (found.pictures, found.absent) == (1, 0.0)


def test_without_a_picture_of_several_kinds_there_is_nothing_to_say(tmp_path, folder):
    assert prompt_sensitivity(Known(lambda *_: 0.0), CountingFolder(tmp_path, category="apples", targets="all")) is None


def test_the_limit_is_of_pictures(folder):
    assert prompt_sensitivity(Known(lambda scene, text: scene.get(text, 0)), folder, 2).pictures == 2
