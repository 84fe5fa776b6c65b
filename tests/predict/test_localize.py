"""From a density to points, on densities whose peaks and sums are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from likewise.ops.density.maps import gaussian_density
from likewise.ops.density.peaks import peak_basins
from likewise.predict.localize import Peaks, find_peaks, snap_peaks

SIDE = 10.0
PLACES = [(10.5, 10.5, 0.3), (30.5, 10.5, 0.8), (50.5, 10.5, 1.4), (20.5, 30.5, 2.0), (40.5, 30.5, 0.2)]


def density() -> Tensor:
    grid = torch.zeros(40, 60)
    for x, y, mass in PLACES:
        grid[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = mass / 9
    grid[38, 57] = 0.6  # belongs to no peak
    return grid


def marked(*shown: int) -> Peaks:
    which = torch.tensor([i in shown for i in range(len(PLACES))])
    points = torch.tensor([place[:2] for place in PLACES])
    return Peaks(points, torch.ones(len(PLACES)), which, peak_basins(points, (40, 60), SIDE / 2) + 1)


def held(grid: Tensor) -> list[float]:
    return [float(grid[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].sum()) for x, y, _ in PLACES]


def test_settling_leaves_alone_what_is_far_from_one() -> None:
    grid = density()
    out = snap_peaks(grid, marked(), (0.5, 1.5))
    assert held(out) == pytest.approx([0.3, 1.0, 1.0, 2.0, 0.2])
    assert out[38, 57] == grid[38, 57]
    assert torch.equal(snap_peaks(grid, marked().of(torch.zeros(5, dtype=torch.bool)), (0.5, 1.5)), grid)


def test_what_is_left_over_is_nothing_if_it_does_not_make_half_a_thing() -> None:
    grid = density()
    grid[38, 57] = 0.0  # 0.3 and 0.2 in faint peaks are just half a thing
    assert held(snap_peaks(grid, marked(), (0.5, 1.5))) == pytest.approx([0.3, 1.0, 1.0, 2.0, 0.2])
    grid[20:] *= 0.99
    assert held(snap_peaks(grid, marked(), (0.5, 1.5))) == pytest.approx([0.0, 1.0, 1.0, 1.98, 0.0])
    assert snap_peaks(torch.full((40, 60), 1e-4), marked(), (0.5, 1.5)).sum() == 0


def test_an_example_is_one_whatever_its_density() -> None:
    assert held(snap_peaks(density(), marked(0, 3, 4), (0.5, 1.5))) == pytest.approx([1.0] * 5)


def lobes(*places: tuple[float, float, float]) -> Tensor:
    blobs = [mass * gaussian_density(torch.tensor([[x, y]]), 1.0, (40, 60)) for x, y, mass in places]
    return torch.stack(blobs).sum(0)


def test_peaks_in_the_middle_of_an_example_are_one_between_them() -> None:
    grid = lobes((9, 20, 0.9), (15, 20, 0.6), (32, 20, 1.0), (38, 20, 0.8))
    box = torch.tensor([[2.0, 12.0, 22.0, 28.0]])
    assert len(find_peaks(grid, SIDE, torch.zeros(0, 4)).points) == 4
    peaks = find_peaks(grid, SIDE, box)
    shown = peaks.points[peaks.shown]
    assert len(peaks.points) == 3
    assert shown.tolist() == [pytest.approx([11.4, 20.0], abs=0.2)]  # between them as their densities are
    assert (peaks.scores.diff() <= 0).all()
    assert snap_peaks(grid, peaks, (0.5, 1.5)).sum() == pytest.approx(3.0, abs=0.01)


def test_what_lies_on_the_rim_of_an_example_is_not_of_it() -> None:
    grid = lobes((12, 20, 1.0), (20, 20, 1.0))
    peaks = find_peaks(grid, SIDE, torch.tensor([[2.0, 12.0, 22.0, 28.0]]))
    assert peaks.points[~peaks.shown].tolist() == [pytest.approx([20.0, 20.0], abs=0.1)]
    assert peaks.points[peaks.shown].tolist() == [pytest.approx([12.0, 20.0], abs=0.1)]


def test_a_thing_boxed_twice_is_one_and_an_example_without_a_peak_none() -> None:
    grid = lobes((12, 20, 1.0))
    boxes = torch.tensor([[2.0, 12.0, 22.0, 28.0], [3.0, 12.0, 23.0, 28.0], [40.0, 12.0, 56.0, 28.0]])
    peaks = find_peaks(grid, SIDE, boxes)
    assert peaks.shown.tolist() == [True]
    assert snap_peaks(grid, peaks, (0.5, 1.5)).sum() == pytest.approx(1.0, abs=1e-3)
