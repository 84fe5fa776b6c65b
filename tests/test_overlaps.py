from __future__ import annotations

import math

import numpy as np
import pytest

from likewise.errors import LikewiseError
from likewise.metrics import Overlaps, boundaries


def drawn(count=6, size=(7, 9)):
    rng = np.random.default_rng(0)
    for i in range(count):
        truth = rng.choice([0, 1, 255], size, p=[0.5, 0.3, 0.2]).astype(np.uint8)
        yield "abc"[i % 3], rng.random(size) > 0.6, truth


def test_iou_is_counted_pixel_by_pixel_over_all_episodes_of_a_class():
    overlaps, both, either = Overlaps(), {}, {}
    right = wrong = empty = 0
    for name, mask, truth in drawn():
        overlaps.add(name, mask, truth)
        for found, said in zip(mask.ravel().tolist(), truth.ravel().tolist(), strict=True):
            if said == 255:
                continue
            both[name] = both.get(name, 0) + (found and said == 1)
            either[name] = either.get(name, 0) + (found or said == 1)
            right += found and said == 1
            wrong += found != (said == 1)
            empty += not found and said == 0
    assert len(overlaps) == 6
    assert {n: overlaps.of(n) for n in "abc"} == {n: pytest.approx(both[n] / either[n]) for n in "abc"}
    assert overlaps.miou == pytest.approx(sum(both[n] / either[n] for n in "abc") / 3)
    assert overlaps.fb_iou == pytest.approx((right / (right + wrong) + empty / (empty + wrong)) / 2)


def test_unlabelled_pixels_change_nothing():
    _, mask, truth = next(drawn())
    overlaps, other = Overlaps(), Overlaps()
    assert overlaps.add("a", mask, truth) == other.add("a", mask ^ (truth == 255), truth)
    assert overlaps.summary() == other.summary()


def test_an_episodes_own_iou_and_the_sum_differ_where_sizes_do():
    overlaps = Overlaps()
    small, large = np.zeros((2, 2), bool), np.ones((10, 10), bool)
    assert overlaps.add("a", small, np.ones((2, 2), np.uint8)) == 0
    assert overlaps.add("a", large, np.ones((10, 10), np.uint8)) == 1
    assert overlaps.of("a") == pytest.approx(100 / 104)


def test_nothing_has_no_measure_and_sizes_must_agree():
    assert all(math.isnan(v) for v in Overlaps().summary().values())
    with pytest.raises(LikewiseError, match="same size"):
        Overlaps().add("a", np.zeros((2, 3), bool), np.zeros((3, 2), np.uint8))


def eroded(mask):
    """A mask without the pixels that have one of its eight neighbours, or the picture's edge, beside them."""
    padded = np.pad(mask, 1)
    kept = mask.copy()
    for row, column in zip(*np.nonzero(mask), strict=True):
        kept[row, column] = padded[row : row + 3, column : column + 3].all()
    return kept


def test_boundary_iou_is_that_of_what_erosion_takes_away():
    """As its authors wrote it: a mask less itself eroded, once for each pixel of reach, in plain loops."""
    rng = np.random.default_rng(1)
    overlaps, both, either = Overlaps(), 0, 0
    for _ in range(4):
        small = rng.random((2, 8, 12)) > 0.4
        mask, truth = (np.kron(each, np.ones((10, 10), bool)) for each in small)  # diagonal 144: a reach of 3
        unknown = np.zeros_like(mask)
        unknown[:7] = True
        overlaps.add("a", *boundaries(mask, np.where(unknown, 255, truth).astype(np.uint8)))
        bands = []
        for each in (mask & ~unknown, truth & ~unknown):
            inner = each
            for _ in range(3):
                inner = eroded(inner)
            bands.append(each & ~inner)
        both += int((bands[0] & bands[1]).sum())
        either += int((bands[0] | bands[1]).sum())
    assert overlaps.of("a") == both / either


def test_the_boundary_of_a_shifted_square_overlaps_less_than_the_square():
    square = np.zeros((200, 200), bool)
    square[40:160, 40:160] = True
    shifted = np.roll(square, 3, axis=1).astype(np.uint8)
    whole, edge = Overlaps(), Overlaps()
    assert whole.add("a", square, shifted) == pytest.approx(117 / 123)
    reach, side = 6, 120  # 2 % of a diagonal of 283 pixels
    ring = side**2 - (side - 2 * reach) ** 2
    shared = 2 * 117 * reach + 2 * 3 * (side - 2 * reach)  # above and below; left and right, within both
    assert edge.add("a", *boundaries(square, shifted)) == pytest.approx(shared / (2 * ring - shared))
