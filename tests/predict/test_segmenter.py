"""Segmenting as people ask for it: every form of mask, every kind of picture, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.errors import LikewiseError
from likewise.methods.fwb.support import Levels
from likewise.predict import Counter, Segmenter, load
from likewise.predict.marks import mark_of
from likewise.registry import preset
from likewise.weights import save_checkpoint


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    found = preset("fwb-lite")
    model = found.model(replace(found.config, boosting=2))
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors", model)


@pytest.fixture(scope="module")
def segmenter(weights):
    return Segmenter.load(weights, device="cpu")


def pattern(width=90, height=60, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR))


def filled(x0, y0, x1, y1, width=90, height=60):
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask


MASK = filled(10, 10, 50, 40)


@pytest.mark.parametrize("size", [(90, 60), (61, 133), (900, 500), (3, 2), (1, 1), (500, 3)])
def test_the_mask_has_the_querys_size(segmenter, size):
    result = segmenter.segment(pattern(*size, seed=1), [(pattern(), MASK)])
    assert result.mask.shape == size[::-1]
    assert result.score.shape == size[::-1]
    assert result.size == size


@pytest.mark.parametrize("kind", ["png", "palette", "pil", "uint8", "colours", "cut-out", "tensor"])
def test_every_form_of_a_mask_is_the_same_mask(tmp_path, kind):
    picture = Image.fromarray(MASK.astype(np.uint8) * 255)
    forms = {
        "pil": picture,
        "uint8": MASK.astype(np.uint8) * 7,
        "colours": np.stack([MASK * 0, MASK * 9, MASK * 0], 2).astype(np.uint8),
        "cut-out": np.stack([np.full_like(MASK, 1)] * 3 + [MASK], 2).astype(np.uint8),
        "tensor": torch.from_numpy(MASK.copy()),
    }
    if kind in ("png", "palette"):
        path = tmp_path / "mask.png"
        (picture if kind == "png" else picture.convert("P")).save(path)
        forms[kind] = path
    mark = mark_of(forms[kind], 90, 60)
    assert mark.kind == "mask"
    assert np.array_equal(mark.pixels, MASK)


def test_a_dim_label_of_one_is_the_thing_too(tmp_path):
    """Label files are often 0 and 1, which look all black."""
    Image.fromarray(MASK.astype(np.uint8)).save(tmp_path / "mask.png")
    assert np.array_equal(mark_of(str(tmp_path / "mask.png"), 90, 60).pixels, MASK)


def test_a_box_holds_its_pixels_and_clicks_hold_discs():
    for box in ((10, 10, 50, 40), np.array([10, 10, 50, 40])):
        mark = mark_of(box, 90, 60)
        assert mark.kind == "box"
        assert np.array_equal(mark.pixels, MASK)
    mark = mark_of([(30.5, 20.5), (70.5, 40.5)], 90, 60)
    rows, columns = np.nonzero(mark.pixels)
    away = np.minimum(np.hypot(columns - 30, rows - 20), np.hypot(columns - 70, rows - 40))
    assert mark.kind == "clicks"
    assert away.max() <= 0.02 * 90
    assert len(rows) == 2 * 9


class Shown(torch.nn.Module):
    """A made-up network: a place is the thing where it is of the mean brightness under the masks; it keeps those."""

    task = "segment"
    config = replace(preset("fwb-lite").config, edges=0.0)

    def __init__(self):
        super().__init__()
        self.masks = []

    def look(self, images):
        return [Levels(i.mean(0), i.mean(0), i.shape[1:]) for i in images]

    def prototype(self, shots):
        self.masks.append(shots[-1][1].numpy())
        return torch.stack([seen.early[mask].median() for seen, mask in shots]).mean()

    def answer(self, seen, prototype):
        margin = 30 * (0.1 - (seen.early - prototype).abs())
        return torch.stack([-margin, margin])


def disc_on_ground():
    """A bright disc of radius 15 in the middle of a dark picture, 90 x 60, and where it is."""
    y, x = np.mgrid[:60, :90]
    disc = np.hypot(y - 30, x - 45) <= 15
    return np.where(disc, 220, 40).astype(np.uint8), disc


@pytest.mark.parametrize("mark", [(28, 14, 62, 46), [(45, 30)], [(40, 25), (52, 31)]])
def test_what_a_box_or_clicks_mark_is_taken_for_the_example(mark):
    """The box's corners go, and what surrounds the clicks comes."""
    picture, disc = disc_on_ground()
    network = Shown()
    Segmenter(network, "shown").set_support([(picture, mark)])
    assert len(network.masks) == 2  # what stands for the mark, and the thing
    assert not np.array_equal(network.masks[0], disc)
    assert np.array_equal(network.masks[1], disc)


def test_of_a_box_only_what_is_in_it_is_the_thing_and_a_mask_stays_as_it_is():
    picture, disc = disc_on_ground()
    network = Shown()
    Segmenter(network, "shown").set_support([(picture, (30, 10, 50, 50))])
    inside = np.zeros_like(disc)
    inside[10:50, 30:50] = True
    assert np.array_equal(network.masks[1], disc & inside)
    network.masks.clear()
    Segmenter(network, "shown").set_support([(picture, inside)])
    assert len(network.masks) == 1
    assert np.array_equal(network.masks[0], inside)


def test_where_nothing_of_a_box_is_like_it_the_box_stays():
    class Blind(Shown):
        def answer(self, seen, prototype):
            return torch.stack([torch.ones_like(seen.early), torch.zeros_like(seen.early)])

    network = Blind()
    Segmenter(network, "blind").set_support([(disc_on_ground()[0], (28, 14, 62, 46))])
    assert np.array_equal(network.masks[1], network.masks[0])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((60, 90), bool), "mask is empty"),
        (np.ones((90, 60), bool), r"is 60 x 90 pixels, its picture 90 x 60"),
        ((10, 10, 95, 40), "reaches outside the picture"),
        ((40, 10, 10, 40), "swapped corners"),
        ([(91, 5)], "click .91, 5. lies outside"),
        ([(5, 5, 5)], "expected an array"),
        ([], "expected an array"),
        ("nowhere.png", "no such file"),
        ("10;10;50;40", "expected an array .60, 90., a picture file, a box"),
        (None, "expected an array"),
    ],
)
def test_a_mask_that_cannot_be_is_refused_with_the_example_it_is_of(segmenter, mask, message):
    with pytest.raises(LikewiseError, match=rf"support\[1\].*{message}"):
        segmenter.segment(pattern(), [(pattern(), MASK), (pattern(), mask)])


def test_without_examples_there_is_nothing_to_go_by(segmenter):
    with pytest.raises(LikewiseError, match="nothing to go by"):
        segmenter.segment(pattern(), [])
    with pytest.raises(LikewiseError, match=r"support\[0\] has 3 parts"):
        segmenter.segment(pattern(), [(pattern(), MASK, 1)])


def test_a_support_is_set_once_and_used_many_times(segmenter):
    examples = [(pattern(), MASK), (pattern(70, 120, seed=3), (5, 5, 60, 60))]
    support = segmenter.set_support(examples)
    assert support.shots == 2
    for seed in (1, 2):
        query = pattern(120, 80, seed)
        once, again = segmenter.segment(query, examples), segmenter.segment(query, support)
        looked = segmenter.segment(segmenter.encode(query), support)
        assert np.array_equal(once.score, again.score)
        assert np.array_equal(once.score, looked.score)


def test_the_same_comes_out_every_time_and_another_mask_gives_another(segmenter):
    query = pattern(120, 80, 1)
    one, again, other = (
        segmenter.segment(query, [(pattern(), mask)]).score for mask in (MASK, MASK, filled(60, 30, 90, 60))
    )
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4


def test_pictures_come_in_every_form(segmenter, tmp_path):
    query = pattern(120, 80, 1)
    Image.fromarray(query).save(tmp_path / "query.png")
    tensor = torch.from_numpy(query.copy()).permute(2, 0, 1)
    forms = [query, Image.fromarray(query), tmp_path / "query.png", tensor]
    scores = [segmenter.segment(form, [(pattern(), MASK)]).score for form in forms]
    assert all(np.array_equal(scores[0], score) for score in scores)
    assert segmenter.segment(tmp_path / "query.png", [(pattern(), MASK)]).source == str(tmp_path / "query.png")


def test_a_thing_of_one_pixel_in_a_large_picture_is_still_there(segmenter):
    mask = np.zeros((1500, 2000), bool)
    mask[700, 900] = True
    assert segmenter.set_support([(pattern(2000, 1500), mask)]).shots == 1


def test_loading_gives_what_the_model_is_for(weights):
    assert isinstance(load(weights), Segmenter)
    with pytest.raises(LikewiseError, match="is there to segment; to count, name one of"):
        Counter.load(weights)
