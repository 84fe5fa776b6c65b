"""CounTR's augmentation: key points stay on the bright blobs they were put on, whatever is done to the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass, label

from likewise.data.counting import countr_augment
from likewise.data.counting.countr_augment import (
    Augmentation,
    AugmentedDataset,
    View,
    fitted_view,
    mirrored,
    mosaic,
    varied,
)
from likewise.data.counting.sample import CountSample
from likewise.errors import LikewiseError

GEOMETRY_ONLY = Augmentation(
    side=128, noise=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, shift=0.05, seam=8
)


def blobs(points, size=(128, 192), prompt="blobs", exemplars=True):
    """White Gaussian blobs on black at points (x, y)."""
    y, x = (torch.arange(n) + 0.5 for n in size)
    image = torch.zeros(size)
    for px, py in points:
        image = torch.maximum(image, torch.exp(-((x - px) ** 2 + (y[:, None] - py) ** 2) / 8))
    at = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    boxes = torch.cat([at - 6, at + 6], dim=1)
    return CountSample(
        image=(image * 255).to(torch.uint8).expand(3, -1, -1).contiguous(),
        points=at,
        boxes=boxes,
        exemplars=boxes[:2] if exemplars else boxes[:0],
        prompt=prompt,
    )


def found(image):
    """Centres (x, y) of what is bright."""
    values = image[0].numpy().astype(float)
    marks, count = label(values > 60)
    centres = center_of_mass(values, marks, range(1, count + 1))
    return np.array([(x + 0.5, y + 0.5) for y, x in centres]).reshape(-1, 2)


def assert_on_blobs(sample, margin=8):
    """Every point well inside has a blob, and every blob well inside a point."""
    height, width = sample.size
    seen, marked = found(sample.image), sample.points.numpy()

    def inner(p):
        return p[((p > margin) & (p < np.array([width, height]) - margin)).all(1)]

    for mine, other in ((inner(seen), marked), (inner(marked), seen)):
        for point in mine:
            assert np.abs(other - point).sum(1).min() < 1.0


GRID = [(20.0 + 24 * i, 16.0 + 24 * j) for i in range(7) for j in range(5)]


def test_a_fitted_view_has_the_side_and_its_points_with_it():
    sample = blobs([(10.0, 20.0), (70.0, 90.0)], (96, 150))
    view = fitted_view(sample, 128).sample(sample)
    assert view.size == (128, 192)
    assert torch.allclose(view.points, sample.points * torch.tensor([192 / 150, 128 / 96]), atol=1e-4)
    assert_on_blobs(view)


def test_a_mirror_image_mirrors_points_and_exemplars():
    sample = blobs([(10.0, 20.0), (70.5, 90.0)])
    out = mirrored(View.of(sample)).sample(sample)
    assert torch.equal(out.points, torch.tensor([[182.0, 20.0], [121.5, 90.0]]))
    assert torch.equal(out.exemplars[0], torch.tensor([176.0, 14, 188, 26]))
    assert_on_blobs(out)


@pytest.mark.parametrize("seed", range(4))
def test_points_follow_rotation_scale_shear_and_shift(seed):
    sample = blobs(GRID)
    out = varied(View.of(sample), GEOMETRY_ONLY, np.random.default_rng(seed)).sample(sample)
    assert 0 < len(out.points) <= len(GRID)
    assert_on_blobs(out)


@pytest.mark.parametrize("seed", range(4))
def test_a_mosaic_counts_every_object_once_also_in_the_seams(seed):
    sample = blobs(GRID)
    out = mosaic(sample, [sample] * 3, GEOMETRY_ONLY, np.random.default_rng(seed))
    assert out.size == (128, 128)
    seams = np.abs(found(out.image) - 64).min(1) < 12
    assert len(found(out.image)) >= 8
    for point in found(out.image)[~seams]:
        if (np.abs(point - 64) < 56).all():
            assert np.abs(out.points.numpy() - point).sum(1).min() < 1.5
    assert len(torch.unique(out.points, dim=0)) == len(out.points)


def test_a_mosaic_counts_only_what_the_prompt_says():
    mine, other = blobs(GRID, prompt="blobs"), blobs(GRID, prompt="other things")
    rng = [np.random.default_rng(5) for _ in range(2)]
    alone = mosaic(mine, [other] * 3, GEOMETRY_ONLY, rng[0])
    both = mosaic(mine, [blobs(GRID)] * 3, GEOMETRY_ONLY, rng[1])
    assert torch.equal(alone.image, both.image)
    quarter = (alone.points // 64).unique(dim=0)
    assert len(quarter) == 1
    inside = (both.points // 64 == quarter).all(dim=1)
    assert torch.equal(alone.points, both.points[inside])


def test_a_mosaic_without_anything_to_see_keeps_the_brightness():
    flat = CountSample(torch.full((3, 130, 130), 90, dtype=torch.uint8), *(torch.zeros(0, n) for n in (2, 4, 4)))
    out = mosaic(flat, [flat] * 3, GEOMETRY_ONLY, np.random.default_rng(0))
    assert int(out.image.min()) == int(out.image.max()) == 90


def test_a_position_is_the_same_sample_every_time_and_all_kinds_come():
    samples = [blobs(GRID), blobs(GRID[:9], (150, 130), "few")]
    data = AugmentedDataset(samples, 3, Augmentation(side=96, crowded=30, mosaic=0.4, vary=0.3))
    assert all(data[i].size == (96, 96) for i in range(12))
    assert {data[i].prompt for i in range(4)} == {"blobs", "few"}
    first, again = data[5], data[5]
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.points, again.points)
    assert all(len(data[i].sizes()) == len(data[i].points) for i in range(12))


def test_an_empty_data_set_is_refused():
    with pytest.raises(LikewiseError, match="empty"):
        AugmentedDataset([])


def test_pieces_of_a_sparse_pictures_mosaic_show_at_least_their_share():
    """On a picture that is as wide as its column, pieces' spans of columns tell how much of it they show."""
    ramp = torch.arange(128, dtype=torch.uint8).expand(3, 128, 128).contiguous()

    def shares(points):
        base = CountSample(ramp, points, *(torch.zeros(len(points), 4) for _ in range(2)), prompt="x")
        how, found = Augmentation(side=128, seam=0), []
        for seed in range(40):
            image = mosaic(base, [base] * 3, how, np.random.default_rng(seed)).image[0].float()
            quarters = [image[y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64)]
            found += [float(q[:, -2].mean() - q[:, 1].mean()) / 61 * 64 / 128 for q in quarters]
        return min(found), max(found)

    few, many = (shares(torch.full((n, 2), 64.0)) for n in (69, 70))
    assert few[0] == pytest.approx(0.65, abs=0.03)
    assert many[0] == pytest.approx(0.4, abs=0.03)
    assert few[1] == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("mosaic_share", "vary"), [(0.0, 0.4), (0.25, 0.15)])
def test_as_many_pictures_are_varied_as_are_to_be(mosaic_share, vary, monkeypatch):
    seen = []
    monkeypatch.setattr(countr_augment, "varied", lambda view, how, rng: seen.append("varied") or view)
    monkeypatch.setattr(countr_augment, "mosaic", lambda sample, *_: seen.append("mosaic") or sample)
    data = AugmentedDataset([blobs(GRID, (32, 32))], 1, Augmentation(side=32, mosaic=mosaic_share, vary=vary))
    for index in range(1000):
        data[index]
    assert seen.count("varied") / 1000 == pytest.approx(vary, abs=0.04)
    assert seen.count("mosaic") / 1000 == pytest.approx(mosaic_share, abs=0.04)


def test_colours_are_changed_in_any_order(monkeypatch):
    orders = set()
    for name in ("brightness", "contrast", "saturation", "hue"):
        change = lambda values, amount, name=name: asked.append(name) or values  # noqa: E731  # one a name
        monkeypatch.setattr(countr_augment.TF, f"adjust_{name}", change)
    for seed in range(60):
        asked: list[str] = []
        varied(View.of(blobs(GRID)), GEOMETRY_ONLY, np.random.default_rng(seed))
        orders.add(tuple(asked))
        assert sorted(asked) == ["brightness", "contrast", "hue", "saturation"]
    assert len(orders) > 12
