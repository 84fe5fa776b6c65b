"""Tiles cover exactly, and blending them loses and adds nothing."""

from __future__ import annotations

import itertools

import pytest
import torch

from likewise.ops.density.tiling import Blend, Span, blend_weights, tile_spans


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "multiple", "spans"),
    [
        (1, 8, 2, 1, [(0, 1)]),
        (8, 8, 2, 1, [(0, 8)]),
        (9, 8, 2, 1, [(0, 6), (3, 9)]),
        (14, 8, 2, 1, [(0, 8), (6, 14)]),
        (15, 8, 2, 1, [(0, 7), (4, 11), (8, 15)]),
        (15, 8, 2, 4, [(0, 8), (3, 11), (7, 15)]),
        (20, 8, 0, 1, [(0, 7), (6, 13), (13, 20)]),
        (24, 8, 0, 5, [(0, 8), (8, 16), (16, 24)]),
        (10, 4, 3, 1, [(0, 4), (1, 5), (2, 6), (3, 7), (4, 8), (5, 9), (6, 10)]),
    ],
)
def test_spans_start_where_expected(length: int, tile: int, overlap: int, multiple: int, spans: list[Span]) -> None:
    assert tile_spans(length, tile, overlap, multiple) == spans


@pytest.mark.parametrize("overlap", [0, 3, 5, 11])
@pytest.mark.parametrize("length", [1, 5, 12, 13, 30, 97, 131])
@pytest.mark.parametrize("multiple", [1, 4])
def test_spans_cover_every_pixel_overlap_enough_and_end_flush(length: int, overlap: int, multiple: int) -> None:
    spans = tile_spans(length, 12, overlap, multiple)
    covered = {p for start, end in spans for p in range(start, end)}
    assert covered == set(range(length))
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    [size] = {end - start for start, end in spans}
    assert all(a[1] - b[0] >= overlap and b[0] > a[0] for a, b in itertools.pairwise(spans))
    if length > 12:
        assert size % multiple == 0
        assert reach(len(spans) - 1, 12, overlap) < length  # fewer would not do
        assert reach(len(spans), size - multiple, overlap) < length  # nor smaller ones


def test_tiles_are_the_product_of_the_spans_row_by_row() -> None:
    assert Blend(9, 15, 8, 2).boxes == [(y, x, y + 6, x + 7) for y in (0, 3) for x in (0, 4, 8)]


def reach(count: int, size: int, overlap: int) -> int:
    """How much so many spans of a size cover if they share no more than they have to."""
    return count * size - (count - 1) * overlap


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "multiple"), [(0, 4, 1, 1), (4, 0, 0, 1), (4, 4, 4, 1), (4, 4, -1, 1), (9, 4, 1, 0)]
)
def test_nonsense_layouts_are_refused(length: int, tile: int, overlap: int, multiple: int) -> None:
    with pytest.raises(ValueError, match="overlap < tile"):
        tile_spans(length, tile, overlap, multiple)


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(97, 32, 8), (65, 64, 16), (64, 64, 16), (200, 64, 63), (50, 16, 0)]
)
def test_weights_sum_to_one_everywhere_and_fade_at_inner_borders(length: int, tile: int, overlap: int) -> None:
    spans = tile_spans(length, tile, overlap)
    weights = blend_weights(spans, overlap)
    total = torch.zeros(length)
    for (start, end), weight in zip(spans, weights, strict=True):
        assert (weight > 0).all()
        total[start:end] += weight
    torch.testing.assert_close(total, torch.ones(length), rtol=0, atol=1e-6)
    if length >= 2 * tile and overlap >= 8:
        assert weights[0][0] == 1
        assert weights[0][-1] < 0.05
        assert weights[-1][0] < 0.05


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 20), (33, 16), (97, 131), (40, 41)])
@pytest.mark.parametrize("cell", [1, 3])
def test_tiles_of_one_map_blend_back_to_it(height: int, width: int, cell: int) -> None:
    density = torch.rand(height, width, generator=torch.Generator().manual_seed(height))
    blend = Blend(height, width, 16, 4, cell=cell)
    for y0, x0, y1, x1 in blend.boxes:
        blend.add((y0, x0, y1, x1), density[y0:y1, x0:x1])
    expected = torch.zeros(-(-height // cell), -(-width // cell))
    for y in range(height):
        for x in range(width):
            expected[y // cell, x // cell] += density[y, x]
    torch.testing.assert_close(blend.result(), expected, rtol=1e-5, atol=1e-6)


def test_the_sum_of_a_constant_map_is_exact() -> None:
    blend = Blend(97, 131, 32, 8)
    for y0, x0, y1, x1 in blend.boxes:
        blend.add((y0, x0, y1, x1), torch.full((y1 - y0, x1 - x0), 0.25))
    assert blend.result().double().sum().item() == pytest.approx(0.25 * 97 * 131, rel=1e-6)
    torch.testing.assert_close(blend.result(), torch.full((97, 131), 0.25), rtol=1e-6, atol=0)


def test_where_tiles_disagree_the_result_is_a_smooth_weighting_of_both() -> None:
    blend = Blend(8, 28, 16, 4)  # columns 12..15 are shared
    for value, (y0, x0, y1, x1) in enumerate(blend.boxes):
        blend.add((y0, x0, y1, x1), torch.full((y1 - y0, x1 - x0), float(value)))
    row = blend.result()[3]
    assert (row[:12] == 0).all()
    assert (row[16:] == 1).all()
    torch.testing.assert_close(row[12:16] + row[12:16].flip(0), torch.ones(4))
    assert (row[12:16].diff() > 0).all()


def test_a_density_of_another_shape_is_refused_with_both_shapes() -> None:
    blend = Blend(20, 20, 16, 4)
    with pytest.raises(ValueError, match=r"\(12, 12\).*\(8, 8\)"):
        blend.add(blend.boxes[0], torch.zeros(8, 8))
