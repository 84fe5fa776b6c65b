"""Few-shot segmentation sets, in tiny folders laid out as the real ones are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from likewise.data.fewshot.coco20i import Coco20i
from likewise.data.fewshot.episodes import Episodes
from likewise.data.fewshot.labelled import LabelFolder
from likewise.data.fewshot.pascal5i import CLASSES, Pascal5i
from likewise.data.open_dataset import open_labelled
from likewise.errors import LikewiseError
from likewise.ops.run_lengths import encode_rle
from likewise.scenes import SceneConfig
from likewise.scenes.episodes import SceneMasks


def picture(path, number=0, size=(16, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), 10 * number, np.uint8)).save(path, quality=95)


def label(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values).convert("P")
    image.putdata(values.ravel().tolist())
    image.save(path)


def halves(left, right, size=(12, 16)):
    values = np.full(size, left, np.uint8)
    values[:, size[1] // 2 :] = right
    return values


@pytest.fixture
def clothing(tmp_path):
    """Two folds of two classes each; pictures 0 to 5 show class 1 or 2 on the left and 3 or 4 on the right."""
    images = []
    for i in range(6):
        picture(tmp_path / f"images/{i}.png", i)
        a, b = 1 + i % 2, 3 + i % 2
        label(tmp_path / f"labels/{i}.png", halves(a, b))
        shares = {"0": 0.0, str(a): 0.5, str(b): 0.5, "9": 0.001}
        images.append(
            {"image": f"images/{i}.png", "label": f"labels/{i}.png", "split": "val" if i > 3 else "train"}
            | {"class_fraction": shares}
        )
    novel = [
        [{"id": 1, "name": "bag"}, {"id": 2, "name": "hat"}],
        [{"id": 3, "name": "coat"}, {"id": 4, "name": "skirt"}],
    ]
    folds = [{"fold": f, "novel": n, "base": []} for f, n in enumerate(novel)]
    (tmp_path / "index.json").write_text(json.dumps({"images": images}))
    (tmp_path / "folds.json").write_text(json.dumps({"min_fraction": 0.005, "folds": folds}))
    return tmp_path


def test_base_pictures_do_not_say_what_novel_classes_cover(clothing):
    base = LabelFolder(clothing, fold=1, part="base")
    index, kind = 0, 1
    whole = LabelFolder(clothing).read(index, kind)[1]
    shown = base.read(index, kind)[1]
    assert whole.tolist() == halves(1, 0).tolist()
    assert shown.tolist() == halves(1, 255).tolist()  # on the right lies a coat, which is novel
    assert LabelFolder(clothing, fold=1, part="novel").read(index, 3)[1].tolist() == halves(0, 1).tolist()


def test_a_label_folder_gives_the_classes_of_a_fold_and_their_masks(clothing):
    novel, base = (LabelFolder(clothing, "train", 0, part) for part in ("novel", "base"))
    assert novel.classes == {1: "bag", 2: "hat"}
    assert base.classes == {3: "coat", 4: "skirt"}
    assert novel.pictures == {1: (0, 2), 2: (1, 3)}
    image, mask = novel.read(2, 1)
    assert image.shape == (3, 12, 16)
    assert int(image[0, 0, 0]) == 20
    assert torch.equal(mask, torch.from_numpy(halves(1, 0)))
    assert LabelFolder(clothing).classes == novel.classes | base.classes
    assert LabelFolder(clothing, "val").pictures[1] == (0,)
    assert isinstance(open_labelled(clothing, "val", 1, "novel"), LabelFolder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tran",), "did you mean 'train'"),
        (("train", 2), "fold = 2: expected 0 to 1"),
        (("train", 0, "novl"), "did you mean 'novel'"),
        (("train", None, "base"), "without a fold"),
    ],
)
def test_what_a_label_folder_does_not_have_is_refused(clothing, arguments, message):
    with pytest.raises(LikewiseError, match=message):
        LabelFolder(clothing, *arguments)


def test_a_label_that_does_not_fit_is_refused(clothing):
    label(clothing / "labels/0.png", halves(1, 3, (11, 16)))
    Image.new("RGB", (16, 12)).save(clothing / "labels/1.png")
    held = LabelFolder(clothing, "train")
    with pytest.raises(LikewiseError, match="label is"):
        held.read(0, 1)
    with pytest.raises(LikewiseError, match="has colours"):
        held.read(1, 2)
    with pytest.raises(LikewiseError, match="no such file"):
        LabelFolder(clothing / "labels")


@pytest.fixture
def pascal(tmp_path):
    lists = tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for name, kinds in {"a": (1, 255), "b": (1, 6), "c": (6, 20), "d": (20, 0)}.items():
        picture(tmp_path / f"VOCdevkit/VOC2012/JPEGImages/{name}.jpg", ord(name) - 96)
        if name != "d":
            label(tmp_path / f"VOCdevkit/VOC2012/SegmentationClass/{name}.png", halves(*kinds))
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    sbd = tmp_path / "benchmark_RELEASE/dataset"
    (sbd / "cls").mkdir(parents=True)
    truth = np.zeros((1, 1), [("Segmentation", "O")])
    truth[0, 0]["Segmentation"] = halves(20, 0)
    savemat(sbd / "cls/d.mat", {"GTcls": truth})
    (sbd / "train.txt").write_text("b\nc\nd\n")
    return tmp_path


def test_pascal5i_joins_both_sets_and_keeps_val_for_testing(pascal):
    train = Pascal5i(pascal, "train", 0, "base")
    assert train.ids == ["a", "b", "d"]
    assert tuple(train.classes.values()) == CLASSES[5:]
    assert {k: p for k, p in train.pictures.items() if p} == {6: (1,), 20: (2,)}
    assert torch.equal(train.read(2, 20)[1], torch.from_numpy(halves(1, 0)))
    novel = Pascal5i(pascal, "train", 0, "novel")
    assert torch.equal(novel.read(0, 1)[1], torch.from_numpy(halves(1, 255)))
    val = open_labelled(pascal, None, 3, "novel")
    assert val.classes == {i: CLASSES[i - 1] for i in range(16, 21)}
    assert val.pictures[20] == (0,)
    assert val.name(0) == "c.jpg"


def test_pascal5i_says_what_is_missing(pascal, tmp_path):
    with pytest.raises(LikewiseError, match="did you mean 'train'"):
        Pascal5i(pascal, "trian")
    with pytest.raises(LikewiseError, match="fold = 4"):
        Pascal5i(pascal, "val", 4)
    (tmp_path / "other").mkdir()
    with pytest.raises(LikewiseError, match="has no VOC2012"):
        Pascal5i(tmp_path / "other")


@pytest.fixture
def coco(tmp_path):
    kinds = [{"id": i, "name": f"kind {i}"} for i in (1, 2, 3, 5, 7, 8, 9, 11)]
    images = [{"id": 40, "file_name": "b.jpg"}, {"id": 4, "file_name": "a.jpg"}]
    crowd = np.zeros((12, 16), bool)
    crowd[:, 4:12] = True
    notes = [
        {"image_id": 4, "category_id": 7, "iscrowd": 0, "segmentation": [[0, 0, 6, 0, 6, 12, 0, 12]]},
        {"image_id": 4, "category_id": 7, "iscrowd": 1, "segmentation": encode_rle(crowd)},
        {"image_id": 40, "category_id": 8, "iscrowd": 1, "segmentation": encode_rle(crowd)},
    ]
    for name in "ab":
        picture(tmp_path / f"val2014/{name}.jpg")
    (tmp_path / "annotations").mkdir()
    content = {"images": images, "annotations": notes, "categories": kinds}
    (tmp_path / "annotations/instances_val2014.json").write_text(json.dumps(content))
    return tmp_path


def test_coco20i_deals_classes_in_turn_and_leaves_crowds_unlabelled(coco):
    folds = [tuple(Coco20i(coco, "val", fold, "novel").classes) for fold in range(4)]
    assert folds == [(1, 7), (2, 8), (3, 9), (5, 11)]
    held = open_labelled(coco, "val", 0, "novel")
    assert held.pictures == {1: (), 7: (0,)}
    assert held.name(0) == "a.jpg"
    _, mask = held.read(0, 7)
    assert bool((mask[:, :6] == 1).all())
    assert bool((mask[:, 8:12] == 255).all())
    assert bool((mask[:, 12:] == 0).all())
    assert Coco20i(coco, "val", 1, "novel").pictures[8] == ()  # a crowd alone shows no thing
    with pytest.raises(LikewiseError, match="no annotations/instances_train2014"):
        Coco20i(coco, "train")


@pytest.mark.parametrize("segmentation", [[[]], [[5, 5, 35]], encode_rle(np.ones((12, 17), bool))])
def test_coco20i_names_the_annotation_that_has_no_mask(coco, segmentation):
    path = coco / "annotations/instances_val2014.json"
    content = json.loads(path.read_text())
    content["annotations"][0] |= {"id": 123, "segmentation": segmentation}
    path.write_text(json.dumps(content))
    with pytest.raises(LikewiseError, match=r"a\.jpg: segmentation of annotation 123"):
        Coco20i(coco, "val", 0, "novel").read(0, 7)


def test_episodes_are_the_same_every_time_and_their_pictures_differ(clothing):
    labelled = LabelFolder(clothing, "train")
    episodes = Episodes(labelled, 1, seed=3, length=40)
    again, other = (Episodes(labelled, 1, seed=seed, length=40) for seed in (3, 4))
    drawn = [episodes.drawn(i) for i in range(40)]
    assert [again.drawn(i) for i in reversed(range(40))][::-1] == drawn
    assert [other.drawn(i) for i in range(40)] != drawn
    for each in drawn:
        assert each.query not in each.support
        assert {each.query, *each.support} <= set(labelled.pictures[each.kind])
    assert [d.kind for d in drawn[:8]] == [1, 2, 3, 4] * 2  # classes take turns
    assert {d.query for d in drawn} == {0, 1, 2, 3}
    episode = episodes[5]
    assert episode.class_name == labelled.classes[drawn[5].kind]
    assert torch.equal(episode.mask, labelled.read(drawn[5].query, drawn[5].kind)[1])
    assert episode.names == tuple(labelled.name(i) for i in (drawn[5].query, *drawn[5].support))


def test_where_pictures_are_few_examples_repeat_but_never_the_query(clothing):
    episodes = Episodes(LabelFolder(clothing, "train"), 5, length=10)
    for i in range(10):
        drawn = episodes.drawn(i)
        assert len(drawn.support) == 5
        assert drawn.query not in drawn.support


def test_episodes_need_two_pictures_of_a_class(clothing):
    with pytest.raises(LikewiseError, match="no class is shown by two"):
        Episodes(LabelFolder(clothing, "val"))
    with pytest.raises(LikewiseError, match="shots = 0"):
        Episodes(LabelFolder(clothing, "train"), 0)


def test_halves_of_scenes_are_episodes_with_exact_masks():
    config = SceneConfig(seed=11, side=(160, 200), objects=(3, 25), size=(12.0, 60.0), emoji=False)
    held = SceneMasks(config, 6)
    assert held.classes
    for kind, (left, right) in held.pictures.items():
        scene = held.scene(left // 2)
        (one, mask), (two, other) = held.read(left, kind), held.read(right, kind)
        across = 1 if scene.image.shape[1] > scene.image.shape[0] else 0
        joined = np.concatenate([mask.numpy(), other.numpy()], across)
        name = held.classes[kind].rpartition(" of scene")[0]
        truth = np.zeros(scene.owner.shape, bool)
        for index in scene.of_kind(name):
            truth |= scene.mask(index)
        assert np.array_equal(joined == 1, truth)
        whole = np.concatenate([one.permute(1, 2, 0).numpy(), two.permute(1, 2, 0).numpy()], across)
        assert np.array_equal(whole, scene.image)
        assert min(float(m.float().mean()) for m in (mask, other)) >= 0.01
