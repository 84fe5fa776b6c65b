"""The measure of few named pictures, on features of which it is known what is right."""

from __future__ import annotations

import pytest
import torch

from likewise.lab.few_names import FewScore, Looked, mean_score, measure

KINDS, WIDTH = 6, 16


def looked(number: int, spread: float, seed: int, middles: torch.Tensor) -> Looked:
    targets = torch.arange(KINDS).repeat_interleave(number)
    noise = torch.randn(len(targets), WIDTH, generator=torch.Generator().manual_seed(seed))
    return Looked(middles[targets] + spread * noise, targets)


def sets(spread: float) -> dict[str, Looked]:
    middles = 10 * torch.eye(KINDS, WIDTH) + 1
    others = Looked(
        torch.ones(40, WIDTH) + 0.1 * torch.randn(40, WIDTH, generator=torch.manual_seed(5)), -torch.ones(40)
    )
    return {"train": looked(12, spread, 1, middles), "val": looked(4, spread, 2, middles), "others": others}


@pytest.mark.parametrize("names", [KINDS, 4])
def test_kinds_that_are_far_apart_are_all_told_apart_and_others_refused(names: int):
    score = measure(sets(0.1), names, 5, seed=0)
    assert (score.peer, score.right, score.left_out, score.refused) == (1, 1, 1, 1)
    assert score.accepted >= 0.8  # nineteen in twenty are to be


def test_what_cannot_be_told_apart_is_right_by_chance():
    middles = torch.ones(KINDS, WIDTH)
    alike = {name: looked(40, 1.0, seed, middles) for seed, name in enumerate(("train", "val", "others"))}
    score = measure(alike, KINDS, 20, seed=1)
    assert score.right == pytest.approx(1 / KINDS, abs=0.09)
    assert score.left_out == pytest.approx(1 / KINDS, abs=0.12)


def test_the_mean_is_that_of_each_number():
    one, other = FewScore(0.0, 0.2, 0.4, 0.6, 0.8), FewScore(0.2, 0.4, 0.6, 0.8, 1.0)
    mean = mean_score([one, other])
    assert [mean.peer, mean.right, mean.left_out, mean.accepted, mean.refused] == pytest.approx(
        [0.1, 0.3, 0.5, 0.7, 0.9]
    )
