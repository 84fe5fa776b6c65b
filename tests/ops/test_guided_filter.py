"""The guided filter against its definition, window by window, and what it is for: edges and holes."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.ops.guided_filter import guided_filter


def by_definition(values, guide, radius, smoothness):
    """He, Sun & Tang, equations 14 to 16, in plain loops; beyond the border the outermost pixels go on."""
    height, width = values.shape

    def window(y, x):
        rows = np.clip(np.arange(y - radius, y + radius + 1), 0, height - 1)
        columns = np.clip(np.arange(x - radius, x + radius + 1), 0, width - 1)
        return np.ix_(rows, columns)

    lines = np.zeros((height, width, 4))
    for y in range(height):
        for x in range(width):
            colours, there = guide[window(y, x)].reshape(-1, 3), values[window(y, x)].ravel()
            middle = colours.mean(0)
            spread = np.cov(colours.T, bias=True) + smoothness * np.eye(3)
            slope = np.linalg.solve(spread, (colours * there[:, None]).mean(0) - middle * there.mean())
            lines[y, x] = [*slope, there.mean() - slope @ middle]
    found = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            mean = lines[window(y, x)].reshape(-1, 4).mean(0)
            found[y, x] = mean[:3] @ guide[y, x] + mean[3]
    return found


@pytest.mark.parametrize(("radius", "smoothness"), [(1, 1e-2), (3, 1e-4)])
def test_it_is_the_mean_of_the_lines_fitted_in_every_window(radius, smoothness):
    rng = np.random.default_rng(0)
    values, guide = rng.random((9, 12), dtype=np.float32), rng.random((9, 12, 3), dtype=np.float32)
    found = guided_filter(values, guide, radius, smoothness)
    np.testing.assert_allclose(found, by_definition(values, guide, radius, smoothness), atol=2e-4)


def ramp(width=40, height=30):
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


def test_an_edge_moves_to_where_the_colours_change():
    picture = np.zeros((30, 40, 3), np.float32)
    picture[:, 23:] = (0.2, 0.6, 0.4)
    found = guided_filter(ramp(), picture, 6, 1e-4) > 0.5
    assert found[:, 23:].all()
    assert not found[:, :23].any()


def test_a_hole_closes_where_the_picture_goes_on_and_stays_where_it_does_not():
    score = np.ones((40, 40), np.float32)
    score[18:22, 8:12] = score[18:22, 28:32] = 0.2
    picture = np.full((40, 40, 3), 0.5, np.float32)
    picture[18:22, 28:32] = (0.9, 0.1, 0.1)
    found = guided_filter(score, picture, 8, 1e-4) > 0.5
    assert found[18:22, 8:12].all()
    assert not found[18:22, 28:32].any()


def test_a_coarse_map_is_brought_to_the_pixels_of_the_whole_picture():
    whole = np.zeros((120, 160, 3), np.uint8)
    whole[:, 91:] = (50, 150, 100)  # not on the border of a coarse pixel
    small = whole.reshape(30, 4, 40, 4, 3).mean((1, 3)).astype(np.float32) / 255
    found = guided_filter(ramp(), small, 6, 1e-4, whole)
    assert found.shape == (120, 160)
    assert ((found > 0.5) == (np.arange(160) >= 91)).all()


def test_in_a_picture_of_one_colour_the_map_is_smoothed_and_no_more():
    found = guided_filter(ramp(), np.full((30, 40, 3), 0.3, np.float32), 2, 1e-4)
    np.testing.assert_allclose(found[:, 8:-8], ramp()[:, 8:-8], atol=1e-4)


def test_a_single_pixel_keeps_its_value():
    assert guided_filter(np.float32([[0.7]]), np.zeros((1, 1, 3), np.float32), 4, 1e-4) == pytest.approx(0.7)
