"""Drawing: places and colours that can be computed, looked up in the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from likewise import draw


def blank(width: int = 200, height: int = 120) -> Image.Image:
    return Image.new("RGB", (width, height), (100, 100, 100))


@pytest.mark.parametrize(
    ("size", "expected", "factor"),
    [
        ((450, 300), (900, 600), 2.0),
        ((1200, 900), (1200, 900), 1.0),
        ((3200, 1600), (1600, 800), 0.5),
        ((1, 1), (900, 900), 900),
    ],
)
def test_canvas_keeps_the_shape_within_bounds(size: tuple[int, int], expected: tuple[int, int], factor: float) -> None:
    picture, scale = draw.canvas(np.full((size[1], size[0], 3), 7, np.uint8))
    assert picture.size == expected
    assert scale == factor
    assert np.asarray(picture).min() == np.asarray(picture).max() == 7


def test_canvas_puts_ground_below_a_thin_picture() -> None:
    picture, _ = draw.canvas(np.full((10, 1000, 3), 255, np.uint8))
    assert picture.size == (1000, 250)
    assert picture.getpixel((500, 5)) == (255, 255, 255)
    assert picture.getpixel((500, 100)) == draw.GROUND


def test_heat_colours_get_steadily_lighter() -> None:
    lightness = draw.heat_colours(np.linspace(0, 1, 101)).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert draw.heat_colours(np.array([-1.0, 2.0])).tolist() == [draw.HEAT[0].tolist(), draw.HEAT[-1].tolist()]


@pytest.mark.parametrize("shape", [(60, 100), (12, 20), (600, 1000)])
def test_heat_shows_where_the_density_is_and_nowhere_else(shape: tuple[int, int]) -> None:
    density = np.zeros(shape, np.float32)
    density[shape[0] // 2 :, : shape[1] // 2] = 1.0
    over = np.asarray(draw.heat_overlay(blank(), density)).astype(int)
    assert (over[:50, 110:] == 100).all()
    assert np.abs(over[70:, :90] - 100).max(-1).min() > 50


def test_no_density_leaves_the_picture_alone() -> None:
    picture = blank()
    over = draw.heat_overlay(picture, np.zeros((5, 5), np.float32))
    assert over is not picture
    assert np.array_equal(np.asarray(over), np.asarray(picture))


def test_traces_of_density_look_like_traces():
    density = np.zeros((12, 20), np.float32)
    density[4:8, 6:10] = 1e-3
    full, trace = (np.asarray(draw.heat_layer(density, (20, 12), faint=faint))[..., 3] for faint in (1e-4, 1e-1))
    np.testing.assert_array_equal(full, np.asarray(draw.heat_layer(density, (20, 12)))[..., 3])
    assert 0 < trace.max() < 0.1 * full.max()


def test_a_heat_layer_laid_over_by_a_browser_is_the_overlay():
    density = np.zeros((6, 10), np.float32)
    density[2, 3], density[4, 8] = 1.0, 0.4
    layer = draw.heat_layer(density, (200, 120))
    assert (layer.mode, layer.size) == ("RGBA", (200, 120))
    over = Image.alpha_composite(blank().convert("RGBA"), layer).convert("RGB")
    expected = draw.heat_overlay(blank(), density)
    assert np.abs(np.asarray(over).astype(int) - np.asarray(expected)).max() <= 1
    assert not np.asarray(draw.heat_layer(density * 0, (20, 12))).any()


def test_boxes_are_outlined_not_filled() -> None:
    picture = blank()
    draw.draw_boxes(picture, [(50, 30, 150, 90)])
    for place in ((50, 60), (150, 60), (100, 30), (100, 90), (50, 30), (150, 90)):
        assert picture.getpixel(place) == draw.BOX_COLOUR
    assert picture.getpixel((100, 60)) == (100, 100, 100)
    assert picture.getpixel((20, 60)) == (100, 100, 100)


def test_a_region_is_closed() -> None:
    picture = blank()
    draw.draw_outline(picture, [(20, 20), (180, 20), (180, 100)])
    assert picture.getpixel((100, 60)) == draw.REGION_COLOUR


@pytest.mark.parametrize("count", [1, 3000])
def test_points_are_dots_with_a_casing_at_their_places(count: int) -> None:
    picture = blank(900, 600)
    places = np.random.default_rng(0).uniform(20, 580, (count, 2)).astype(np.float32)
    places[-1] = 700, 300
    draw.draw_points(picture, places)
    assert picture.getpixel((700, 300)) == draw.POINT_COLOUR
    around = [picture.getpixel((700 + d, 300)) for d in range(1, 12)]
    assert draw.CASING in around
    assert around[-1] == (100, 100, 100)


def test_no_points_draw_nothing() -> None:
    picture = blank()
    draw.draw_points(picture, np.zeros((0, 2), np.float32))
    assert np.array_equal(np.asarray(picture), np.asarray(blank()))


@pytest.mark.parametrize(
    ("corner", "x", "y"), [("top left", 0, 0), ("top right", 1, 0), ("bottom left", 0, 1), ("bottom right", 1, 1)]
)
def test_the_badge_takes_the_corner_that_hides_least(corner: str, x: int, y: int) -> None:
    picture = blank(1000, 800)
    crowd = np.array([(40 + 920 * i, 40 + 720 * j) for i in (0, 1) for j in (0, 1) if (i, j) != (x, y)], np.float32)
    draw.draw_badge(picture, "1234", "1234.21 by spdcn-lite", avoid=crowd)
    changed = (np.asarray(picture) != 100).any(-1)
    rows, columns = changed.nonzero()
    assert (rows.mean() > 400) == bool(y), corner
    assert (columns.mean() > 500) == bool(x), corner
    assert not changed[[0, -1]].any()
    assert not changed[:, [0, -1]].any()
    assert np.asarray(picture)[changed].max() == 255


def test_a_contact_sheet_holds_every_picture_whole() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)]
    pictures = [Image.new("RGB", (400 if i % 2 else 100, 200), colour) for i, colour in enumerate(colours)]
    sheet = draw.contact_sheet(pictures, columns=3, side=100, gap=10)
    assert sheet.size == (340, 230)
    shown = np.asarray(sheet).reshape(-1, 3)
    areas = [int((shown == colour).all(1).sum()) for colour in colours]
    assert areas == [5000, 5000, 5000, 5000, 5000]
    assert sheet.getpixel((60, 60)) == colours[0]
    assert sheet.getpixel((170, 170)) == colours[4]


def test_an_empty_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        draw.contact_sheet([])
