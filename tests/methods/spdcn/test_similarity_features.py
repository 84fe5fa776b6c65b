"""Evidence against plain loops, and descriptions that are put together."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from likewise.methods.spdcn.similarity_features import (
    CONTRAST,
    ExemplarFeatures,
    Features,
    encode_exemplars,
    evidence,
    with_kernels,
    with_levels,
)

GRID, STRIDES = (6, 5), (4, 8, 16)
BOXES = (torch.tensor([[3.0, 4, 20, 25]]), torch.tensor([[8.0, 6, 30, 22], [1, 20, 14, 40]]))
NEGATIVES = (torch.tensor([[10.0, 20, 33, 40], [2, 2, 12, 12]]), torch.zeros(0, 4))


def features() -> Features:
    sizes = ((12, 10), GRID, (3, 3))
    stages = tuple(torch.randn(2, c, *size) for c, size in zip((3, 4, 7), sizes, strict=True))
    return Features(stages, torch.randn(2, 6, *GRID), torch.randn(2, 6, *GRID))


def exemplar_features(seen: Features) -> list[ExemplarFeatures]:
    """Of two pictures; the first has negatives."""
    shown = with_levels(encode_exemplars(seen, BOXES, 8, size=4, aligned=True), seen, BOXES, STRIDES)
    shown = with_kernels(shown, seen, BOXES, 8)
    against = with_levels(encode_exemplars(seen, NEGATIVES, 8, size=4, aligned=True), seen, NEGATIVES, STRIDES)
    return [ExemplarFeatures(d.sizes, d.vectors, d.kernels, d.levels, n) for d, n in zip(shown, against, strict=True)]


def test_a_description_holds_the_boxes_sizes_and_mean_features():
    stages = tuple(torch.ones(1, c, 8, 8) * (c + 1.0) for c in (2, 3))
    seen = Features(stages, torch.ones(1, 5, 8, 8) * 4, torch.zeros(1, 5, 8, 8))
    boxes = (torch.tensor([[4.0, 8, 20, 40], [9, 9, 12, 20]]),)
    (found,) = with_levels(encode_exemplars(seen, boxes, 8, size=4, aligned=True), seen, boxes, (8, 8))
    assert found.sizes.tolist() == [[32, 16], [11, 3]]
    torch.testing.assert_close(found.vectors, torch.full((2, 5), 4.0))
    assert [level.mean().item() for level in found.levels] == [3.0, 4.0]


def test_against_says_at_every_depth_how_near_the_nearest_negative_is():
    seen = features()
    shown = exemplar_features(seen)
    against = evidence(seen, shown, negatives=True).against
    assert against is not None
    assert against.shape == (2, 2 * (1 + len(STRIDES)), *GRID)
    negatives = shown[0].negatives
    assert negatives is not None
    for depth, (maps, wanted, unwanted) in enumerate(
        zip(
            (seen.classes, *seen.stages),
            (shown[0].vectors, *shown[0].levels),
            (negatives.vectors, *negatives.levels),
            strict=True,
        )
    ):
        near, other = (
            torch.stack([F.cosine_similarity(maps[0], v[:, None, None], dim=0) for v in vectors]).amax(0)[None, None]
            for vectors in (wanted, unwanted)
        )
        expected = torch.cat([other, CONTRAST * (near - other)], dim=1)
        if expected.shape[2:] != GRID:
            expected = F.interpolate(expected, GRID, mode="bilinear", antialias=True)
        torch.testing.assert_close(against[0, 2 * depth : 2 * depth + 2], expected[0], rtol=1e-4, atol=1e-5)


def test_a_picture_without_negatives_has_no_evidence_against_anything():
    seen = features()
    shown = exemplar_features(seen)
    against = evidence(seen, shown, negatives=True).against
    assert against is not None
    assert float(against[1].abs().max()) == 0
    assert float(against[0].abs().max()) > 0.1
    plain = evidence(seen, shown, negatives=False)
    assert plain.against is None
    torch.testing.assert_close(plain.nearest, evidence(seen, shown, negatives=True).nearest)


def test_merging_joins_exemplars_and_negatives_wherever_they_were_seen():
    seen = features()
    first, second = exemplar_features(seen)
    only_negatives = ExemplarFeatures(
        first.sizes[:0], first.vectors[:0], torch.zeros(0, 6, 3, 3), tuple(v[:0] for v in first.levels), first.negatives
    )
    merged = ExemplarFeatures.merge([second, only_negatives])
    assert first.negatives is not None
    assert merged.negatives is not None
    torch.testing.assert_close(merged.vectors, second.vectors)
    torch.testing.assert_close(merged.negatives.vectors, first.negatives.vectors)
    for level, own in zip(merged.negatives.levels, first.negatives.levels, strict=True):
        torch.testing.assert_close(level, own)
    assert ExemplarFeatures.merge([ExemplarFeatures(second.sizes, second.vectors)] * 2).negatives is None


@pytest.mark.parametrize("count", [2, 3, 40])
def test_the_mean_cosine_is_that_of_all_pairs(count):
    vectors = torch.randn(count, 6, generator=torch.Generator().manual_seed(count))
    vectors[0] = 0  # resembles nothing, itself included
    described = ExemplarFeatures(torch.ones(count, 2), vectors)
    pairs = itertools.combinations(vectors.double(), 2)
    expected = torch.stack([F.cosine_similarity(a, b, dim=0) for a, b in pairs]).mean()
    assert described.mean_cosine() == pytest.approx(float(expected), abs=1e-12)
    assert ExemplarFeatures(torch.ones(1, 2), vectors[1:2]).mean_cosine() is None
