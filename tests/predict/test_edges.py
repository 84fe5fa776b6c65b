"""Scores brought to a picture's edges: a coarse score of a disc, whose true pixels are known."""

from __future__ import annotations

import numpy as np
from PIL import Image

from likewise.predict.edges import refined


def scene(side=240):
    """A green disc on grey ground, both with noise, where it is, and a blurred score at a quarter of the size."""
    y, x = np.mgrid[:side, :side] + 0.5
    disc = np.hypot(y - 110, x - 125) <= 70
    noise = np.random.default_rng(0).normal(0, 6, (side, side, 3))
    picture = np.where(disc[..., None], (60, 150, 70), (130, 125, 120)) + noise
    coarse = Image.fromarray(disc.astype(np.float32)).resize((12, 12), Image.Resampling.BOX)
    score = np.asarray(coarse.resize((60, 60), Image.Resampling.BILINEAR)).clip(0, 1)
    return picture.clip(0, 255).astype(np.uint8), disc, score


def wrong(score, truth):
    whole = np.asarray(Image.fromarray(score).resize(truth.shape[::-1], Image.Resampling.BILINEAR))
    return int(((whole > 0.5) != truth).sum())


def test_the_edge_comes_to_where_the_thing_ends():
    picture, disc, score = scene()
    found = refined(score, picture, 0.04)
    assert found.shape == disc.shape
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert wrong(found, disc) < wrong(score, disc) / 4


def test_a_hole_closes_where_colours_speak_for_it_and_a_shadow_beside_the_thing_goes():
    picture, _, score = scene()
    score = score.copy()
    score[25:29, 29:33] = 0.35  # within the disc
    score[25:31, 52:57] = 0.65  # beside it
    found = refined(score, picture, 0.04) > 0.5
    assert found[100:116, 116:132].all()
    assert not found[100:124, 208:228].any()


def test_what_is_sure_nowhere_teaches_no_colours():
    picture, _, score = scene()
    assert np.abs(refined(np.full_like(score, 0.6), picture, 0.04) - 0.6).max() < 1e-3
