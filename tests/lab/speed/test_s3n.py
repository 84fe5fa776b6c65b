"""That both sides of the benchmark of s3n compute the same, from fields that have about as many peaks as real ones."""

from __future__ import annotations

import torch

from likewise.lab.speed import s3n
from likewise.ops.response_peaks import response_peaks


def test_the_loop_and_the_operators_agree():
    generator = torch.Generator().manual_seed(1)
    response = s3n.smooth_responses(3, generator)
    image = torch.rand(3, 3, 40, 40, generator=generator)
    torch.testing.assert_close(s3n.grids(response), s3n.looped_grids(response), rtol=0, atol=1e-5)
    torch.testing.assert_close(s3n.sampled(image, response), s3n.looped_sampled(image, response), rtol=0, atol=1e-3)
    found = response_peaks(response).sum((1, 2))
    assert bool(((found > 10) & (found < 45)).all())


def test_it_yields_both_rows():
    rows = list(s3n.compare(1, quick=True))
    assert [row.what for row in rows] == ["s3n, peaks and sampling grids", "s3n, the same, and the pictures"]
    assert all(row.met is not False for row in rows)
