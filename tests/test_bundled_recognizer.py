"""The bundled s3n-lite: its file, its card, and what it knows of groceries it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.data.open_dataset import open_named
from likewise.engine.recognize_eval import evaluate
from likewise.predict import Recognizer
from likewise.registry import preset
from likewise.weights import file_sha256, read_checkpoint


def test_the_file_is_the_one_on_the_card_and_small():
    card = preset("s3n-lite").card
    assert card.path.stat().st_size < 8e6
    assert file_sha256(card.path) == card.sha256
    config = read_checkpoint(card.path).config
    assert len(set(config["labels"])) == config["classes"] == 81
    assert config["view"]["size"] == preset("s3n-lite").config.view.size


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load("s3n-lite")


def test_it_knows_most_groceries_of_another_day(recognizer, data_dir):
    data = open_named(data_dir / "grocery", "val")
    some = type(data)(data.root, data.names[::8], data.targets[::8], data.labels)
    summary = evaluate(recognizer, some).summary()
    assert summary["top1"] >= 0.7
    assert summary["top5"] >= 0.85


def test_it_says_of_other_things_that_they_are_none_of_its_kinds(recognizer, data_dir):
    assert recognizer.model.config.open_set is not None
    data = open_named(data_dir / "grocery", "val")
    some = type(data)(data.root, data.names[::8], data.targets[::8], data.labels)
    assert (
        evaluate(recognizer, some).summary()["accepted"] >= 0.87
    )  # 95 % of all; of 37, three may be missing by chance
    others = [*sorted((data_dir / "clothing" / "images").glob("*.jpg"))[::60]]
    others += sorted((data_dir / "blood" / "images").glob("*"))[::30]
    refused = [not recognizer.recognize(path).known for path in others]
    assert len(refused) >= 20
    assert np.mean(refused) >= 0.75  # nine in ten are


def test_what_it_magnifies_is_where_it_responds(recognizer, data_dir):
    name = "images/val/Granny-Smith_001.jpg"
    result = recognizer.recognize(data_dir / "grocery" / name)
    assert result.nearest == "granny smith"
    assert result.response.max() == 1.0
    assert result.peaks.shape[0] >= 1
    plain = recognizer.recognize(np.full((64, 64, 3), 128, np.uint8))
    assert np.isfinite(plain.probabilities).all()
    first, second = result.magnified
    assert first.shape == second.shape == (recognizer.model.config.view.size,) * 2 + (3,)
    assert not np.array_equal(first, second)
