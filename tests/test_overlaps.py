from __future__ import annotations

import math

import numpy as np
import pytest

from likewise.errors import LikewiseError
from likewise.metrics import Overlaps


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
