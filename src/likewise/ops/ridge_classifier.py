"""A linear classifier of few examples in closed form, with what each would be called had it been left out.

Regularised least squares on one-hot targets (Rifkin, Yeo & Poggio, "Regularized Least-Squares Classification", 2003),
whose predictions for examples that were left out follow from one fit: the residual divided by its own share (Allen,
"The Relationship between Variable Selection and Data Augmentation and a Method for Prediction", Technometrics 1974).

Shapes: N examples, D features, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.errors import LikewiseError

#: Strengths of the regularisation that are tried, relative to the mean variance of the features times their number.
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
#: Factors by which outputs become logits, of which the likeliest for the examples left out is taken.
SHARPNESS = tuple(2 ** (i / 4) for i in range(29))


@dataclass(frozen=True, eq=False)
class RidgeClassifier:
    """What was computed; logits are ``features @ weight.T + bias``.

    Attributes:
        weight: (C, D) float32.
        bias: (C,) float32.
        left_out: (N, C) float32 logits of each example, by the classifier that all others make.
        strength: the regularisation that was chosen of `STRENGTHS`.
    """

    weight: Tensor
    bias: Tensor
    left_out: Tensor
    strength: float


def ridge_classifier(
    features: Tensor, targets: Tensor, classes: int, strengths: Sequence[float] = STRENGTHS
) -> RidgeClassifier:
    """Tell classes apart by examples of each; the same examples give the same classifier.

    Classes weigh the same, however many examples each has. How strongly it is regularised, and how steep its
    probabilities are, is what makes the examples likeliest that are left out in turn. What is common to all examples,
    their mean, scale and the classes' weights, is that of all of them, the left-out one included.

    Args:
        features: (N, D).
        targets: (N,) class of each, from 0; every class has at least two examples.
        classes: C.
        strengths: that are tried.

    Raises:
        LikewiseError: fewer than two classes, or fewer than two examples of one.

    Example:
        >>> found = ridge_classifier(torch.tensor([[0.0], [1.0], [9.0], [10.0]]), torch.tensor([0, 0, 1, 1]), 2)
        >>> found.left_out.argmax(1).tolist(), (torch.tensor([[2.0]]) @ found.weight.T + found.bias).argmax().item()
        ([0, 0, 1, 1], 0)
    """
    counts = targets.bincount(minlength=classes)
    if classes < 2 or len(counts) > classes or int(counts.min()) < 2:
        raise LikewiseError(f"{counts.tolist()} examples of {classes} classes; expected two classes, two examples each")
    values, target = features.double(), torch.eye(classes, dtype=torch.float64)[targets] - 1 / classes
    weight = (len(targets) / classes / counts.double()).sqrt()[targets, None]
    middle = (weight**2 * values).mean(0)
    scale = (values - middle).square().sum(1).mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    # the constant that is added is regularised as any feature: it is at most what the targets leave over
    rows = torch.cat([(values - middle) / scale, torch.ones_like(weight)], 1) * weight
    basis, spread = _basis(rows)
    duals = [_solved(basis, spread, target * weight, each) for each in strengths]
    outputs = [target - left / weight for _, left in duals]
    best, sharpness = min(
        ((i, s) for i in range(len(duals)) for s in SHARPNESS), key=lambda c: _surprise(c[1] * outputs[c[0]], targets)
    )
    solution = sharpness * rows.T @ duals[best][0]
    inner = solution[:-1] / scale
    return RidgeClassifier(
        weight=inner.T.float().contiguous(),
        bias=(solution[-1] - middle @ inner).float(),
        left_out=(sharpness * outputs[best]).float(),
        strength=strengths[best],
    )


def _basis(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular vectors (N, R) of rows (N, D) and the squares (R,) of the singular values that are not nothing."""
    if len(rows) <= rows.shape[1]:
        spread, vectors = torch.linalg.eigh(rows @ rows.T)
    else:
        spread, right = torch.linalg.eigh(rows.T @ rows)
        vectors = rows @ right / spread.clamp(min=torch.finfo(rows.dtype).tiny).sqrt()
    some = spread > spread.max() * len(spread) * torch.finfo(rows.dtype).eps
    return vectors[:, some], spread[some]


def _solved(basis: Tensor, spread: Tensor, target: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """The dual solution (N, C), and the residuals that examples would have if they were left out."""
    share = spread / (spread + strength)  # of each direction that is fitted; the hat matrix is basis * share @ basis.T
    residual = target - basis * share @ (basis.T @ target)
    return residual / strength, residual / (1 - (basis**2 * share).sum(1, keepdim=True))


def _surprise(logits: Tensor, targets: Tensor) -> float:
    """Mean negative log-likelihood of the classes, each weighing the same."""
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return torch.stack([each[targets == i].mean() for i in targets.unique()]).mean().item()
