"""Training sample by sample: for what cannot be stacked into a batch and is read from memory.

`likewise.engine.train` trains whole networks on crops of one size, which worker processes prepare and which Lightning
moves, logs and saves. A head on a frozen trunk has nothing of that: whole pictures keep their own sizes and cannot be
one tensor, and what the trunk made of them, hundreds of megabytes that every step reads from, would be copied to each
worker. It would go through that loop as batches of one with a contract of their own, and leave a folder of checkpoints
and logs for each of the two dozen runs of minutes that an experiment makes. The loop here is ten lines instead.
Optimiser, schedule and seeds are the engine's own (`TrainConfig`), and a step's gradient is that of the mean over its
samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from rich.progress import track
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from likewise.engine.config import TrainConfig
from likewise.errors import LikewiseError

#: The fields of the engine's settings that mean something here.
USED = {"steps", "batch_size", "seed", "optimizer", "lr", "weight_decay", "momentum", "beta2", "progress"}
#: ... and those of the learning rate's schedule.
SCHEDULE = {"warmup", "schedule", "final", "decay", "decay_every"}


def check_settings(name: str, config: TrainConfig) -> None:
    """See that no setting of the engine is asked for that `train_unbatched` does not know.

    Args:
        name: of the recipe.
        config: its settings.

    Raises:
        LikewiseError: one is.
    """
    standard = {f.name: f.default for f in fields(TrainConfig) if f.name not in USED | SCHEDULE}
    changed = [each for each, value in standard.items() if getattr(config, each) != value]
    if changed:
        raise LikewiseError(f"{name} trains sample by sample on a frozen trunk, which has no {', '.join(changed)}")


def train_unbatched(model: nn.Module, loss: Callable[[int], Tensor], config: TrainConfig, name: str) -> None:
    """Minimise the mean loss of samples; step i takes samples i B .. (i + 1) B, one after the other.

    Args:
        model: with ``parameter_groups(lr)``; changed in place, and in eval mode afterwards.
        loss: of a sample, by its number: a scalar.
        config: settings; see `check_settings` for those that are not used.
        name: of the run, for the progress bar.
    """
    optimizer = config.optimizer_for(model.parameter_groups(config.lr))  # type: ignore[operator]  # see above
    schedule = LambdaLR(optimizer, config.rate)
    model.train()
    for step in track(range(config.steps), name, disable=not config.progress, transient=True):
        optimizer.zero_grad()
        for sample in range(step * config.batch_size, (step + 1) * config.batch_size):
            (loss(sample) / config.batch_size).backward()
        optimizer.step()
        schedule.step()
    model.eval()
