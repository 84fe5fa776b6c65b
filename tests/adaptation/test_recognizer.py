"""Names that a few pictures teach: the bundled trunk, and cuttings of three materials that everybody can tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import likewise as lw
from likewise.adaptation.recognizer import adapt_recognizer, features_of
from likewise.engine.open_set import FEWEST
from likewise.errors import LikewiseError
from likewise.ops.ridge_classifier import ridge_classifier
from likewise.predict import Counter, Recognizer

from .made_up_counters import DotCounter

MATERIALS = {"brick": data.brick, "grass": data.grass, "gravel": data.gravel}
SIDE = 128


def cuttings(name: str, number: int, first: int = 0) -> Iterator[np.ndarray]:
    """Squares of a material that do not overlap, one by one."""
    whole = np.repeat(MATERIALS[name]()[..., None], 3, axis=2)
    for place in range(first, first + number):
        y, x = SIDE * (place // 4), SIDE * (place % 4)
        yield whole[y : y + SIDE, x : x + SIDE]


def named(number: int) -> list[tuple[np.ndarray, str]]:
    return [(picture, name) for name in MATERIALS for picture in cuttings(name, number)]


@pytest.fixture(scope="module")
def base() -> Recognizer:
    return Recognizer.load("cam-lite", device="cpu")


@pytest.fixture(scope="module")
def mine(base: Recognizer) -> Recognizer:
    return adapt_recognizer(base, named(7))


def test_what_it_was_taught_it_finds_in_pictures_it_was_not_taught_by(mine: Recognizer):
    assert mine.labels == ("brick", "grass", "gravel")
    found = {name: [mine.recognize(each).nearest for each in cuttings(name, 4, first=12)] for name in MATERIALS}
    assert found == {name: [name] * 4 for name in MATERIALS}


def test_each_picture_left_out_is_what_a_recogniser_says_that_never_saw_it(base: Recognizer, mine: Recognizer):
    assert mine.taught is not None
    assert len(mine.taught.pictures) == 21
    assert mine.taught.right == sum(each.truth == each.found for each in mine.taught.pictures)
    for place in (0, 10, 20):
        others = named(7)
        picture, truth = others.pop(place)
        told = mine.taught.pictures[place]
        assert (told.name, told.truth) == (str(place + 1), truth)
        assert told.found == adapt_recognizer(base, others).recognize(picture).nearest


def test_the_network_says_what_the_classifier_makes_of_the_features(base: Recognizer, mine: Recognizer):
    pictures = [picture for picture, _ in named(7)]
    found = ridge_classifier(features_of(base, pictures), torch.arange(3).repeat_interleave(7), 3)
    asked = next(cuttings("grass", 1, first=15))
    logits = features_of(base, [asked]) @ found.weight.T + found.bias
    np.testing.assert_allclose(mine.recognize(asked).probabilities, logits[0].softmax(0), atol=2e-3)


def test_the_base_is_not_changed_and_the_same_pictures_teach_the_same_in_any_order(base: Recognizer):
    pictures, asked = named(3), next(cuttings("brick", 1, first=9))
    before = base.recognize(asked).probabilities
    one, other = (adapt_recognizer(base, each).recognize(asked) for each in (pictures, pictures[::-1]))
    assert np.array_equal(base.recognize(asked).probabilities, before)
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_a_file_gives_the_same_answers_and_remembers_what_was_taught(mine: Recognizer, tmp_path: Path):
    path = mine.save(tmp_path / "materials.safetensors")
    again = lw.load(path, device="cpu")
    assert isinstance(again, Recognizer)
    assert (again.name, again.labels, again.taught) == ("materials", mine.labels, mine.taught)
    asked = next(cuttings("gravel", 1, first=12))
    one, other = mine.recognize(asked), again.recognize(asked)
    assert np.array_equal(one.probabilities, other.probabilities)
    assert (one.known, one.familiarity) == (other.known, other.familiarity)
    with pytest.raises(LikewiseError, match=r"ends in \.safetensors"):
        mine.save(tmp_path / "materials.pt")


def test_what_shows_none_of_the_names_is_learnt_from_twenty_pictures_on(base: Recognizer, mine: Recognizer):
    assert mine.model.config.open_set is not None
    taken = [mine.recognize(picture).known for picture, _ in named(7)]
    assert sum(taken) >= 20  # nineteen in twenty are to be
    few = adapt_recognizer(base, named(FEWEST // 3))
    assert few.model.config.open_set is None


def test_a_folder_teaches_by_its_split(base: Recognizer, tmp_path: Path):
    for name in MATERIALS:
        for split, pictures in (("train", cuttings(name, 2)), ("val", cuttings(name, 1, first=3))):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number, picture in enumerate(pictures):
                Image.fromarray(picture).save(folder / f"{number}.png")
    told: list[tuple[str, float]] = []
    adapted = adapt_recognizer(base, tmp_path, split="train", progress=lambda what, share: told.append((what, share)))
    assert len(adapted.taught.pictures) == 6
    assert {Path(each.name).parent.name for each in adapted.taught.pictures} == set(MATERIALS)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (told[0], told[-1]) == (("looking at the pictures", 0.0), ("done", 1.0))
    assert len(adapt_recognizer(base, str(tmp_path)).taught.pictures) == 9


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "0 names; expected at least two"),
        (["apple", "apple"], "1 name, 'apple'; expected at least two"),
        (["apple", "apple", "pear"], "one picture of 'pear'; expected at least two of every name"),
        (["apple", "Apple", "pear", "pear"], "'Apple' and 'apple' differ in case only"),
        (["apple", "apple", " ", " "], "a picture is called ''"),
        (["apple", "apple", "None of these", "none of these"], "differ in case only"),
        (["apple", "apple", "none of these", "none of these"], "a picture is called 'none of these'"),
    ],
)
def test_names_that_teach_nothing_are_refused_before_any_picture_is_looked_at(base, names, message):
    with pytest.raises(LikewiseError, match=message):
        adapt_recognizer(base, [("nowhere.png", name) for name in names])


def test_a_picture_that_cannot_be_read_is_named(base: Recognizer, tmp_path: Path):
    pictures = [(picture, name) for picture, name in named(2)]
    with pytest.raises(LikewiseError, match=r"nowhere\.png"):
        adapt_recognizer(base, [*pictures, (tmp_path / "nowhere.png", "brick")])


def test_what_has_no_trunk_of_its_own_is_refused():
    counter = Counter(DotCounter(1.0), "dots")
    with pytest.raises(LikewiseError, match="dots has no trunk that could be taught other names"):
        adapt_recognizer(counter, named(2))
