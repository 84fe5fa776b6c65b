"""Coverage against areas known in closed form, inclusion against a winding count."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon

from likewise.errors import LikewiseError
from likewise.ops import scanline
from likewise.ops.polygon import inside_polygon, polygon_coverage


def shoelace(corners: torch.Tensor) -> float:
    x, y = corners.unbind(1)
    return float((x * y.roll(-1) - y * x.roll(-1)).sum().abs() / 2)


def test_a_box_on_whole_pixels_is_exact() -> None:
    expected = torch.zeros(7, 9)
    expected[2:5, 1:8] = 1
    covered = polygon_coverage(torch.tensor([(1, 2), (8, 2), (8, 5), (1, 5)]), 7, 9)
    torch.testing.assert_close(covered, expected)


def test_half_covered_pixels_count_half() -> None:
    covered = polygon_coverage(torch.tensor([(0.25, 0.5), (2.5, 0.5), (2.5, 2.0), (0.25, 2.0)]), 2, 4)
    torch.testing.assert_close(covered, torch.tensor([[0.375, 0.5, 0.25, 0.0], [0.75, 1.0, 0.5, 0.0]]))


@pytest.mark.parametrize("turn", [0.1, 0.7, 2.0])
@pytest.mark.parametrize("sides", [3, 4, 17])
def test_the_covered_area_is_the_polygons(sides: int, turn: float) -> None:
    angle = torch.arange(sides) * (2 * math.pi / sides) + turn
    corners = torch.stack([20.3 + 12.9 * angle.cos(), 17.7 + 12.9 * angle.sin()], 1)
    assert polygon_coverage(corners, 36, 40).sum().item() == pytest.approx(shoelace(corners), rel=1e-6)


def test_a_triangle_covers_each_pixel_by_what_integrals_say() -> None:
    covered = polygon_coverage(torch.tensor([(0.0, 0.0), (4.0, 0.0), (0.0, 2.0)]), 2, 4)  # under y = 2 - x / 2
    torch.testing.assert_close(covered, torch.tensor([[1.0, 1.0, 0.75, 0.25], [0.75, 0.25, 0.0, 0.0]]))


def test_a_discs_sector_agrees_with_its_area_pixel_by_pixel_row() -> None:
    angle = torch.linspace(0, 2 * math.pi, 20001, dtype=torch.float64)[:-1]
    covered = polygon_coverage(torch.stack([6 + 5 * angle.cos(), 6 + 5 * angle.sin()], 1)[::8], 12, 12)

    def chord(y: float) -> float:  # the integral of 2 sqrt(25 - y^2)
        y = min(max(y, -5.0), 5.0)
        return y * math.sqrt(25 - y * y) + 25 * math.asin(y / 5)

    expected = torch.tensor([chord(row + 1 - 6) - chord(row - 6) for row in range(12)])
    torch.testing.assert_close(covered.sum(1), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_any_polygon_agrees_with_points_laid_close(seed: int) -> None:
    """Corners at random: edges cross each other, corners lie outside, on edges of pixels and on top of each other."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(7, 2, generator=generator) * 16 - 3
    corners[2] = corners[2].round()
    corners[4] = corners[1]
    fine = 40
    step = (torch.arange(10 * fine, dtype=torch.float64) + 0.5) / fine
    points = torch.stack([step.repeat(10 * fine), step.repeat_interleave(10 * fine)], 1)
    inside = inside_polygon(points, corners).double().view(10, fine, 10, fine).mean((1, 3))
    assert float((polygon_coverage(corners, 10, 10) - inside).abs().max()) < 3 / fine


def test_what_lies_outside_the_map_is_cut_off() -> None:
    corners = torch.tensor([(-50.0, -50.0), (90.0, -50.0), (90.0, 90.0), (-50.0, 90.0)])
    torch.testing.assert_close(polygon_coverage(corners, 5, 6), torch.ones(5, 6))
    assert not polygon_coverage(corners + 200, 5, 6).any()


def test_a_hole_drawn_by_crossing_itself_is_outside() -> None:
    star = [(10 + 9 * math.sin(4 * math.pi * k / 5), 10 - 9 * math.cos(4 * math.pi * k / 5)) for k in range(5)]
    covered = polygon_coverage(torch.tensor(star), 20, 20)
    assert covered[10, 10] == 0
    assert covered[4, 10] > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_inclusion_agrees_with_the_winding_angle(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    angle = (torch.rand(9, generator=generator) * 2 * math.pi).sort().values
    radius = 3 + 7 * torch.rand(9, generator=generator)
    corners = torch.stack(
        [10 + radius * angle.cos(), 10 + radius * angle.sin()], 1
    )  # star-shaped: never crosses itself
    points = 20 * torch.rand(400, 2, generator=generator)
    spokes = corners[None] - points[:, None]
    bearing = torch.atan2(spokes[..., 1], spokes[..., 0])
    turns = (bearing.roll(-1, 1) - bearing + math.pi).remainder(2 * math.pi) - math.pi
    assert torch.equal(inside_polygon(points, corners), turns.sum(1).abs() > math.pi)


def test_no_points() -> None:
    assert inside_polygon(torch.zeros(0, 2), torch.tensor([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])).shape == (0,)


def fine_share(corners: torch.Tensor, height: int, width: int, fine: int = 32) -> torch.Tensor:
    """The share of each pixel by scikit-image's polygon, drawn many times as large; for corners inside of the map."""
    rows, columns = (corners.flip(1).double() * fine - 0.5).T.numpy()
    mask = torch.zeros(height * fine, width * fine)
    mask[polygon(rows, columns, mask.shape)] = 1
    return mask.view(height, fine, width, fine).mean((1, 3))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 7)), min_size=3, max_size=12),
    st.sampled_from([None, 0.5, 1.0]),
)
def test_any_polygon_agrees_with_scikit_images_drawn_large(places, grid):
    corners = torch.tensor(places, dtype=torch.float64)
    if grid is not None:
        corners = (corners / grid).round() * grid  # corners on edges of pixels, on each other and on other sides
    found = polygon_coverage(corners, 7, 9)
    assert bool(found.isfinite().all())
    assert float((found - fine_share(corners, 7, 9)).abs().mean()) < 0.01


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 40), st.integers(0, 999))
def test_the_share_is_the_mean_of_what_lies_inside(count, seed):
    """Against the even-odd rule at points laid at random: the mean over all pixels, within five of its deviations."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 30 - 5
    points = torch.rand(4000, 2, generator=generator, dtype=torch.float64) * 20
    inside = inside_polygon(points, corners).double()
    assert abs(float(inside.mean()) - float(polygon_coverage(corners, 20, 20).mean())) < 5 * 0.5 / math.sqrt(4000)


@pytest.mark.parametrize("together", [1, 7, 100])
def test_how_many_sides_are_taken_together_does_not_matter(monkeypatch, together):
    corners = torch.rand(30, 2, generator=torch.Generator().manual_seed(3)) * 20 - 2
    whole = polygon_coverage(corners, 16, 15)
    monkeypatch.setattr(scanline, "TOGETHER", together)
    torch.testing.assert_close(polygon_coverage(corners, 16, 15), whole)


@pytest.mark.parametrize("pixels", [10, 1 << 19])
def test_what_takes_too_long_is_sampled(monkeypatch, pixels):
    corners = torch.rand(12, 2, generator=torch.Generator().manual_seed(4)) * 20 - 2
    exact = polygon_coverage(corners, 16, 15)
    monkeypatch.setattr(scanline, "MOST", 10)
    monkeypatch.setattr(scanline, "PIXELS", pixels)
    sampled = polygon_coverage(corners, 16, 15)
    step = (torch.arange(32, dtype=torch.float64) + 0.5) / 2
    points = torch.stack([step[:30].repeat(32), step.repeat_interleave(30)], 1)
    assert torch.equal(sampled, inside_polygon(points, corners).float().view(16, 2, 15, 2).mean((1, 3)))
    assert float((sampled - exact).abs().mean()) < 0.1


def test_a_spiral_of_many_crossings_touches_little_more_than_it_covers():
    """Work is bounded by what is drawn: sides and pairs that may cross, here of three hundred corners."""
    angle = 2.4 * torch.arange(300, dtype=torch.float64)
    radius = torch.arange(300, dtype=torch.float64) / 3
    corners = torch.stack([192 + radius * angle.cos(), 150 + radius * angle.sin()], 1)
    covered = polygon_coverage(corners, 300, 384)
    assert float(covered.mean()) == pytest.approx(float(fine_share(corners, 300, 384, 4).mean()), rel=0.01)


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        (torch.zeros(2, 2), r"corners \(2, 2\): expected \(M, 2\)"),
        (torch.tensor([(0.0, 0.0), (1.0, math.nan), (2.0, 3.0)]), r"corners\[1, 1\] is nan"),
        (torch.tensor([(0.0, 0.0), (1.0, 2.0), (-math.inf, 3.0)]), r"corners\[2, 0\] is -inf"),
    ],
)
def test_corners_that_bound_nothing_are_refused(corners, message):
    with pytest.raises(LikewiseError, match=message):
        polygon_coverage(corners, 4, 4)
    with pytest.raises(LikewiseError, match=message):
        inside_polygon(torch.zeros(1, 2), corners)


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_a_map_without_pixels(size):
    assert polygon_coverage(torch.tensor([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]), *size).shape == size
