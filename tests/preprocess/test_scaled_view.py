"""A picture cut from another scale piece by piece is the picture rescaled in one go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import likewise.preprocess.scaled_view as view_module
from likewise.preprocess.rules import Preprocess
from likewise.preprocess.scaled_view import View, network_scale


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", [0.13, 0.5, 1.0, 1.7, 4.0])
def test_pieces_fit_without_a_seam(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(97, 131)
    view = View.of(pixels, scale)
    whole = np.asarray(Image.fromarray(pixels).resize((view.width, view.height), Image.Resampling.BILINEAR))
    assert np.array_equal(view.cut(), whole)
    monkeypatch.setattr(view_module, "MAX_SOURCE", 900)  # so that each piece is itself made in strips
    y, x = view.height // 3, view.width // 2
    rows = [(0, y), (y, view.height)]
    columns = [(0, x), (x, view.width)]
    pieces = [[view.cut((y0, x0, y1, x1)) for x0, x1 in columns] for y0, y1 in rows]
    joined = np.concatenate([np.concatenate(row, axis=1) for row in pieces])
    assert np.abs(joined.astype(int) - whole).max() <= 1  # Pillow rounds its weights


@pytest.mark.parametrize("multiple", [1, 3])
@pytest.mark.parametrize(("size", "scale"), [((1, 1), 0.05), ((3, 4000), 0.1), ((97, 131), 2.0)])
def test_sides_are_multiples_and_never_empty(size: tuple[int, int], scale: float, multiple: int) -> None:
    view = View.of(noise(*size), scale, multiple)
    assert view.width % multiple == view.height % multiple == 0
    assert min(view.width, view.height) >= 1
    assert view.cut().shape == (view.height, view.width, 3)


def test_points_and_boxes_move_with_the_picture() -> None:
    view = View(noise(10, 20), width=40, height=30)
    torch.testing.assert_close(view.to_view([(20.0, 10.0), (1.0, 1.0)]), torch.tensor([[40.0, 30.0], [2.0, 3.0]]))
    torch.testing.assert_close(view.to_view([(1.0, 1.0, 2.0, 4.0)]), torch.tensor([[2.0, 3.0, 4.0, 12.0]]))


def test_tensors_are_rgb_from_zero_to_one() -> None:
    pixels = noise(6, 5)
    tensor = View.of(pixels, 1.0).tensor((1, 2, 4, 5))
    assert tensor.shape == (1, 3, 3, 3)
    assert tensor.is_contiguous()
    np.testing.assert_allclose(tensor[0].permute(1, 2, 0).numpy() * 255, pixels[1:4, 2:5], atol=1e-4)


@pytest.mark.parametrize(
    ("preprocess", "side", "scale"),
    [
        (Preprocess(), 50.0, 1.0),
        (Preprocess(object_size=36.0), 18.0, 2.0),
        (Preprocess(object_size=36.0), None, 1.0),
        (Preprocess(object_size=36.0), 3.0, 4.0),
        (Preprocess(object_size=36.0, scale_range=(0.5, 1.5)), 360.0, 0.5),
        (Preprocess(fit=(384, 576)), 50.0, 0.384),
        (Preprocess(fit=(2000, 1500)), 50.0, 1.0),
        (Preprocess(fit=(384, 576), object_size=36.0), 360.0, 0.1),
    ],
)
def test_the_scale_of_a_picture_of_1000_by_1000(preprocess: Preprocess, side: float | None, scale: float) -> None:
    assert network_scale(preprocess, side, 1000, 1000) == pytest.approx(scale)


@pytest.mark.parametrize(("size", "zoom"), [((97, 131), 1.0), ((40, 300), 1.0), ((200, 60), 0.8), ((97, 131), 0.5)])
def test_a_canvas_is_black_round_the_picture_and_its_pieces_fit(size: tuple[int, int], zoom: float) -> None:
    pixels = noise(*size)
    view = View.on_canvas(pixels, (96, 192), 16, zoom=zoom)
    top, left, bottom, right = view.part
    assert (view.height, view.width) == (96, 192)
    assert (top, left) == ((96 - bottom + top) // 2, (192 - right + left) // 2)
    expected = np.zeros((96, 192, 3), np.uint8)
    small = Image.fromarray(pixels).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    expected[top:bottom, left:right] = np.asarray(small)
    assert np.array_equal(view.cut(), expected)
    for y0, x0, y1, x1 in ((0, 0, 50, 70), (30, 60, 96, 192), (0, 0, 1, 1), (40, 90, 60, 110)):
        assert np.abs(view.cut((y0, x0, y1, x1)).astype(int) - expected[y0:y1, x0:x1]).max() <= 1
    corners = [(0.0, 0.0, float(size[1]), float(size[0]))]
    torch.testing.assert_close(view.to_view(corners), torch.tensor([[left, top, right, bottom]]).float())
    sides = [side / length for side, length in zip(view.sides, size, strict=True)]
    assert view.scale == pytest.approx((sides[0] * sides[1]) ** 0.5)


def test_cells_of_a_density_fit_the_picture_on_a_canvas() -> None:
    view = View.on_canvas(noise(50, 50), (100, 100), 12, cell=8)
    assert all(edge % 8 == 0 for edge in view.part)
