"""Recognising pictures people have: any shape, results in their pixels, nothing random."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from likewise.errors import LikewiseError
from likewise.inference import OpenSet
from likewise.methods.s3n import S3N, S3N_LITE
from likewise.predict import Recognizer, load
from likewise.predict.recognizer import familiarity
from likewise.preprocess.square_view import SquareView
from likewise.registry import preset
from likewise.weights import save_checkpoint

WHOLE = SquareView(size=61, share=0.0)


class Told(nn.Module):
    """Answers as it was told, and remembers what it was shown."""

    def __init__(self, response, view=WHOLE, logits=(0.0, 2.0, 1.0)):
        super().__init__()
        self.config = replace(S3N_LITE.config, classes=3, labels=("a", "b", "c"), view=view)
        self.response, self.answer, self.shown = response, torch.tensor([logits]), None
        self.features = torch.tensor([[3.0, 4.0]])

    def forward(self, image):
        self.shown = image
        sampled = {"discriminative": (image - 0.5) / 0.5, "complementary": torch.full_like(image, 9.0)}
        return SimpleNamespace(
            logits=self.answer,
            features=self.features,
            response=self.response,
            peaks=self.response > 0.5,
            sampled=sampled,
        )


def peaked(*cells):
    response = torch.zeros(1, 31, 31)
    for row, column, height in cells:
        response[0, row, column] = height
    return response


def test_peaks_are_in_the_callers_pixels_strongest_first():
    told = Told(peaked((0, 0, 0.7), (30, 30, 0.6), (15, 30, 1.0)))
    result = Recognizer(told, "told").recognize(np.zeros((122, 244, 3), np.uint8))
    # the centres of the corner pixels of what the network sees: half of 244 / 61 and 122 / 61 from the border
    np.testing.assert_allclose(result.peaks, [[242, 61], [2, 1], [242, 121]])
    np.testing.assert_allclose(result.scores, [1.0, 0.7, 0.6])
    assert result.size == (244, 122)
    assert result.seen == (0, 0, 244, 122)


def test_the_middle_is_seen_where_the_view_says_so():
    told = Told(peaked((15, 15, 1.0), (0, 0, 0.9)), SquareView(size=61, share=0.5, squeezed=False))
    result = Recognizer(told, "told").recognize(np.zeros((100, 300, 3), np.uint8))
    assert result.seen == (125, 25, 175, 75)
    np.testing.assert_allclose(result.peaks[0], (150, 50))
    np.testing.assert_allclose(result.peaks[1], (125 + 25 / 61, 25 + 25 / 61))
    squeezed = Told(peaked((15, 15, 1.0), (0, 0, 0.9)), SquareView(size=61, share=0.5))
    result = Recognizer(squeezed, "told").recognize(np.zeros((100, 300, 3), np.uint8))
    assert result.seen == (75, 25, 225, 75)
    np.testing.assert_allclose(result.peaks[1], (75 + 75 / 61, 25 + 25 / 61))


def test_answers_are_probabilities_and_magnified_pictures_are_pictures():
    told = Told(peaked((3, 4, 1.0)))
    grey = Image.new("L", (80, 50), 51)
    result = Recognizer(told, "told").recognize(grey)
    assert told.shown.shape == (1, 3, 61, 61)
    torch.testing.assert_close(told.shown, torch.full_like(told.shown, 0.2))
    assert result.label == "b"
    np.testing.assert_allclose(result.probabilities, torch.tensor([0.0, 2, 1]).softmax(0), rtol=1e-6)
    assert [m.shape for m in result.magnified] == [(61, 61, 3)] * 2
    assert result.magnified[0].min() == result.magnified[0].max() == 51
    assert result.magnified[1].min() == 255  # cut off, not wrapped round
    assert result.image.shape == (50, 80, 3)


def test_a_flat_picture_has_no_peaks_and_an_answer():
    result = Recognizer(Told(peaked()), "told").recognize(np.zeros((5, 7), np.uint8))
    assert result.peaks.shape == (0, 2)
    assert result.label == "b"
    assert result.plot().width > 900


def test_familiarity_is_the_largest_logit_above_the_mean_per_length_of_the_features():
    logits, features = torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.5]])
    torch.testing.assert_close(familiarity(logits, features), torch.tensor([(2 - 1) / 5, (3 - 2) / 0.5]))
    assert familiarity(logits, torch.zeros(2, 2)).isfinite().all()
    shifted = familiarity(logits + 7, features)  # what all classes have in common tells nothing
    torch.testing.assert_close(shifted, familiarity(logits, features))


@pytest.mark.parametrize(("threshold", "known"), [(None, True), (0.19, True), (0.21, False)])
def test_less_familiar_than_the_threshold_is_none_of_these(threshold, known):
    told = Told(peaked((3, 4, 1.0)))
    open_set = None if threshold is None else OpenSet(threshold)
    told.config = replace(told.config, open_set=open_set)
    result = Recognizer(told, "told").recognize(np.zeros((9, 9), np.uint8))
    assert result.familiarity == pytest.approx(0.2)
    assert (result.known, result.nearest) == (known, "b")
    assert result.label == ("b" if known else "none of these")


def test_a_threshold_is_a_number():
    with pytest.raises(LikewiseError, match="open set: threshold = nan"):
        OpenSet(float("nan"))


def test_an_answer_that_is_not_finite_is_refused():
    with pytest.raises(LikewiseError, match="damaged or unfit"):
        Recognizer(Told(peaked(), logits=(0.0, float("nan"), 0.0)), "told").recognize(np.zeros((9, 9), np.uint8))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    config = replace(preset("s3n-lite").config, classes=3, labels=("ash", "elm", "oak"), view=SquareView(64, 0.0))
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "trees.safetensors", S3N(config))


@pytest.mark.parametrize("size", [(1, 1), (300, 4), (64, 64), (90, 200)])
def test_any_shape_is_recognised_the_same_way_twice(weights, size, tmp_path):
    recognizer = load(weights)
    assert isinstance(recognizer, Recognizer)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    first, again = recognizer.recognize(tmp_path / "p.png"), recognizer.recognize(pixels)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    assert float(first.probabilities.sum()) == pytest.approx(1, rel=1e-5)
    assert first.source == str(tmp_path / "p.png")
    assert (first.peaks >= 0).all()
    assert (first.peaks <= (size[1], size[0])).all()


def test_a_model_for_another_task_is_refused():
    with pytest.raises(LikewiseError, match="spdcn-lite is there to count; to recognize, name one of s3n, s3n-lite"):
        Recognizer.load("spdcn-lite")


def test_classes_without_names_are_numbered():
    recognizer = Recognizer(S3N(replace(preset("s3n-lite").config, classes=3, labels=())), "none")
    assert recognizer.labels == ("class 0", "class 1", "class 2")
