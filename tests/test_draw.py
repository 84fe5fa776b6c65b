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


@pytest.mark.parametrize("size", [(1000, 800), (800, 1000), (900, 240), (272, 1600)])
def test_a_caption_hides_nothing_and_stands_below_or_right(size: tuple[int, int]) -> None:
    picture = blank(*size)
    sheet = draw.captioned(picture, "1234", "1234.21 by spdcn-lite, likely 1000 to 1500")
    assert sheet.crop((0, 0, *size)).tobytes() == picture.tobytes()
    assert (sheet.width > size[0], sheet.height > size[1]) == (size[0] < size[1], size[0] >= size[1])
    added = np.asarray(sheet).reshape(-1, 3)
    assert (added == 255).all(1).any()
    ground = np.asarray(sheet)[-1, -1]
    assert tuple(ground) == draw.GROUND  # nothing runs over the edge
    assert not (np.asarray(sheet)[:, -1] == 255).all(1).any()


def test_a_doubtful_number_has_another_colour() -> None:
    plain, doubtful = (draw.captioned(blank(900, 600), "12", "by x", doubtful=d) for d in (False, True))
    colours = [set(map(tuple, np.asarray(sheet)[600:].reshape(-1, 3).tolist())) for sheet in (plain, doubtful)]
    assert (255, 255, 255) in colours[0]
    assert (255, 255, 255) not in colours[1]
    assert draw.DOUBTFUL_COLOUR in colours[1]


def test_dots_that_stand_close_do_not_touch() -> None:
    picture = blank(900, 600)
    places = np.stack(np.meshgrid(np.arange(100, 200, 6), np.arange(100, 200, 6)), -1).reshape(-1, 2) + 0.5
    draw.draw_points(picture, np.concatenate([places, [[700.0, 300.0]]]))
    row = np.asarray(picture)[102]  # between two rows of dots, 3 from either
    assert (np.asarray(picture)[103, 100:200] == 100).all(1).any()
    assert row.shape == (900, 3)
    assert (np.asarray(picture)[100:200, 103] == 100).all(1).any()


@pytest.mark.parametrize("text", ["Œillet d'été", "ñandú", "жук", "中文", "a\u0301pple", "3 × 4 – 5", "\t\x1b[31m"])
def test_every_letter_is_drawn_or_spelled(text: str) -> None:
    """No letter may look like the box that stands for one the font does not have."""
    shown, font = draw.legible(text, 40)
    box = bytes(font.getmask("\U0010ffff"))
    assert all(letter == " " or bytes(font.getmask(letter)) != box for letter in shown)
    assert "\x1b" not in shown


def test_without_fonts_of_the_system_letters_are_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "FONTS", ())
    shown = [draw.legible(text, 20)[0] for text in ("crème brûlée", "Øre", "中文", "plain")]
    assert shown == ["creme brulee", "Ore", "U+4E2D U+6587", "plain"]


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


@pytest.mark.parametrize("blended", [1 << 22, 1000])
def test_a_layer_laid_over_strip_by_strip_has_no_seams(monkeypatch: pytest.MonkeyPatch, blended: int) -> None:
    monkeypatch.setattr(draw, "BLENDED", blended)
    layer = draw.heat_layer(np.random.default_rng(0).random((9, 15)), (60, 36))
    picture = blank(200, 120)
    draw.lay_over(picture, layer)
    whole = layer.resize((200, 120), Image.Resampling.BILINEAR)
    expected = Image.composite(whole.convert("RGB"), blank(), whole.getchannel("A"))
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(expected)).max() <= 2
    mask = np.zeros((120, 200), bool)
    mask[30:70, 40:120] = True
    tinted = np.asarray(draw.mask_overlay(blank(), mask))
    assert tinted[10, 10].tolist() == [72, 72, 72]
    assert tinted[50, 80].tolist() == [84, 156, 127]
