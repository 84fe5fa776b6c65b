"""The closed form against the same problem solved step by step, and against examples that are really left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.errors import LikewiseError
from likewise.ops.ridge_classifier import ridge_classifier


def examples(count: tuple[int, ...] = (4, 3, 6), width: int = 20, apart: float = 1.0, seed: int = 0):
    """Features (N, D) round a middle a class, and their classes."""
    rng = torch.Generator().manual_seed(seed)
    middles = apart * torch.randn(len(count), width, generator=rng)
    targets = torch.arange(len(count)).repeat_interleave(torch.tensor(count))
    return middles[targets] + torch.randn(len(targets), width, generator=rng) + 3.0, targets


def solved(features, targets, classes, strength, left_out=None):
    """Logits' function up to the factor: weighted least squares by its normal equations, without one of the rows."""
    x, counts = features.double().numpy(), np.bincount(targets, minlength=classes)
    weight = len(x) / classes / counts[targets.numpy()]
    middle = (weight[:, None] * x).mean(0)
    scale = np.sqrt(((x - middle) ** 2).sum(1).mean())
    rows = np.c_[(x - middle) / scale, np.ones(len(x))]
    target = np.eye(classes)[targets.numpy()] - 1 / classes
    keep = np.arange(len(x)) != (-1 if left_out is None else left_out)
    a, y = rows[keep], target[keep]
    inverse = np.linalg.inv(a.T @ (weight[keep, None] * a) + strength * np.eye(a.shape[1]))
    return lambda new: np.c_[(new - middle) / scale, np.ones(len(new))] @ inverse @ a.T @ (weight[keep, None] * y)


@pytest.mark.parametrize("width", [2, 20], ids=["more examples than features", "more features than examples"])
@pytest.mark.parametrize("strength", [0.03, 1.0, 30.0])
def test_it_is_the_solution_of_the_normal_equations_with_and_without_each_example(width: int, strength: float):
    features, targets = examples(width=width)
    found = ridge_classifier(features, targets, 3, [strength])
    new = np.random.default_rng(1).normal(3, 2, (7, width))
    logits = new @ found.weight.double().numpy().T + found.bias.double().numpy()
    expected = solved(features, targets, 3, strength)(new)
    factor = (logits * expected).sum() / (expected**2).sum()
    assert factor > 0
    np.testing.assert_allclose(logits, factor * expected, atol=1e-4 * factor)
    for index in range(len(features)):
        alone = solved(features, targets, 3, strength, index)(features[index : index + 1].double().numpy())
        np.testing.assert_allclose(found.left_out[index : index + 1], factor * alone, atol=1e-4 * factor)


def test_what_makes_the_examples_left_out_likeliest_is_chosen():
    features, targets = examples(apart=0.6)
    surprise = {}
    for strength in (0.01, 1.0, 30.0):
        left_out = ridge_classifier(features, targets, 3, [strength]).left_out
        each = torch.nn.functional.cross_entropy(left_out, targets, reduction="none")
        surprise[strength] = float(np.mean([each[targets == kind].mean() for kind in range(3)]))
    assert ridge_classifier(features, targets, 3, list(surprise)).strength == min(surprise, key=surprise.__getitem__)


def test_probabilities_are_sure_where_classes_are_apart_and_unsure_where_they_are_not():
    sure, unsure = (ridge_classifier(*examples(apart=apart), 3).left_out.softmax(1).max(1).values for apart in (5, 0))
    assert sure.min() > 0.9
    assert unsure.mean() < 0.7


def test_a_class_of_many_examples_does_not_drown_the_others():
    features, targets = examples((60, 4), apart=0.4)
    found = ridge_classifier(features, targets, 2)
    middle = (features[targets == 0].mean(0) + features[targets == 1].mean(0)) / 2
    logits = middle @ found.weight.T + found.bias
    assert abs(float(logits[0] - logits[1])) < 0.5 * found.left_out.diff(dim=1).abs().max()


@pytest.mark.parametrize("counts", [(3,), (3, 1), (2, 0, 2)])
def test_too_little_to_learn_from_is_refused(counts: tuple[int, ...]):
    targets = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    with pytest.raises(LikewiseError, match="expected two classes, two examples each"):
        ridge_classifier(torch.randn(len(targets), 4), targets, len(counts))
