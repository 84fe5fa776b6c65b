"""Choosing which peaks count as one, on densities whose peaks and sums are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from likewise.data.counting.sample import CountSample
from likewise.engine.calibration import BOUNDS, errors_by_bounds
from likewise.errors import LikewiseError
from likewise.ops.density.maps import gaussian_density

SIDE, PLACES = 8.0, torch.cartesian_prod(torch.arange(2), torch.arange(5)).flip(1) * 24.0 + 16.5


class Blobs:
    """Counts pictures of ten things by ten peaks of a given sum, in cells of two pixels."""

    def __init__(self, sums: list[float], snap_peaks: tuple[float, float] | None = (0.5, 1.5)) -> None:
        self.sums, self.inference = sums, SimpleNamespace(margin=2.0, snap_peaks=snap_peaks)

    def summed(self) -> Blobs:
        return Blobs(self.sums, None)

    def count(self, image: torch.Tensor, boxes: list[tuple[float, ...]]) -> SimpleNamespace:
        assert self.inference.snap_peaks is None
        assert boxes == [(7.0, 7.0, 25.0, 25.0)]
        peaks = [gaussian_density(p[None], 0.12 * SIDE, (64, 128)) * s for p, s in zip(PLACES, self.sums, strict=True)]
        return SimpleNamespace(grid=torch.stack(peaks).sum(0).numpy(), size=(256, 128))


def sample(**changes: object) -> CountSample:
    fields = {
        "image": torch.zeros(3, 128, 256, dtype=torch.uint8),
        "points": PLACES * 2,
        "boxes": torch.full((10, 4), np.nan),
        "exemplars": torch.tensor([[7.0, 7.0, 25.0, 25.0], [0.0, 0.0, 9.0, 9.0]]),
    }
    return CountSample(**{**fields, **changes})


def test_bounds_between_which_every_peak_lies_count_exactly():
    counter = Blobs([0.45] * 10)
    errors = errors_by_bounds(counter, [[sample()] * 2], exemplars=1)
    assert counter.inference.snap_peaks == (0.5, 1.5)
    assert set(errors) == set(BOUNDS)
    assert errors[None] == pytest.approx(0.55, abs=1e-3)
    for low, high in (pair for pair in BOUNDS if pair):
        assert errors[low, high] == pytest.approx(0.0 if low < 0.45 else 0.55, abs=1e-3)


def test_two_things_in_one_peak_are_left_as_two():
    errors = errors_by_bounds(Blobs([1.0] * 4 + [1.6] * 6), [[sample(truth=13.6)]], exemplars=1)
    assert errors[0.5, 1.5] == pytest.approx(0, abs=1e-3)
    assert errors[0.5, 1.7] == pytest.approx(3.6 / 13.6, abs=1e-3)


def test_every_set_has_the_same_say_and_an_empty_one_is_refused():
    counter, none = Blobs([0.5] * 10), sample(points=torch.zeros(0, 2), boxes=torch.zeros(0, 4))
    errors = errors_by_bounds(counter, [[sample(), none], [sample(truth=5.0)] * 3], exemplars=1, bounds=(None,))
    assert errors == {None: pytest.approx((0.5 + 0.0) / 2, abs=1e-3)}
    with pytest.raises(LikewiseError, match="no picture with both"):
        errors_by_bounds(counter, [[none]], exemplars=1)
    assert counter.inference.snap_peaks == (0.5, 1.5)
