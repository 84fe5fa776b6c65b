"""Windows over a picture, against a loop that does what the papers' evaluation says."""

from __future__ import annotations

import pytest
import torch

from likewise.errors import LikewiseError
from likewise.ops.density.windows import (
    LONGEST,
    blend_windows,
    check_window_rules,
    cut_windows,
    density_of_windows,
    fitted,
    paper_weights,
    window_spans,
    windows_of,
    without_doubles,
)


def published(densities: list[torch.Tensor], starts: list[int], width: int) -> torch.Tensor:
    """One window after the other over a wide picture: half the running value, half the new one where they overlap."""
    window = densities[0].shape[-1]
    out = torch.zeros(*densities[0].shape[:-1], width)
    end = 0
    for start, density in zip(starts, densities, strict=True):
        for x in range(window):
            place = start + x
            out[..., place] = (out[..., place] + density[..., x]) / 2 if place < end else density[..., x]
        end = start + window
    return out


@pytest.mark.parametrize("width", [12, 13, 16, 20, 23, 31])
def test_the_paper_blend_is_the_published_loop(width):
    window, stride = 12, 4
    starts = [start for start, _ in window_spans(width, window, stride)]
    densities = torch.rand(1, len(starts), 1, window, window)
    expected = published([densities[:, i] for i in range(len(starts))], starts, width)
    torch.testing.assert_close(blend_windows(densities, (window, width), stride, "paper"), expected)


def test_of_three_windows_over_a_pixel_the_last_weighs_half():
    weights = paper_weights([(0, 6), (2, 8), (4, 10)])
    assert [w[4 - start].item() for w, start in zip(weights, (0, 2, 4), strict=True)] == [0.25, 0.25, 0.5]


@pytest.mark.parametrize("blend", ["average", "paper"])
@pytest.mark.parametrize("size", [(16, 16), (16, 40), (41, 16), (37, 50)])
def test_what_every_window_sees_alike_comes_back_unchanged(size, blend):
    image = torch.rand(2, 1, *size)
    windows = cut_windows(image, 16, 5)
    torch.testing.assert_close(blend_windows(windows, size, 5, blend), image)


def test_the_average_does_not_depend_on_the_side_one_starts_from():
    windows = torch.rand(1, 3, 1, 16, 16)
    forth = blend_windows(windows, (16, 32), 8)
    back = blend_windows(windows.flip(1).flip(4), (16, 32), 8).flip(3)
    torch.testing.assert_close(forth, back)


def test_windows_start_at_multiples_of_the_stride_and_end_flush():
    assert window_spans(640, 384, 128) == [(0, 384), (128, 512), (256, 640)]
    assert window_spans(576, 384, 128) == [(0, 384), (128, 512), (192, 576)]
    assert window_spans(384, 384, 128) == [(0, 384)]


def test_a_window_that_does_not_fit_and_a_wrong_number_are_refused():
    with pytest.raises(ValueError, match="window <= length"):
        window_spans(300, 384, 128)
    with pytest.raises(ValueError, match="2 windows: expected 1 x 3"):
        blend_windows(torch.rand(1, 2, 1, 16, 16), (16, 32), 8)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((384, 576), (384, 576)), ((192, 100), (736, 384)), ((768, 1024), (384, 512)), ((1, 1), (384, 384))],
)
def test_the_shorter_side_becomes_a_window(size, expected):
    out, inside = fitted(torch.rand(2, 3, *size), 384, 16)
    assert tuple(out.shape) == (2, 3, *expected)
    assert inside == expected


def test_a_picture_of_the_right_size_is_left_alone():
    image = torch.rand(1, 3, 384, 400)
    assert torch.equal(fitted(image, 384, 16)[0], image)


def test_a_strip_is_not_enlarged_without_end_and_its_edge_fills_the_window():
    out, inside = fitted(torch.rand(1, 1, 4, LONGEST), 64, 16)
    assert tuple(out.shape) == (1, 1, 64, LONGEST)
    assert inside == (16, LONGEST)
    assert torch.equal(out[..., 16:, :], out[..., 15:16, :].expand(-1, -1, 48, -1))


@pytest.mark.parametrize("height", [384, 192, 768])
@pytest.mark.parametrize("width", [400, 510, 511, 512, 575, 576, 682, 683, 1000])
def test_a_width_is_rounded_down_to_a_multiple_as_published(width, height):
    """VLCounter's and CounTX's evaluation: a height of 384, and of the width that goes with it 16 x int(width / 16)."""
    if width < height:
        return
    expected = (384, 16 * ((width * 384) // (16 * height)))
    out, inside = fitted(torch.rand(1, 1, height, width), 384, 16)
    assert tuple(out.shape[2:]) == inside == expected


@pytest.mark.parametrize("side", [*range(384, 400), 479, 481, 997, 1009])
def test_a_square_is_one_window_whatever_its_side(side):
    """No rounding error may take a multiple away."""
    assert fitted(torch.rand(1, 1, side, side), 384, 16)[1] == (384, 384)


def test_pictures_can_be_brought_to_one_size_whatever_their_shape():
    cut = windows_of(torch.rand(2, 3, 72, 128), window=384, multiple=16, stride=128, size=(384, 683))
    assert cut.fitted == cut.inside == (384, 683)
    assert cut.content.shape == (2 * 4, 3, 384, 384)  # at 0, 128, 256 and, flush, 299
    image = torch.rand(1, 3, 384, 683)
    same = windows_of(image, window=384, multiple=16, stride=128, size=(384, 683)).content
    assert torch.equal(same[3], image[0, :, :, 299:])


@pytest.mark.parametrize("size", [(32, 48), (40, 55), (8, 9)])
def test_a_square_that_holds_too_much_is_taken_for_one_object_too_many(size):
    torch.manual_seed(5)
    density = torch.rand(2, 1, *size, dtype=torch.float64) / 100
    limit, left = 1.224, density.clone()
    for b in range(2):
        for y in range(0, size[0], 16):
            for x in range(0, size[1], 16):
                held = float(density[b, 0, y : y + 16, x : x + 16].sum())
                if held > limit:
                    left[b, 0, y : y + 16, x : x + 16] *= (held - 1) / held
    assert size == (8, 9) or not torch.equal(left, density)
    torch.testing.assert_close(without_doubles(density, limit), left)
    assert torch.equal(without_doubles(-density, limit), -density)


def test_doubles_are_looked_for_in_the_picture_as_it_is_cut():
    image = torch.zeros(1, 3, 32, 64)
    windows = windows_of(image, window=16, multiple=16, stride=16, size=(16, 32))
    flat = torch.tensor([2.0, 1.0]) / 256  # a window each

    def look(some, texts):
        return flat[:, None, None, None].expand(-1, 1, 16, 16)

    found = density_of_windows(windows, torch.zeros(1, 4), look, stride=16, blend="paper", square_limit=1.224)
    assert found.shape == (1, 1, 32, 64)
    assert [float(part.sum()) for part in found.chunk(2, dim=3)] == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("size", "limit", "reason"), [((300, 683), None, "at least a window, 384"), (None, 0.5, "at least 1 object")]
)
def test_rules_that_cannot_be_kept_are_refused(size, limit, reason):
    with pytest.raises(LikewiseError, match=reason):
        check_window_rules(size, limit, 384)
    check_window_rules((384, 683), 1.224, 384)
    check_window_rules(None, None, 384)
