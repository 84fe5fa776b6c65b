"""What recognising gives: answers in order, messages for bad arrays, JSON, and an overlay that shows the reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from likewise.draw import GROUND
from likewise.errors import LikewiseError
from likewise.results import RecognizeResult

MAGNIFIED = (np.full((32, 32, 3), (200, 10, 10), np.uint8), np.full((32, 32, 3), (10, 10, 200), np.uint8))


def result(**changes: Any) -> RecognizeResult:
    fields: dict[str, Any] = {
        "labels": ("apple", "kiwi", "lime", "a very long name " * 9),
        "probabilities": np.array([0.2, 0.5, 0.2, 0.1], np.float32),
        "peaks": np.array([[30.25, 20.5], [199.0, 149.0]], np.float32),
        "scores": np.array([1.0, 0.6], np.float32),
        "response": np.eye(31, dtype=np.float32),
        "seen": (0.0, 0.0, 200.0, 150.0),
        "magnified": MAGNIFIED,
        "size": (200, 150),
        "model": "s3n-lite",
        "seconds": 0.25,
        "image": np.full((150, 200, 3), 90, np.uint8),
        "source": "shelf/first shelf.jpg",
    }
    return RecognizeResult(**{**fields, **changes})


def test_the_answers_are_in_order_and_equal_ones_in_that_of_the_labels() -> None:
    r = result()
    assert (r.label, r.probability) == ("kiwi", 0.5)
    assert [label for label, _ in r.top(3)] == ["kiwi", "apple", "lime"]
    assert len(r.top(50)) == 4
    with pytest.raises(LikewiseError, match="k = 0: expected at least 1"):
        r.top(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probabilities": np.zeros(3, np.float32)}, r"probabilities must have shape \(4,\), one a label, got \(3,\)"),
        ({"peaks": np.zeros((2, 3), np.float32)}, r"peaks must have shape \(N, 2\), got \(2, 3\)"),
        ({"scores": np.zeros(3, np.float32)}, r"scores must have shape \(2,\), one a peak"),
        ({"response": np.zeros(9, np.float32)}, r"response must have shape \(h, w\)"),
        ({"magnified": (np.zeros((4, 4, 3)),)}, r"magnified must have shape .* got \(4, 4, 3\) of float64"),
        ({"image": np.zeros((4, 4), np.uint8)}, "image must have shape"),
        ({"probabilities": np.array([np.nan, 0, 0, 1], np.float32)}, "probabilities holds values that are not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LikewiseError, match=message):
        result(**changes)


def test_json_holds_the_answer_and_the_next() -> None:
    record = json.loads(json.dumps(result().to_dict()))
    assert list(record) == ["image", "model", "label", "nearest", "probability", "top", "seconds"]
    assert record["top"][:2] == [["kiwi", 0.5], ["apple", 0.2]]


def test_a_picture_of_none_of_the_classes_is_called_that_beside_the_nearest(tmp_path: Path) -> None:
    none = result(known=False, familiarity=0.1)
    assert (none.label, none.nearest, none.probability) == ("none of these", "kiwi", 0.5)
    assert none.to_dict()["label"] == "none of these"
    assert none.to_dict()["nearest"] == "kiwi"
    assert none.top(1) == [("kiwi", 0.5)]
    assert repr(none) == "<RecognizeResult of shelf/first shelf.jpg: none of these (nearest: kiwi) by s3n-lite>"
    assert not np.array_equal(none.plot(), result().plot())
    with pytest.raises(LikewiseError, match="familiarity holds values that are not finite"):
        result(familiarity=float("nan"))


def test_what_is_saved_is_named_after_the_picture(tmp_path: Path) -> None:
    path = result().save(tmp_path / "deep")
    assert path == tmp_path / "deep" / "first shelf_recognize.png"
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["peaks"] == [[30.25, 20.5], [199.0, 149.0]]
    assert result(source=None).save(tmp_path).name == "picture_recognize.png"
    assert result().save(tmp_path, "own").name == "own_recognize.png"


def found(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of exactly a colour."""
    return np.argwhere((np.asarray(picture) == colour).all(-1))


def test_the_plot_shows_the_picture_and_both_magnified_ones_beside_it() -> None:
    plot = result().plot()
    red, blue = found(plot, (200, 10, 10)), found(plot, (10, 10, 200))
    assert min(red[:, 1].min(), blue[:, 1].min()) > 900  # to the right of the picture, which is 900 wide
    assert red[:, 0].max() < blue[:, 0].min()
    assert len(red) == len(blue) > 200 * 200
    only = result(magnified=()).plot()
    assert only.width == 900
    assert only.height > 675  # the picture, and the answers below


@pytest.mark.parametrize("size", [(1, 1), (3000, 60), (60, 3000), (4000, 3000)])
def test_any_shape_of_picture_can_be_drawn(size: tuple[int, int]) -> None:
    scale = min(1, 1600 / max(size))
    small = np.zeros((max(1, round(size[1] * scale)), max(1, round(size[0] * scale)), 3), np.uint8)
    plot = result(size=size, image=small, seen=(0.0, 0.0, *map(float, size)), peaks=np.zeros((2, 2), np.float32)).plot()
    assert max(plot.size) <= 2600
    assert min(plot.size) >= 150


def test_heat_lies_where_the_model_looked_and_nowhere_else() -> None:
    response = np.ones((31, 31), np.float32)
    nowhere = {"peaks": np.zeros((0, 2), np.float32), "scores": np.zeros(0, np.float32)}
    r = result(response=response, seen=(50.0, 25.0, 150.0, 125.0), **nowhere)
    shown = np.asarray(r.plot())
    grey = (shown[:675, :900] == 90).all(-1)
    assert grey[:100].all()
    assert grey[:, :210].all()
    assert not grey[150:500, 260:640].any()


def test_bars_are_as_long_as_the_answers_are_probable() -> None:
    sharp = result(probabilities=np.array([1.0, 0, 0, 0], np.float32), magnified=()).plot()
    bars = found(sharp, (72, 255, 120))
    bars = bars[bars[:, 0] > 690]
    half = result(probabilities=np.array([0.5, 0.5, 0, 0], np.float32), magnified=()).plot()
    halves = found(half, (72, 255, 120))
    halves = halves[halves[:, 0] > 690]
    long, short = np.ptp(bars[:, 1]), np.ptp(halves[:, 1])
    assert short / long == pytest.approx(0.5, abs=0.03)
    assert np.ptp(halves[:, 0]) > np.ptp(bars[:, 0])  # two of them
    assert sharp.getpixel((3, sharp.height - 3)) == GROUND
