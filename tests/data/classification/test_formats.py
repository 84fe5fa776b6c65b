"""Recognition sets: tiny copies of the published layouts, and what is made of their pictures."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from likewise.data.classification.dataset import FixedView, NamedPictures, NamedSample, TrainView, collate_named
from likewise.data.open_dataset import open_named
from likewise.data.photometric import ColorJitter
from likewise.errors import LikewiseError
from likewise.preprocess.square_view import SquareCrop, SquareView, resized


def picture(path, level=100, size=(20, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


def described(data: NamedPictures) -> list[tuple[str, str]]:
    return sorted((name, data.labels[target]) for name, target in zip(data.names, data.targets, strict=True))


@pytest.fixture
def cub(tmp_path):
    files = ["001.Black_footed_Albatross/A_0001.jpg", "001.Black_footed_Albatross/A_0002.jpg", "002.Laysan/L_0003.jpg"]
    for i, file in enumerate(files):
        picture(tmp_path / "images" / file, 60 * i)
    (tmp_path / "images.txt").write_text("".join(f"{i + 1} {f}\n" for i, f in enumerate(files)))
    (tmp_path / "classes.txt").write_text("1 001.Black_footed_Albatross\n2 002.Laysan\n")
    (tmp_path / "image_class_labels.txt").write_text("1 1\n2 1\n3 2\n")
    (tmp_path / "train_test_split.txt").write_text("1 1\n2 0\n3 1\n")
    return tmp_path


def test_cub(cub):
    train, test = open_named(cub, "train"), open_named(cub, "test")
    assert described(train) == [
        ("images/001.Black_footed_Albatross/A_0001.jpg", "Black footed Albatross"),
        ("images/002.Laysan/L_0003.jpg", "Laysan"),
    ]
    assert described(test) == [("images/001.Black_footed_Albatross/A_0002.jpg", "Black footed Albatross")]
    assert train.labels == test.labels == ("Black footed Albatross", "Laysan")
    assert len(open_named(cub)) == 3
    assert int(train[1].image[0, 0, 0]) == pytest.approx(120, abs=2)
    with pytest.raises(LikewiseError, match=r"no split 'val'"):
        open_named(cub, "val")


@pytest.mark.parametrize("below", ["", "data/"])
def test_aircraft(tmp_path, below):
    for image in ("0034309", "0034958", "0037511"):
        picture(tmp_path / f"{below}images" / f"{image}.jpg")
    folder = tmp_path / below if below else tmp_path
    (folder / "variants.txt").write_text("707-320\n727-200\nF/A-18\n")
    lines = {"train": "0034309 707-320\n", "val": "0034958 F/A-18\n", "test": "0037511 727-200\n"}
    lines["trainval"] = lines["train"] + lines["val"]
    for split, text in lines.items():
        (folder / f"images_variant_{split}.txt").write_text(text)
    assert described(open_named(tmp_path, "trainval")) == [
        (f"{below}images/0034309.jpg", "707-320"),
        (f"{below}images/0034958.jpg", "F/A-18"),
    ]
    assert len(open_named(tmp_path)) == 3  # once each, though trainval holds two of them again
    assert open_named(tmp_path, "test")[0].target == 1


def notes(**columns):
    names = list(columns)
    rows = list(zip(*columns.values(), strict=True))
    return np.array([rows], dtype=[(n, object) for n in names])


def test_cars_in_one_file(tmp_path):
    files = ["car_ims/000001.jpg", "car_ims/000002.jpg", "car_ims/000003.jpg"]
    for file in files:
        picture(tmp_path / file)
    held = notes(relative_im_path=files, **{"class": [2, 1, 2]}, test=[0, 0, 1])
    names = np.array(["Audi A5 Coupe 2012", "BMW M3 Coupe 2012"], dtype=object)
    savemat(tmp_path / "cars_annos.mat", {"annotations": held, "class_names": names})
    train = open_named(tmp_path, "train")
    assert described(train) == [(files[0], "BMW M3 Coupe 2012"), (files[1], "Audi A5 Coupe 2012")]
    assert described(open_named(tmp_path, "test")) == [(files[2], "BMW M3 Coupe 2012")]


@pytest.mark.parametrize("beside", [True, False])
def test_cars_in_two_folders(tmp_path, beside):
    for file in ("cars_train/00001.jpg", "cars_train/00002.jpg", "cars_test/00001.jpg"):
        picture(tmp_path / file)
    kit = tmp_path / "devkit"
    kit.mkdir()
    savemat(kit / "cars_meta.mat", {"class_names": np.array(["Audi", "BMW"], dtype=object)})
    savemat(kit / "cars_train_annos.mat", {"annotations": notes(fname=["00001.jpg", "00002.jpg"], **{"class": [2, 1]})})
    truth = (tmp_path if beside else kit) / "cars_test_annos_withlabels.mat"
    savemat(truth, {"annotations": notes(fname=["00001.jpg", "00009.jpg"], **{"class": [1, 2]})})
    assert described(open_named(tmp_path, "train")) == [
        ("cars_train/00001.jpg", "BMW"),
        ("cars_train/00002.jpg", "Audi"),
    ]
    assert open_named(tmp_path, "test").names[0] == "cars_test/00001.jpg"


def test_an_index(tmp_path):
    fine = [{"id": 7, "name": "Royal-Gala", "text": "royal gala"}, {"id": 3, "name": "Kiwi"}]
    images = [
        {"file_name": f"images/{i}.jpg", "fine": c, "split": s} for i, (c, s) in enumerate([(7, "train"), (3, "val")])
    ]
    for record in images:
        picture(tmp_path / record["file_name"])
    (tmp_path / "classes.json").write_text(json.dumps({"fine": fine}))
    (tmp_path / "index.json").write_text(json.dumps({"images": images}))
    assert described(open_named(tmp_path, "train")) == [("images/0.jpg", "royal gala")]
    assert open_named(tmp_path, "val").labels == ("Kiwi", "royal gala")
    (tmp_path / "index.json").write_text(json.dumps({"images": [{"file_name": "x.jpg"}]}))
    with pytest.raises(LikewiseError, match=r"index\.json or classes\.json lacks 'fine'"):
        open_named(tmp_path)


def test_the_grocery_set(data_dir):
    train, val = open_named(data_dir / "grocery", "train"), open_named(data_dir / "grocery", "val")
    assert (len(train), len(val), len(train.labels)) == (2640, 296, 81)
    assert train.labels == val.labels
    assert train.labels[train[0].target] == "golden delicious"


def test_a_folder_a_class_is_divided_by_names_alone(tmp_path):
    for label in ("apple", "pear"):
        for i in range(60):
            path = tmp_path / label / f"{i}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    (tmp_path / "pear" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    train, val, every = (open_named(tmp_path, s) for s in ("train", "val", None))
    assert every.labels == ("apple", "pear")
    assert len(every) == 120
    assert set(train.names) | set(val.names) == set(every.names)
    assert not set(train.names) & set(val.names)
    assert 12 <= len(val) <= 36
    (tmp_path / "apple" / "new.jpg").touch()
    assert set(open_named(tmp_path, "val").names) - {"apple/new.jpg"} == set(val.names)


def test_folders_of_splits(tmp_path):
    for file in ("train/apple/1.jpg", "train/pear/sub/2.png", "val/apple/3.jpg"):
        picture(tmp_path / file)
    assert described(open_named(tmp_path, "train")) == [
        ("train/apple/1.jpg", "apple"),
        ("train/pear/sub/2.png", "pear"),
    ]
    assert open_named(tmp_path, "val").labels == ("apple", "pear")
    with pytest.raises(LikewiseError, match=r"no split 'test'; there are train, val"):
        open_named(tmp_path, "test")


def test_what_is_no_set_is_refused_with_a_reason(tmp_path, cub):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LikewiseError, match=r"no named pictures; expected a folder a class"):
        open_named(tmp_path / "empty")
    with pytest.raises(LikewiseError, match=r"no such folder: .*emty; did you mean 'empty'\?"):
        open_named(tmp_path / "emty")
    (cub / "classes.txt").unlink()
    with pytest.raises(LikewiseError, match=r"has no classes\.txt"):
        open_named(cub)
    picture(tmp_path / "one" / "apple" / "1.jpg")
    with pytest.raises(LikewiseError, match=r"1 pictures of 1 classes; expected pictures of at least two"):
        open_named(tmp_path / "one")


def test_classes_are_renumbered_as_a_model_knows_them(cub):
    data = open_named(cub, "train").relabelled(("Laysan", "Sooty", "Black footed Albatross"))
    assert data.targets == (2, 0)
    with pytest.raises(LikewiseError, match=r"does not know 'Laysan'.*did you mean 'Layson'"):
        data.relabelled(("Layson", "Black footed Albatross"))


def test_the_published_view_is_the_middle_of_the_squeezed_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).resize((40, 30)).resize((400, 300)))
    for width, height in ((500, 500), (500, 375), (375, 500), (1024, 400)):
        x0, y0, x1, y1 = SquareView().box(width, height)
        assert ((x1 - x0) / width, (y1 - y0) / height) == pytest.approx((448 / 600, 448 / 600))
        assert (x0 + x1, y0 + y1) == pytest.approx((width, height))
    squeezed = Image.fromarray(smooth).resize((600, 600), Image.Resampling.BILINEAR)
    seen = SquareView().of(smooth).astype(int)
    assert np.abs(seen - np.asarray(squeezed)[76:524, 76:524]).mean() < 0.5
    assert seen.shape == (448, 448, 3)


def test_a_square_of_the_picture_is_the_middle_of_the_scaled_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).resize((40, 30)).resize((400, 300)))
    view = SquareView(size=448, share=448 / 600, squeezed=False)
    assert view.box(400, 300) == pytest.approx((200 - 112, 150 - 112, 200 + 112, 150 + 112))
    scaled = Image.fromarray(smooth).resize((800, 600), Image.Resampling.BILINEAR)
    expected = np.asarray(scaled)[76:524, 176:624]
    assert np.abs(view.of(smooth).astype(int) - expected).mean() < 0.5
    assert view.of(smooth).shape == (448, 448, 3)


def test_the_whole_picture_is_squeezed_where_no_share_is_given():
    pixels = np.zeros((50, 200, 3), np.uint8)
    pixels[:, 100:] = 255
    seen = SquareView(size=64, share=0.0).of(pixels)
    assert seen[:, :30].max() == 0
    assert seen[:, 34:].min() == 255
    for share in (-0.1, 1.5):
        with pytest.raises(LikewiseError, match="share"):
            SquareView(share=share)


def test_random_crops_have_the_asked_areas_and_shapes():
    crop = SquareCrop(size=8)
    rng = np.random.default_rng(1)
    boxes = np.array([crop.draw(240, 200, rng) for _ in range(400)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area = width * height / 48000
    assert 0.5 <= area.min() < 0.53
    assert 0.9 < area.max() <= 1
    assert (width / height).min() >= 3 / 4 - 1e-9
    assert (width / height).max() <= 4 / 3 + 1e-9
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 240
    assert boxes[:, 3].max() <= 200
    x0, y0, x1, y1 = crop.draw(1000, 10, rng)  # nothing fits: the middle, in an allowed shape
    assert (y0, y1) == (0, 10)
    assert x1 - x0 == pytest.approx(10 * 4 / 3)


def test_half_of_the_crops_are_mirrored_and_a_seed_repeats_them():
    ramp = np.broadcast_to(np.arange(0, 250, 5, dtype=np.uint8)[None, :, None], (40, 50, 3))
    sample = NamedSample(torch.from_numpy(ramp.transpose(2, 0, 1).copy()), 1, "a")
    view = TrainView(SquareCrop(size=16))
    rows = [view(sample, np.random.default_rng(i)).image[0, 8].int() for i in range(60)]
    mirrored = [bool(r[0] > r[-1]) for r in rows]
    assert 15 < sum(mirrored) < 45
    assert torch.equal(rows[3], view(sample, np.random.default_rng(3)).image[0, 8].int())


def test_light_changes_only_where_it_is_asked_to():
    grey = NamedSample(torch.full((3, 40, 50), 128, dtype=torch.uint8), 1, "a")
    crop = SquareCrop(size=16)
    assert set(TrainView(crop)(grey, np.random.default_rng(0)).image.flatten().tolist()) == {128}
    changed = TrainView(crop, ColorJitter())(grey, np.random.default_rng(0))
    assert changed.image.shape == (3, 16, 16)
    assert changed.image.dtype == torch.uint8
    assert len(changed.image.unique()) > 1


def test_a_batch_holds_pictures_between_0_and_1_and_their_classes():
    samples = [NamedSample(torch.full((3, 9, 12), v, dtype=torch.uint8), v % 2, f"{v}.jpg") for v in (255, 0, 51)]
    view = FixedView(SquareView(size=6, share=0.5))
    batch = collate_named([view(s, np.random.default_rng(0)) for s in samples])
    assert batch.image.shape == (3, 3, 6, 6)
    torch.testing.assert_close(batch.image[:, 0, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
    assert batch.target.tolist() == [1, 0, 1]
    assert len(batch) == 3
    assert batch.to("cpu").names == ("255.jpg", "0.jpg", "51.jpg")


def test_a_box_at_the_border_is_resized_as_it_is():
    pixels = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(resized(pixels, (0, 0, 32, 32), 32), pixels)
    assert np.array_equal(resized(pixels, (8, 4, 24, 20), 16), pixels[4:20, 8:24])
    assert resized(pixels, (16.0, 16.0, 32.0000001, 32.0), 4).shape == (4, 4, 3)


def test_every_class_of_a_plain_folder_counts(tmp_path):
    for i, label in enumerate(("a", "b", "c")):
        for j in range(i + 1):
            picture(tmp_path / label / f"{j}.png", 40 * i)
    data = open_named(tmp_path)
    assert Counter(data.targets) == {0: 1, 1: 2, 2: 3}
