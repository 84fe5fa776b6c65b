"""Linear discriminants: the directions of a feature space along which kinds of things differ most.

Source: Rao, "The utilization of multiple measurements in problems of biological classification", 1948 (Fisher's
discriminant for several classes).
"""

from __future__ import annotations

import torch
from torch import Tensor


def discriminants(features: Tensor, kinds: Tensor, count: int, *, shrinkage: float = 0.03) -> tuple[Tensor, Tensor]:
    """Directions that make the spread between kinds greatest where the mean spread within them is one.

    Args:
        features: (N, D).
        kinds: (N,) int64, which kind each row shows, from 0 on, none left out.
        count: how many directions; past the number of kinds less one, they tell nothing.
        shrinkage: the within-kind covariance is mixed with so much of its mean variance, alike in all directions.

    Returns:
        The mean of all rows (D,), and the directions (D, count), the most telling first.
    """
    mean = features.mean(0)
    centred = features - mean
    numbers = kinds.bincount().to(features.dtype)
    means = torch.zeros(len(numbers), features.shape[1], dtype=features.dtype).index_add_(0, kinds, centred)
    means = means / numbers[:, None]
    rest = centred - means[kinds]
    within = rest.T @ rest / len(features)
    even = shrinkage * within.diagonal().mean() * torch.eye(len(within), dtype=features.dtype)
    values, vectors = torch.linalg.eigh(within + even)
    whiten = vectors / values.sqrt() @ vectors.T
    seen = means @ whiten
    _, telling = torch.linalg.eigh(seen.T @ (seen * numbers[:, None]) / len(features))
    return mean, whiten @ telling.flip(1)[:, :count]


def word_vectors(features: Tensor, words: list[tuple[int, ...]], count: int, *, ridge: float = 1.0) -> Tensor:
    """Vectors of words such that the mean of a name's words is near the features of what goes by the name.

    Least squares with a penalty of ``ridge`` x the square of each word's vector, which keeps rare words small.

    Args:
        features: (N, C) of N things.
        words: the words of each thing's name, by index; at least one.
        count: W, how many words there are.
        ridge: see above.

    Returns:
        (W, C); zero for words that no thing goes by.
    """
    shares = torch.zeros(len(words), count, dtype=features.dtype)
    for row, known in enumerate(words):
        shares[row, list(known)] = 1 / len(known)
    normal = shares.T @ shares + ridge * torch.eye(count, dtype=features.dtype)
    return torch.linalg.solve(normal, shares.T @ features)
