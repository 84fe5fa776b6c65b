"""Peaks against a brute-force search, plateaus, borders, and the places of drawn blobs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from likewise.ops.density.peaks import density_peaks, peak_basins, smooth


def brute_force(density: np.ndarray, radius: float, threshold: float) -> list[set[tuple[int, int]]]:
    """Pixels that none within reach exceeds, joined into groups, by the definition and four loops."""
    height, width = density.shape
    reach2 = max(radius * radius, 2.0)

    def near(a: tuple[int, int], b: tuple[int, int]) -> bool:
        return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 <= reach2

    pixels = [(y, x) for y in range(height) for x in range(width)]
    tops = [
        p for p in pixels if density[p] >= threshold and all(density[q] <= density[p] for q in pixels if near(p, q))
    ]
    groups: list[set[tuple[int, int]]] = []
    for p in tops:
        linked = [g for g in groups if any(near(p, q) for q in g)]
        groups = [g for g in groups if g not in linked] + [set.union({p}, *linked)]
    return groups


def blobs(points: list[tuple[float, float]], sigma: float, height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    parts = [torch.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
    return torch.stack(parts).sum(0) / (2 * math.pi * sigma**2)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("radius", [0.5, 1.5, 2.2, 4.0])
@pytest.mark.parametrize("levels", [4, 1000])
def test_as_many_points_as_brute_force_finds(seed: int, radius: float, levels: int) -> None:
    rng = np.random.default_rng(seed)
    density = rng.integers(0, levels, (17, 21)).astype(np.float32)  # few levels make plateaus of every shape
    groups = brute_force(density, radius, 2.0)
    points, scores = density_peaks(torch.from_numpy(density), radius=radius, threshold=2.0)
    assert len(points) == len(scores) == len(groups) > 0


@pytest.mark.parametrize("seed", range(4))
def test_points_stay_near_their_peaks_and_score_the_density_around_them(seed: int) -> None:
    density = np.random.default_rng(seed).random((15, 19), dtype=np.float32)
    groups = brute_force(density, 3.0, 0.5)
    assert all(len(g) == 1 for g in groups)
    peaks = np.array([(x + 0.5, y + 0.5) for g in groups for y, x in g])
    points, scores = (t.numpy() for t in density_peaks(torch.from_numpy(density), radius=3.0, threshold=0.5))
    distance = np.linalg.norm(points[:, None] - peaks[None], axis=-1)
    assert distance.min(0).max() <= 1.5001
    yy, xx = np.mgrid[:15, :19] + 0.5
    around = [(density * np.clip(3.5 - np.hypot(yy - y, xx - x), 0, 1)).sum() for x, y in points]
    np.testing.assert_allclose(scores, around, rtol=1e-4)
    assert (np.diff(scores) <= 0).all()


def test_blobs_are_found_where_they_were_drawn_to_a_fraction_of_a_pixel() -> None:
    drawn = [(10.3, 12.8), (30.0, 8.5), (22.7, 33.1), (45.4, 40.2)]
    points, scores = density_peaks(blobs(drawn, 2.5, 50, 55), radius=6, threshold=0.005)
    distance = torch.cdist(points, torch.tensor(drawn))
    assert sorted(distance.argmin(1).tolist()) == [0, 1, 2, 3]
    assert distance.amin(1).max() < 0.15
    assert (scores - 1).abs().max() < 0.1


def test_an_upsampled_map_gives_one_point_a_blob_at_the_centre_of_its_flat_block() -> None:
    density = torch.zeros(12, 12)
    density[3, 4], density[9, 8] = 1.0, 0.8
    flat = density.repeat_interleave(2, 0).repeat_interleave(2, 1) / 4
    points, scores = density_peaks(flat, radius=3, threshold=0.01)
    torch.testing.assert_close(points, torch.tensor([[9.0, 7.0], [17.0, 19.0]]))
    torch.testing.assert_close(scores, torch.tensor([1.0, 0.8]))


def test_a_constant_map_is_one_plateau() -> None:
    points, _ = density_peaks(torch.full((9, 21), 0.5), radius=3, threshold=0.1)
    torch.testing.assert_close(points, torch.tensor([[10.5, 4.5]]))


def test_a_hollow_plateau_gives_one_finite_point() -> None:
    density = torch.zeros(40, 40)
    density[5:35, 5:35] = 1.0
    density[6:34, 6:34] = 0.0
    points, scores = density_peaks(density, radius=2, threshold=0.1)
    assert points.tolist() == [[20.0, 20.0]]
    assert scores.tolist() == [0.0]


def test_peaks_in_corners_and_on_a_single_pixel() -> None:
    density = torch.zeros(6, 8)
    density[0, 0], density[5, 7] = 2.0, 1.0
    points, _ = density_peaks(density, radius=4, threshold=0.5)
    torch.testing.assert_close(points, torch.tensor([[0.5, 0.5], [7.5, 5.5]]))
    points, scores = density_peaks(torch.tensor([[0.7]]), radius=4, threshold=0.5)
    assert points.tolist() == [[0.5, 0.5]]
    assert scores.tolist() == pytest.approx([0.7])


def test_a_lower_neighbour_inside_the_radius_is_not_a_second_point() -> None:
    density = blobs([(10.5, 10.5)], 0.7, 21, 31) + 0.7 * blobs([(15.5, 10.5)], 0.7, 21, 31)
    assert len(density_peaks(density, radius=4, threshold=0.01)[0]) == 2
    assert len(density_peaks(density, radius=6, threshold=0.01)[0]) == 1


def test_nothing_reaches_the_threshold() -> None:
    points, scores = density_peaks(torch.zeros(5, 5), radius=2, threshold=0.1)
    assert points.shape == (0, 2)
    assert scores.shape == (0,)


@pytest.mark.parametrize(("shape", "radius", "threshold"), [((1, 4, 4), 1, 1), ((4, 4), 0, 1), ((4, 4), 1, 0)])
def test_nonsense_is_refused(shape: tuple[int, ...], radius: float, threshold: float) -> None:
    with pytest.raises(ValueError, match="expected a map"):
        density_peaks(torch.zeros(shape), radius=radius, threshold=threshold)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 3.3])
@pytest.mark.parametrize("shape", [(40, 50), (1, 7), (3, 2)])
def test_blurring_agrees_with_scipy(shape: tuple[int, int], sigma: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    density = np.random.default_rng(0).random(shape)
    reach = max(1, math.ceil(3 * sigma))
    expected = ndimage.gaussian_filter(density, sigma, mode="constant", radius=reach)
    np.testing.assert_allclose(smooth(torch.from_numpy(density), sigma).numpy(), expected, rtol=1e-9)


def test_a_rough_flat_top_is_one_point_once_blurred() -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    disc = ((x - 24).square() + (y - 19).square() <= 100).float()
    rough = disc + 1e-6 * torch.rand(40, 50, generator=torch.Generator().manual_seed(0)) * disc
    points, _ = density_peaks(smooth(rough, 2.4), radius=7, threshold=0.1)
    torch.testing.assert_close(points, torch.tensor([[24.5, 19.5]]), atol=0.3, rtol=0)


def test_basins_belong_to_the_nearest_point_within_reach() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(12, 2, generator=generator) * torch.tensor([34.0, 22.0])
    owner = peak_basins(points, (22, 34), 6.5)
    middle = points.floor() + 0.5
    for y in range(22):
        for x in range(34):
            distance = (middle - torch.tensor([x + 0.5, y + 0.5])).norm(dim=1)
            if float(distance.min()) > 6.5:
                assert owner[y, x] == -1
            else:
                assert distance[owner[y, x]] == distance.min()
    assert set(owner.unique().tolist()) == {-1, *range(12)}
    assert bool((peak_basins(points[:0], (5, 6), 3.0) == -1).all())
