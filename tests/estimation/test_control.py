"""What the estimate uses of the model's counts: doubts that no hand count has to be seen for."""

from __future__ import annotations

import numpy as np

from likewise.estimation.control import LEAST, control_of
from likewise.estimation.table import read_counts


def test_no_count_is_surer_than_half_a_thing() -> None:
    records = [{"image": f"{n}.jpg", "count": 2, "low": 2, "high": 2} for n in range(9)]
    records.append({"image": "doubtful.jpg", "count": 2, "low": 1, "high": 4})
    found = control_of(read_counts(records))
    assert (found.doubt[:9] == LEAST).all()
    assert found.doubt[9] > LEAST
    assert found.sizes.max() / found.sizes.min() < 4  # so that what looks sure is drawn, too


def test_large_counts_are_as_doubtful_as_their_intervals() -> None:
    records = [{"image": f"{n}.jpg", "count": 100 * n, "low": 90 * n, "high": 110 * n} for n in range(1, 9)]
    found = control_of(read_counts(records))
    assert np.allclose(found.doubt / found.doubt[0], np.arange(1, 9), rtol=0.02)
    assert found.doubt[0] > 5
