"""Training sample by sample is training on the mean of the samples, with the engine's own schedule."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from likewise.engine.config import TrainConfig
from likewise.engine.unbatched import check_settings, train_unbatched
from likewise.errors import LikewiseError


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        return [{"params": [self.slope], "lr": lr}]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_steps_are_those_of_the_mean_loss(schedule: str):
    config = TrainConfig(
        steps=5, batch_size=3, lr=0.05, optimizer="sgd", momentum=0.0, weight_decay=0.0, schedule=schedule, warmup=2,
        progress=False,
    )  # fmt: skip
    targets = torch.arange(15.0, dtype=torch.float64)
    model, asked = Line(), []

    def loss(sample: int) -> torch.Tensor:
        asked.append(sample)
        assert model.training
        return (model.slope - targets[sample]) ** 2

    train_unbatched(model, loss, config, "line")
    expected = 0.5
    for step in range(5):  # the mean loss's slope is twice the distance from the mean target
        mean = float(targets[3 * step : 3 * step + 3].mean())
        expected -= 0.05 * config.rate(step) * 2 * (expected - mean)
    assert model.slope.item() == pytest.approx(expected, rel=1e-12)
    assert asked == list(range(15))
    assert not model.training


def test_settings_that_it_does_not_know_are_refused():
    check_settings("line", TrainConfig(steps=3, lr=1.0, warmup=2, schedule="constant", seed=4))
    with pytest.raises(LikewiseError, match="line trains sample by sample on a frozen trunk, which has no clip, ema"):
        check_settings("line", TrainConfig(ema=0.9, clip=1.0))
