"""When a recogniser says "none of these": thresholds against the definition, and the area under the curve by pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from likewise.engine.open_set import auroc, fit_open_set
from likewise.errors import LikewiseError


@pytest.mark.parametrize("number", [20, 39, 100, 300])
def test_nineteen_in_twenty_pictures_like_these_pass(number: int) -> None:
    rng = np.random.default_rng(number)
    passed = [
        np.mean(rng.normal(size=500) >= fit_open_set(rng.normal(size=number).tolist()).threshold) for _ in range(300)
    ]
    assert 0.945 <= np.mean(passed) <= 0.985


def test_too_few_are_refused() -> None:
    with pytest.raises(LikewiseError, match="19 pictures are too few"):
        fit_open_set([0.5] * 19)


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    known, unknown = rng.integers(0, 9, 40).tolist(), rng.integers(-3, 6, 30).tolist()
    pairs = [(k > u) + (k == u) / 2 for k, u in itertools.product(known, unknown)]
    assert auroc(known, unknown) == pytest.approx(np.mean(pairs))
