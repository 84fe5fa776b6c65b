"""Whether counts follow the prompt: PairTally's and PrACo's numbers of counters whose scores are worked out by hand."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.fsc147 import FSC147
from likewise.data.counting.mcac import MCAC
from likewise.data.counting.sample import CountSample
from likewise.engine.kinds import Kinds, first_exemplars, open_kinds
from likewise.engine.pairtally import pair_tally
from likewise.engine.praco import Mosaic, NegativeLabels, PrACo, in_halves, one_above_the_other, praco
from likewise.errors import LikewiseError

#: Picture -> how many there are of each kind. Each picture is of one grey value, by which a counter tells it.
SINGLE = {"a.png": {"apples": 10}, "b.png": {"bolts": 6}, "c.png": {"cats": 3}, "d.png": {"apples": 5}}
PAIRS = {
    "a.png": {"red hearts": 10, "blue hearts": 4},
    "b.png": {"bolts": 6, "cats": 9},
    "c.png": {"cats": 5},
}


def written(folder, scenes, exemplars=True):
    names = sorted({kind for scene in scenes.values() for kind in scene})
    images, annotations = [], []
    for index, (picture, scene) in enumerate(scenes.items()):
        Image.fromarray(np.full((20, 40, 3), 60 * index + 30, np.uint8)).save(folder / picture)
        boxes = [{"bbox": [2, 2, 8, 6], "category_id": names.index(kind)} for kind in scene]
        images.append({"id": index, "file_name": picture} | ({"exemplars": boxes} if exemplars else {}))
        for kind, count in scene.items():
            annotations += [{"image_id": index, "category_id": names.index(kind), "bbox": [2, 2, 8, 6]}] * count
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return open_kinds(folder)


class Named:
    """Counts by name: ``rule(scene, text)`` in each half of a picture, whose scene its grey value tells."""

    prompts: tuple[str, ...] = ("text",)

    def __init__(self, scenes, rule):
        self.scenes, self.rule = list(scenes.values()), rule
        self.model = SimpleNamespace(prompts=self.prompts)

    def scene(self, row):
        return self.scenes[round((float(row.mean()) - 30) / 60)]

    def count(self, image, exemplars=(), *, text=None):
        pixels = image.pixels
        top, bottom = self.scene(pixels[0]), self.scene(pixels[-1])
        asked = [self.rule(top, text), self.rule(bottom, text) if bottom is not top else None]
        # a picture of one scene is one half, and a mosaic two
        grid = np.array([[asked[0] / 2], [asked[0] / 2 if asked[1] is None else 0.0]])
        if asked[1] is not None:
            grid = np.array([[asked[0]], [asked[1]]], float)
        return SimpleNamespace(count=float(grid.sum()), grid=grid, seconds=0.5)


class Shown(Named):
    """The same by example: a box in the picture, or in another one, whose scene must be of one kind."""

    prompts = ("exemplars",)

    def count(self, image, exemplars=(), *, like=None):
        kinds = like or tuple(self.scene(image.pixels[0]))
        assert (like is None) == (len(exemplars) == 1)
        assert len(kinds) == 1
        return super().count(image, text=kinds[0])

    def encode_exemplars(self, pairs):
        assert [box for _, box in pairs] == [(2.0, 2.0, 10.0, 8.0)]
        return tuple(self.scene(pairs[0][0]))


def perfect(scene, text):
    return float(scene.get(text, 0))


def blind(scene, _):
    return float(sum(scene.values()))


def test_a_perfect_counter_has_the_best_numbers_in_both_tests(tmp_path):
    kinds = written(tmp_path, SINGLE)
    seen = []
    for each in (Named(SINGLE, perfect), Shown(SINGLE, perfect)):
        found = praco(each, kinds, progress=lambda *n: seen.append(n))
        numbers = found.summary()
        assert (numbers["nmn"], numbers["pccn"], numbers["mae"]) == (0.0, 1.0, 0.0)
        assert (numbers["cnt_precision"], numbers["cnt_recall"], numbers["cnt_f1"]) == (1.0, 1.0, 1.0)
        assert (numbers["images"], numbers["mosaics"]) == (4, 8)
    assert seen == [(i, 4) for i in range(1, 5)] * 2


def test_a_counter_that_does_not_listen_counts_what_is_not_there(tmp_path):
    kinds = written(tmp_path, SINGLE)
    found = praco(Named(SINGLE, blind), kinds)
    numbers = found.summary()
    # the count is right whatever is asked, so that what is absent is counted as often: 0 is not nearer than 0
    assert (numbers["nmn"], numbers["pccn"], numbers["mae"]) == (1.0, 0.0, 0.0)
    assert numbers["cnt_recall"] == 1.0
    # a picture of n above one of m: n of n + m. Bolts and cats are shown once; apples twice, as 10 and as 5
    below = {(m.image, m.below): m.lower for m in found.mosaics}
    assert {below[image, kind] for image in ("b.png", "c.png") for kind in ("apples",)} <= {10.0, 5.0}
    precisions = {
        "a.png": (10 / 16 + 10 / 13) / 2,
        "b.png": (6 / (6 + below["b.png", "apples"]) + 6 / 9) / 2,
        "c.png": (3 / (3 + below["c.png", "apples"]) + 3 / 9) / 2,
        "d.png": (5 / 11 + 5 / 8) / 2,
    }
    assert numbers["cnt_precision"] == pytest.approx(np.mean(list(precisions.values())))


def test_numbers_of_a_counter_that_errs_are_those_worked_out_by_hand(tmp_path):
    scenes = {"a.png": {"apples": 10}, "b.png": {"bolts": 5}, "c.png": {"cats": 4}}
    counts = {
        ("apples", "apples"): 12.0, ("apples", "bolts"): 9.0, ("apples", "cats"): 3.0,  # mean 6: |10 - 12| < |10 - 6|
        ("bolts", "bolts"): 2.0, ("bolts", "apples"): 7.0, ("bolts", "cats"): 4.0,  # mean 5.5: |5 - 2| > |5 - 5.5|
        ("cats", "cats"): 0.0, ("cats", "apples"): 0.0, ("cats", "bolts"): 0.0,  # |4 - 0| = |4 - 0|: not nearer
    }  # fmt: skip
    found = praco(Named(scenes, lambda scene, text: counts[next(iter(scene)), text]), written(tmp_path, scenes))
    numbers = found.summary()
    assert numbers["mae"] == pytest.approx((2 + 3 + 4) / 3)
    assert numbers["rmse"] == pytest.approx(math.sqrt((4 + 9 + 16) / 3))
    assert numbers["nmn"] == pytest.approx((6 / 10 + 5.5 / 5 + 0) / 3)
    assert numbers["pccn"] == pytest.approx(1 / 3)
    # above apples, asked for: 12 of 10 there; below, bolts then cats: 7 and 0 for "apples"
    p, r = [[10 / 19, 10 / 12], [2 / 11, 2 / 2]], [[1, 1], [2 / 5, 2 / 5]]
    # above cats nothing is counted, nor below it for "cats" in apples (3) ...: 3 and 4 are counted in vain
    p.append([0 / 3, 0 / 4])
    r.append([0, 0])
    assert numbers["cnt_precision"] == pytest.approx(np.mean([np.mean(each) for each in p]))
    assert numbers["cnt_recall"] == pytest.approx(np.mean([np.mean(each) for each in r]))
    f1 = [[2 * a * b / (a + b) for a, b in zip(x, y, strict=True) if a + b] for x, y in zip(p, r, strict=True)]
    assert numbers["cnt_f1"] == pytest.approx(np.mean([np.mean(each) for each in f1 if each]))
    held = json.loads(json.dumps(found.to_dict()))
    assert held["nmn"] == pytest.approx(numbers["nmn"])
    assert held["negative_labels"][0]["absent"] == {"bolts": 9.0, "cats": 3.0}
    assert held["mosaic"][0]["below"] == "bolts"


def test_what_is_not_defined_takes_no_part():
    nothing = Mosaic("a.png", "apples", "bolts", 4.0, upper=0.0, lower=0.0)
    assert nothing.recall == 0
    assert math.isnan(nothing.precision)
    assert math.isnan(nothing.f1)
    half = Mosaic("a.png", "apples", "cats", 4.0, upper=6.0, lower=2.0)
    assert (half.recall, half.precision, half.f1) == (1.0, 0.5, pytest.approx(2 / 3))
    found = PrACo((), (nothing, half))
    assert found.summary()["cnt_precision"] == 0.5
    assert found.summary()["cnt_recall"] == 0.5
    assert found.to_dict()["nmn"] is None
    assert NegativeLabels("a.png", "apples", 4.0, 5.0, {"bolts": 2.0, "cats": 0.0}).normalised == 0.25


def test_names_that_are_refused_count_nothing_where_absent_and_are_told_where_not(tmp_path):
    def knows_no_bolts(scene, text):
        if text == "bolts":
            raise LikewiseError("no bolts")
        return perfect(scene, text)

    found = praco(Named(SINGLE, knows_no_bolts), written(tmp_path, SINGLE))
    assert found.errors == (("b.png", "no bolts"),)
    assert [each.image for each in found.labels] == ["a.png", "c.png", "d.png"]
    assert found.summary()["nmn"] == 0.0


def test_the_limit_and_the_seed_choose_pictures_and_the_same_seed_the_same(tmp_path):
    kinds = written(tmp_path, SINGLE)
    counter = Named(SINGLE, blind)
    assert len(praco(counter, kinds, 2).labels) == 2
    drawn = [praco(counter, kinds, seed=seed).mosaics for seed in (*range(12), 0)]
    assert drawn[0] == drawn[-1]
    assert len({str(each) for each in drawn}) > 1
    part = praco(counter, kinds, 2).mosaics
    assert part == drawn[0][: len(part)]


def test_pairs_are_asked_for_each_kind_and_told_apart_by_sort(tmp_path):
    kinds = written(tmp_path, PAIRS)
    found = pair_tally(Named(PAIRS, blind), kinds)
    assert found.pictures == 2
    assert [(c.image, c.prompt, c.truth, c.count) for c in found.counted] == [
        ("a.png", "blue hearts", 4, 14), ("a.png", "red hearts", 10, 14),
        ("b.png", "bolts", 6, 15), ("b.png", "cats", 9, 15),
    ]  # fmt: skip
    assert found.pairs == ("intra", "intra", "inter", "inter")
    intra, inter, both = found.of("intra"), found.of("inter"), found.of(None)
    assert (intra["mae"], intra["rmse"]) == (7.0, pytest.approx(math.sqrt((100 + 16) / 2)))
    assert intra["nae"] == pytest.approx((10 / 4 + 4 / 10) / 2)
    assert (inter["mae"], inter["nae"]) == (7.5, pytest.approx((9 / 6 + 6 / 9) / 2))
    assert (both["prompts"], both["mae"]) == (4, 7.25)
    assert pair_tally(Named(PAIRS, perfect), kinds).of(None)["mae"] == 0
    assert pair_tally(Named(PAIRS, perfect), kinds, 1).pictures == 1
    held = json.loads(json.dumps(found.to_dict()))
    assert (held["inter"]["mae"], held["per_image"][0]["pair"]) == (7.5, "intra")


def test_by_example_pairs_are_asked_for_with_boxes_of_the_kind(tmp_path):
    boxes = []

    class Boxes(Named):
        prompts = ("exemplars",)

        def count(self, image, exemplars=()):
            boxes.append(exemplars)
            return super().count(image, text="cats")

    kinds = written(tmp_path, PAIRS)
    assert len(pair_tally(Boxes(PAIRS, perfect), kinds).counted) == 4
    assert boxes == [[(2.0, 2.0, 10.0, 8.0)]] * 4
    bare = written(tmp_path, PAIRS, exemplars=False)  # but every thing has a box
    boxes.clear()
    assert len(pair_tally(Boxes(PAIRS, perfect), bare).counted) == 4
    assert boxes == [[(2.0, 2.0, 10.0, 8.0)] * 3] * 4
    assert len(pair_tally(Named(PAIRS, perfect), bare).counted) == 4


def test_without_exemplars_the_boxes_are_shown_that_are_best_to_be_seen():
    boxes = torch.tensor([[0.0, 0, 4, 4], [8, 0, 12, 4], [math.nan] * 4, [0, 8, 4, 12], [8, 8, 12, 12]])
    image = torch.zeros(3, 20, 20, dtype=torch.uint8)
    seen = torch.tensor([0.4, 0.9, 1.0, 0.9, 1.0])
    shown = CountSample(image, torch.zeros(5, 2), boxes, torch.zeros(0, 4), "x", visible=seen)
    assert first_exemplars(shown) == [(8, 8, 12, 12), (8, 0, 12, 4), (0, 8, 4, 12)]


def test_what_a_picture_shows_is_not_absent_though_it_has_no_exemplar(tmp_path):
    kinds = written(tmp_path, PAIRS, exemplars=False)
    assert kinds.in_picture("b.png") == {"bolts", "cats"}
    assert kinds.absent("b.png") == ("blue hearts", "red hearts")
    assert [each.picture for each in kinds.of("cats", without="bolts")] == ["c.png"]


def test_data_that_does_not_allow_the_test_is_refused(tmp_path):
    counter = Named(SINGLE, perfect)
    with pytest.raises(LikewiseError, match="two named kinds"):
        pair_tally(counter, written(tmp_path, SINGLE))
    with pytest.raises(LikewiseError, match="every picture shows every kind"):
        praco(counter, written(tmp_path, {"a.png": {"apples": 3}}))
    with pytest.raises(LikewiseError, match="MCAC does not name"):
        Kinds(MCAC.__new__(MCAC))
    nameless = {"images": [{"id": 1, "file_name": "a.png", "count": 3}], "annotations": [], "categories": []}
    (tmp_path / "annotations.json").write_text(json.dumps(nameless))
    with pytest.raises(LikewiseError, match="has a name"):
        open_kinds(tmp_path)


def test_fsc147_has_a_class_a_picture(tmp_path):
    corners = [[2, 2], [2, 8], [10, 8], [10, 2]]
    files = {
        "annotation_FSC147_384.json": {
            n: {"points": [[3, 3]] * count, "box_examples_coordinates": [corners]}
            for n, count in (("a.png", 10), ("b.png", 6), ("c.png", 3))
        },
        "Train_Test_Val_FSC_147.json": {"train": ["c.png"], "val": ["a.png", "b.png"], "test": []},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "ImageClasses_FSC147.txt").write_text("a.png\tapples\nb.png\tbolts\nc.png\tcats\n")
    (tmp_path / "images_384_VarV2").mkdir()
    for index, name in enumerate(("a.png", "b.png")):
        Image.fromarray(np.full((20, 40, 3), 60 * index + 30, np.uint8)).save(tmp_path / "images_384_VarV2" / name)
    kinds = open_kinds(tmp_path, "val")
    assert isinstance(kinds.dataset, FSC147)
    assert kinds.names == ("apples", "bolts")
    numbers = praco(Named(SINGLE, perfect), kinds).summary()
    assert (numbers["images"], numbers["pccn"], numbers["mosaics"], numbers["cnt_f1"]) == (2, 1.0, 2, 1.0)


def sample(height, width, value):
    image = torch.full((3, height, width), value, dtype=torch.uint8)
    boxes = torch.tensor([[4.0, 2, 12, 10]] * 5)
    return CountSample(image, torch.zeros(1, 2), torch.full((1, 4), torch.nan), boxes, "x")


def test_a_mosaic_is_square_and_its_boxes_move_with_the_upper_picture():
    pixels, boxes = one_above_the_other(sample(20, 40, 10), sample(31, 9, 200))
    assert pixels.shape == (20, 20, 3)
    assert (pixels[:10] == 10).all()
    assert (pixels[10:] == 200).all()
    assert boxes == [(2.0, 1.0, 6.0, 5.0)] * 3
    odd, _ = one_above_the_other(sample(21, 40, 10), sample(31, 9, 200))
    assert odd.shape == (20, 21, 3)
    with pytest.raises(LikewiseError, match="too low"):
        one_above_the_other(sample(1, 40, 10), sample(31, 9, 200))


def test_halves_of_a_density_share_the_row_in_the_middle():
    assert in_halves(np.array([[1.0, 1], [2, 2], [4, 4]])) == (4.0, 10.0)
    assert in_halves(np.array([[1.0], [2], [-7], [4]])) == (3.0, 0.0)


def test_folders_without_categories_are_named_picture_by_picture(tmp_path):
    for index, name in enumerate(("a.png", "b.png")):
        Image.fromarray(np.full((20, 40, 3), 60 * index + 30, np.uint8)).save(tmp_path / name)
    images = [
        {"id": 1, "file_name": "a.png", "prompt": "apples", "count": 10},
        {"id": 2, "file_name": "b.png", "prompt": "bolts", "count": 6},
    ]
    (tmp_path / "annotations.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    kinds = open_kinds(tmp_path)
    assert isinstance(kinds.dataset, CountingFolder)
    assert kinds.names == ("apples", "bolts")
    assert praco(Named(SINGLE, perfect), kinds).summary()["mae"] == 0
