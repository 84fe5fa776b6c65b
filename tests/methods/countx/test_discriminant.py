"""Linear discriminants against SciPy's generalised eigenvalues, word vectors against a plain solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from likewise.methods.countx.discriminant import discriminants, word_vectors


def kinds_in_space(kinds=5, dimensions=7, each=40):
    torch.manual_seed(3)
    means = torch.randn(kinds, dimensions, dtype=torch.float64) * 2
    stretch = torch.randn(dimensions, dimensions, dtype=torch.float64)
    labels = torch.arange(kinds).repeat_interleave(each)
    return means[labels] + torch.randn(kinds * each, dimensions, dtype=torch.float64) @ stretch, labels


def scatter(features, labels):
    """Within- and between-kind covariance, kind by kind."""
    x, mean = features.numpy(), features.numpy().mean(0)
    within, between = np.zeros((x.shape[1],) * 2), np.zeros((x.shape[1],) * 2)
    for kind in range(int(labels.max()) + 1):
        mine = x[labels.numpy() == kind]
        within += (mine - mine.mean(0)).T @ (mine - mine.mean(0)) / len(x)
        between += len(mine) * np.outer(mine.mean(0) - mean, mine.mean(0) - mean) / len(x)
    return within, between


def test_directions_are_the_generalised_eigenvectors():
    features, labels = kinds_in_space()
    mean, directions = discriminants(features, labels, 4, shrinkage=0.0)
    within, between = scatter(features, labels)
    values, vectors = eigh(between, within)  # vectors' within-kind spread is one
    assert torch.allclose(mean, features.mean(0))
    similarity_maps = np.abs(directions.numpy().T @ within @ vectors[:, ::-1][:, :4])
    assert np.allclose(similarity_maps, np.eye(4), atol=1e-8)
    assert np.allclose(np.diag(directions.numpy().T @ between @ directions.numpy()), values[::-1][:4])


def test_shrinkage_keeps_directions_without_spread_finite():
    features, labels = kinds_in_space(kinds=3, each=4)
    features[:, 0] = 1.0
    assert bool(discriminants(features, labels, 2)[1].isfinite().all())


def test_a_name_is_the_mean_of_its_words():
    torch.manual_seed(4)
    truth = torch.randn(4, 6, dtype=torch.float64)
    words = [(0,), (0, 1), (1, 2), (2,), (0, 2), (1,)] * 50
    features = torch.stack([truth[list(known)].mean(0) for known in words])
    found = word_vectors(features, words, 4, ridge=1e-9)
    assert torch.allclose(found[:3], truth[:3], atol=1e-6)
    assert not bool(found[3].any())  # nothing goes by it


@pytest.mark.parametrize("ridge", [0.5, 4.0])
def test_the_penalty_is_that_of_ridge_regression(ridge):
    torch.manual_seed(5)
    words = [(0,), (0, 1), (1,), (1, 2)]
    features = torch.randn(4, 3, dtype=torch.float64)
    shares = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5]])
    stacked = np.concatenate([shares, np.sqrt(ridge) * np.eye(3)])
    target = np.concatenate([features.numpy(), np.zeros((3, 3))])
    expected = np.linalg.lstsq(stacked, target, rcond=None)[0]
    assert np.allclose(word_vectors(features, words, 3, ridge=ridge).numpy(), expected)
