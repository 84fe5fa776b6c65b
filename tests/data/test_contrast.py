"""Which values become black and white: against numpy's percentiles and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.data.contrast import AUTO, Contrast
from likewise.data.intensity import Levels, intensity_range, levels_of, nodata_value
from likewise.errors import LikewiseError

VALUES = np.random.default_rng(2).normal(1000, 100, 100_001)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", AUTO),
        (" Auto ", AUTO),
        ("min,max", Contrast(0, 100, "percent")),
        ("0.1%,99.9%", Contrast(0.1, 99.9, "percent")),
        ("1 %, 99%", Contrast(1, 99, "percent")),
        ("200,4095", Contrast(200, 4095, "value")),
        ("-1e-3,.5", Contrast(-0.001, 0.5, "value")),
    ],
)
def test_a_choice_is_read_and_written(text: str, expected: Contrast) -> None:
    assert Contrast.parse(text) == expected
    assert Contrast.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "max,min", "5", "1%,99", "1,2,3", "a,b", "nan,1", "0,inf"])
def test_what_is_no_choice_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(LikewiseError, match=r"expected auto, min,max, two percentages such as 0\.1%,99\.9%, or two"):
        Contrast.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9,9", "contrast 9,9: expected two numbers, the lower one first"),
        ("99%,1%", "contrast 99%,1%: expected two numbers, the lower"),
        ("-1%,50%", "contrast -1%,50%: expected percentages from 0"),
    ],
)
def test_ends_in_the_wrong_order_or_range_are_refused(text: str, message: str) -> None:
    with pytest.raises(LikewiseError, match=message):
        Contrast.parse(text)


def test_the_range_is_what_was_chosen() -> None:
    expected = {
        "min,max": (VALUES.min(), VALUES.max()),
        "2%,75%": tuple(np.percentile(VALUES, (2, 75))),
        "auto": tuple(np.percentile(VALUES, (0.1, 99.9))),
        "0,5": (0, 5),
    }
    for text, within in expected.items():
        np.testing.assert_allclose(intensity_range([VALUES], "a", Contrast.parse(text)), within, rtol=1e-3)
    ordinary = np.linspace(0.1, 0.9, 999)  # auto knows that [0, 1] is meant, percentages are taken at their word
    assert intensity_range([ordinary], "a") == (0, 1)
    np.testing.assert_allclose(intensity_range([ordinary], "a", Contrast(0, 100, "percent")), (0.1, 0.9))


@pytest.mark.parametrize("hole", [np.nan, np.inf, -9999.0])
def test_nothing_has_no_say_and_becomes_the_median_of_its_channel(hole: float) -> None:
    values = np.stack([VALUES, VALUES * 2], -1)
    spoilt = np.concatenate([values, np.full((50_000, 2), hole)])
    clean, levels = levels_of([values], "a"), levels_of([spoilt], "a", nodata=-9999.0)
    assert (levels.low, levels.high) == (clean.low, clean.high)
    expected = 255 * (np.median(values, 0) - clean.low) / (clean.high - clean.low)
    assert np.abs(np.array(levels.nothing) - expected).max() <= 1
    assert levels.apply(np.full((2, 3, 2), hole)).reshape(-1, 2).tolist() == [list(levels.nothing)] * 6


def test_all_parts_of_a_picture_are_mapped_alike() -> None:
    picture = VALUES[:100_000].reshape(400, 250, 1)
    levels = levels_of([picture.reshape(-1, 1)], "a")
    parts = [levels.apply(picture[y : y + 77]) for y in range(0, 400, 77)]
    assert np.array_equal(np.concatenate(parts), levels.apply(picture))


def test_a_pixel_is_nodata_in_all_its_channels_or_not() -> None:
    levels = Levels(0, 100, (7, 8, 9), nodata=0)
    assert levels.apply(np.array([[[0, 0, 0], [0, 100, 0]]])).tolist() == [[[7, 8, 9], [0, 255, 0]]]


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("0", np.uint8, 0),
        ("-9999", np.uint8, None),
        ("-9999", np.int16, -9999),
        ("0.5", np.uint16, None),
        ("nan", np.float32, None),
        ("-3.4028234663852886e+38", np.float32, float(np.finfo(np.float32).min)),
        ("none", np.uint8, None),
        (None, np.uint8, None),
    ],
)
def test_nodata_is_a_value_that_pixels_can_have(text: str | None, dtype: type, expected: float | None) -> None:
    assert nodata_value(text, np.dtype(dtype)) == expected
