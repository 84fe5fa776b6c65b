"""Pooling and similarity maps against plain loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from likewise.ops.similarity import (
    correlate_kernels,
    cosine_similarity_map,
    masked_pool,
    pool_boxes,
    similarity_to_examples,
)


def test_pooled_box_reads_a_linear_ramp_at_its_own_centre():
    stride, side = 8, 32
    columns = (torch.arange(side) + 0.5) * stride  # a cell holds its centre's x in pixels
    features = torch.stack([columns.expand(side, side), columns[:, None].expand(side, side)])[None]
    boxes = torch.tensor([[40.0, 64.0, 100.0, 120.0], [17.0, 30.5, 80.0, 61.0]])
    (crops,) = pool_boxes(features, [boxes], size=5, scale=1 / stride)
    centres = torch.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], 1)
    torch.testing.assert_close(crops.mean((2, 3)), centres)
    (older,) = pool_boxes(features, [boxes], size=5, scale=1 / stride, aligned=False)
    torch.testing.assert_close(older.mean((2, 3)), centres + stride / 2)


def test_each_picture_gives_as_many_crops_as_it_has_boxes():
    boxes = [torch.tensor([[0.0, 0, 8, 8]] * k) for k in (1, 3, 2)]
    assert [len(c) for c in pool_boxes(torch.randn(3, 4, 6, 6), boxes, size=2, scale=1.0)] == [1, 3, 2]


def test_half_precision_features_are_pooled_in_float32():
    with torch.autocast("cpu", torch.bfloat16):
        (crops,) = pool_boxes(torch.randn(1, 2, 4, 4).bfloat16(), [torch.tensor([[0.0, 0, 4, 4]])], size=2, scale=1.0)
    assert crops.dtype == torch.float32


def test_masked_pool_is_the_mean_over_the_mask_and_zero_where_there_is_none():
    features = torch.randn(2, 5, 6, 6)
    mask = torch.zeros(2, 1, 12, 12)
    mask[0, 0, 2:6, 4:10] = 1
    pooled = masked_pool(features, mask)
    torch.testing.assert_close(pooled[0], features[0, :, 1:3, 2:5].mean((1, 2)))
    assert torch.equal(pooled[1], torch.zeros(5))


def test_cosine_map_agrees_with_one_place_at_a_time():
    features, vectors = torch.randn(2, 6, 3, 4), torch.randn(2, 3, 6)
    maps = cosine_similarity_map(features, vectors)
    for b, k, y, x in torch.cartesian_prod(*(torch.arange(n) for n in maps.shape)).tolist():
        one = F.cosine_similarity(features[b, :, y, x], vectors[b, k], dim=0)
        torch.testing.assert_close(maps[b, k, y, x], one)


def test_cosine_ignores_length_and_knows_no_nan():
    features, vectors = torch.randn(1, 6, 3, 4), torch.randn(1, 2, 6)
    torch.testing.assert_close(
        cosine_similarity_map(7 * features, 0.1 * vectors), cosine_similarity_map(features, vectors)
    )
    assert torch.equal(cosine_similarity_map(features * 0, vectors), torch.zeros(1, 2, 3, 4))


def test_cosine_gradient_agrees_with_finite_differences():
    features, vectors = torch.randn(1, 3, 2, 2).double(), torch.randn(1, 2, 3).double()
    assert torch.autograd.gradcheck(cosine_similarity_map, (features.requires_grad_(), vectors.requires_grad_()))


def test_cosine_keeps_float32_under_autocast():
    features, vectors = torch.randn(1, 6, 3, 4), torch.randn(1, 2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        under = cosine_similarity_map(features, vectors)
    assert torch.equal(under, cosine_similarity_map(features, vectors))


def test_mean_and_maximum_are_over_each_pictures_own_examples():
    features, examples = torch.randn(2, 6, 3, 4), (torch.randn(1, 6), torch.randn(4, 6))
    maps = similarity_to_examples(features, examples)
    for b, vectors in enumerate(examples):
        cosines = torch.stack([F.cosine_similarity(features[b], v[:, None, None], dim=0) for v in vectors])
        torch.testing.assert_close(maps[b, 0], cosines.mean(0))
        torch.testing.assert_close(maps[b, 1], cosines.max(0).values)


def test_negatives_give_their_own_maximum_and_how_far_the_examples_are_ahead():
    features, examples = torch.randn(3, 6, 3, 4), (torch.randn(1, 6), torch.randn(4, 6), torch.randn(2, 6))
    negatives = (torch.randn(2, 6), torch.randn(0, 6), torch.randn(1, 6))
    maps = similarity_to_examples(features, examples, negatives)
    assert torch.equal(maps[:, :2], similarity_to_examples(features, examples))
    for b, y, x in torch.cartesian_prod(*(torch.arange(n) for n in (3, 3, 4))).tolist():
        nearest, other = (
            max((float(F.cosine_similarity(features[b, :, y, x], v, dim=0)) for v in vectors[b]), default=None)
            for vectors in (examples, negatives)
        )
        expected = (0.0, 0.0) if other is None else (other, nearest - other)
        assert maps[b, 2:, y, x].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_correlation_slides_each_pictures_own_kernel(side):
    features, kernels = torch.randn(2, 3, 7, 6), torch.randn(2, 3, side, side)
    out = correlate_kernels(features, kernels)
    padded = F.pad(features, (side // 2,) * 4)
    for y, x in ((0, 0), (3, 2), (6, 5)):
        window = padded[:, :, y : y + side, x : x + side]
        torch.testing.assert_close(out[:, :, y, x], (window * kernels).sum((2, 3)), rtol=1e-4, atol=1e-5)
