"""Density maps against sums written out by hand, closed forms and the rule that mass is neither made nor lost."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from likewise.errors import LikewiseError
from likewise.ops.density.maps import dots_map, fold_border, gaussian_density, placed, resize_density


def overlap_resized(density: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Every new pixel's mass added up from the rectangles it shares with old ones, one pair at a time."""
    rows, columns = density.shape
    out = torch.zeros(height, width, dtype=density.dtype)
    for i in range(height):
        for j in range(width):
            for k in range(rows):
                for m in range(columns):
                    down = min((i + 1) * rows / height, k + 1) - max(i * rows / height, k)
                    across = min((j + 1) * columns / width, m + 1) - max(j * columns / width, m)
                    out[i, j] += density[k, m] * max(down, 0) * max(across, 0)
    return out


def test_every_dot_is_one_unit_in_the_pixel_that_holds_it():
    points = torch.tensor([[0.0, 0.0], [0.99, 0.5], [6.5, 3.0], [6.5, 3.99], [3.0, 2.0]])
    dots = dots_map(points, (4, 7))
    expected = torch.zeros(4, 7)
    for x, y in points.tolist():
        expected[math.floor(y), math.floor(x)] += 1
    assert torch.equal(dots, expected)


@pytest.mark.parametrize("make", [dots_map, lambda p, size: gaussian_density(p, 1.0, size)])
def test_no_points_make_an_empty_map(make):
    assert torch.equal(make(torch.zeros(0, 2), (3, 5)), torch.zeros(3, 5))


@pytest.mark.parametrize("point", [(7.0, 1.0), (1.0, 4.0), (-0.01, 1.0), (float("nan"), 1.0)])
@pytest.mark.parametrize("make", [dots_map, lambda p, size: gaussian_density(p, 1.0, size)])
def test_a_point_outside_is_an_error_that_names_it(make, point: tuple[float, float]):
    with pytest.raises(LikewiseError, match=r"outside the map, which is 7 x 4 pixels"):
        make(torch.tensor([[1.0, 1.0], point]), (4, 7))


@given(
    st.lists(st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)), max_size=12),
    st.floats(1e-3, 1e3),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_gaussians_sum_to_the_number_of_points_wherever_they_are(places, sigma: float, height: int, width: int):
    points = torch.tensor(places, dtype=torch.float64).reshape(-1, 2) * torch.tensor([width, height])
    density = gaussian_density(points, sigma, (height, width))
    assert density.sum().item() == pytest.approx(len(places), abs=1e-9)
    assert (density >= 0).all()


def test_a_gaussian_far_from_the_border_is_the_sampled_closed_form():
    points = torch.tensor([[20.3, 18.9], [17.0, 22.5]], dtype=torch.float64)
    sigma = torch.tensor([1.5, 2.5], dtype=torch.float64)
    density = gaussian_density(points, sigma, (41, 40))
    y, x = torch.meshgrid(torch.arange(41).double() + 0.5, torch.arange(40).double() + 0.5, indexing="ij")
    squares = [((x - px) ** 2 + (y - py) ** 2) / (2 * s**2) for (px, py), s in zip(points, sigma, strict=True)]
    expected = sum(torch.exp(-q) / (2 * math.pi * s**2) for q, s in zip(squares, sigma, strict=True))
    torch.testing.assert_close(density, expected, atol=1e-6, rtol=0)


def test_a_cut_gaussian_keeps_its_shape_and_weighs_one():
    point = torch.tensor([[0.2, 3.9]], dtype=torch.float64)
    density = gaussian_density(point, 1.7, (5, 6))
    y, x = torch.meshgrid(torch.arange(5) + 0.5, torch.arange(6) + 0.5, indexing="ij")
    bump = torch.exp(-((x - 0.2) ** 2 + (y - 3.9) ** 2) / (2 * 1.7**2))
    torch.testing.assert_close(density, (bump / bump.sum()).double())


def test_a_sigma_that_is_not_positive_is_an_error():
    with pytest.raises(LikewiseError, match="sigma must be positive, got 0"):
        gaussian_density(torch.tensor([[1.0, 1.0]]), 0.0, (4, 4))


def test_gradients_of_density_and_resize():
    points = torch.tensor([[1.2, 2.7], [3.3, 0.6]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda p: gaussian_density(p, 1.1, (4, 5)), points)
    maps = torch.rand(2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda d: resize_density(d, (3, 8)), maps)


@pytest.mark.parametrize("size", [(5, 7), (10, 14), (3, 4), (1, 1), (13, 2), (2, 13)])
def test_resize_is_the_overlap_of_pixels(size: tuple[int, int]):
    density = torch.rand(5, 7, dtype=torch.float64)
    torch.testing.assert_close(resize_density(density, size), overlap_resized(density, *size))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_resize_keeps_each_map_s_sum_and_a_constant_map_constant(h: int, w: int, height: int, width: int):
    maps = torch.rand(2, 1, h, w) * torch.tensor([1.0, 1e4]).view(2, 1, 1, 1)
    resized = resize_density(maps, (height, width))
    assert resized.shape == (2, 1, height, width)
    assert resized.dtype == maps.dtype
    torch.testing.assert_close(resized.double().sum((2, 3)), maps.double().sum((2, 3)), rtol=1e-5, atol=0)
    flat = resize_density(torch.ones(h, w), (height, width))
    torch.testing.assert_close(flat, torch.full((height, width), h * w / (height * width)))


def test_resize_moves_mass_no_further_than_its_pixel():
    density = torch.zeros(6, 8)
    density[2, 5] = 3.0
    resized = resize_density(density, (12, 4))
    inside = torch.zeros(12, 4)
    inside[4:6, 2] = 1.5
    torch.testing.assert_close(resized, inside)


@pytest.mark.parametrize("part", [(2, 3, 6, 8), (0, 0, 7, 9), (0, 4, 7, 5), (6, 8, 7, 9)])
def test_what_lies_beside_a_part_goes_to_its_nearest_cell(part: tuple[int, int, int, int]):
    density = torch.rand(7, 9)
    y0, x0, y1, x1 = part
    expected = torch.zeros(y1 - y0, x1 - x0)
    for i in range(7):
        for j in range(9):
            expected[min(max(i, y0), y1 - 1) - y0, min(max(j, x0), x1 - 1) - x0] += density[i, j]
    torch.testing.assert_close(fold_border(density, part), expected)


def test_a_bump_stands_at_the_dot_or_at_the_centre_of_its_pixel():
    """Half a pixel each way moves up to 14 % of a bump's peak at a sigma of 3, 41 % at 1."""
    points = torch.tensor([[3.0, 5.99], [0.0, 0.2]], dtype=torch.float64)
    assert torch.equal(placed(points, "exact"), points)
    assert torch.equal(placed(points, "pixels"), torch.tensor([[3.5, 5.5], [0.5, 0.5]], dtype=torch.float64))
    for sigma, most in ((3.0, 0.14), (1.0, 0.41)):
        both = [gaussian_density(torch.full((1, 2), at).double(), sigma, (64, 64)) for at in (32.0, 32.5)]
        moved = float((both[0] - both[1]).abs().max() / both[1].max())
        assert moved == pytest.approx(most, abs=0.015)
