"""Where pictures lie: there and back, against coordinates worked out by hand and by rasterio."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.errors import LikewiseError
from likewise.placement import Placement

TURNED = Placement((0.65, 0.5), "EPSG:32733", (0.3, 0.1, 5e5, 0.2, -0.4, 8e6))


@pytest.mark.parametrize("unit", ["px", "um", "crs"])
def test_there_and_back(unit):
    points = np.random.default_rng(0).uniform(0, 1e5, (50, 2))
    assert np.allclose(TURNED.pixels(TURNED.places(points, unit), unit), points, rtol=0, atol=1e-6)


def test_places_are_those_of_the_formulas():
    assert TURNED.places([(10, 20)], "um").tolist() == [[6.5, 10.0]]
    assert TURNED.places([(10, 20)], "crs")[0] == pytest.approx([5e5 + 3 + 2, 8e6 + 2 - 8])
    assert TURNED.places(np.zeros((0, 2), np.float32), "crs").shape == (0, 2)


def test_coordinates_are_rasterios():
    transform = pytest.importorskip("rasterio.transform", reason="needs the [geo] extra")
    points = np.random.default_rng(1).uniform(0, 1000, (20, 2))
    xs, ys = transform.xy(transform.Affine(*TURNED.transform), points[:, 1], points[:, 0], offset="ul")
    assert np.allclose(TURNED.places(points, "crs"), np.stack([xs, ys], 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("unit", ["um", "crs"])
def test_a_part_at_another_size_lies_where_it_was_cut(unit):
    part = TURNED.within((100.0, 30.0), (0.5, 0.25))
    assert part.micrometres == (1.3, 2.0)
    points = np.random.default_rng(2).uniform(0, 50, (20, 2))
    moved = TURNED.places(points / (0.5, 0.25) + (100, 30), unit) - (TURNED.places([(100, 30)], unit) * (unit == "um"))
    assert np.allclose(part.places(points, unit), moved, rtol=0, atol=1e-6)


def test_a_box_of_coordinates_has_its_top_where_northings_are_large():
    north_up = Placement(crs="EPSG:32733", transform=(0.5, 0, 1000, 0, -0.5, 2000))
    assert north_up.box_in_pixels((1010, 1980, 1020, 1990), "crs") == (20.0, 20.0, 40.0, 40.0)
    assert north_up.box_in_pixels((1020, 1990, 1010, 1980), "crs") == (20.0, 20.0, 40.0, 40.0)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("um", "does not tell the size of its pixels in micrometres; give places in px"),
        ("crs", "does not tell its coordinates; give places in px"),
        ("mm", "unit = 'mm': expected px"),
    ],
)
def test_what_a_picture_does_not_tell_is_refused(unit, message):
    with pytest.raises(LikewiseError, match=message):
        Placement().pixels([(1, 2)], unit)


@pytest.mark.parametrize(
    "fields",
    [
        {"micrometres": (0, 1)},
        {"micrometres": (float("nan"), 1)},
        {"transform": (1, 2, 0, 2, 4, 0)},
        {"transform": (1, 0, float("inf"), 0, 1, 0)},
        {"transform": (1, 0, 0)},
    ],
)
def test_a_placement_that_can_not_be_is_refused(fields):
    with pytest.raises(LikewiseError, match=r"(micrometres|transform) = "):
        Placement(**fields)
