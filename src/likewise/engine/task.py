"""A counter as Lightning trains it, and the order its data comes in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset, Sampler

from likewise.data.sample import CountSample
from likewise.data.transforms import collate
from likewise.engine.config import TrainConfig
from likewise.metrics import CountErrors
from likewise.types import CountBatch, LikewiseError, PromptBatch


class TrainableCounter(Protocol):
    """What the engine needs of a network; `parameter_groups(lr)`, for AdamW, may be there too."""

    def __call__(self, image: Tensor, prompt: PromptBatch) -> Tensor:
        """(B, 1, H, W) density of (B, 3, H, W) RGB pictures in [0, 1]."""

    def loss(self, density: Tensor, batch: CountBatch) -> dict[str, Tensor]:
        """Losses (B,) by name; "total" is what is minimised."""


class CountingTask(LightningModule):
    """One training or validation step of any counter.

    Args:
        model: an `nn.Module` that is a `TrainableCounter`.
        config: settings of the run.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last) if config.channels_last else model
        self.config = config
        self.errors = CountErrors()

    def on_train_batch_start(self, batch: CountBatch, batch_idx: int) -> None:
        """Whatever a network draws (dropout) depends on the step alone, not on what was drawn before."""
        position = self.global_step * self.config.accumulate + batch_idx % self.config.accumulate
        torch.manual_seed(self.config.seed * 1_000_003 + position * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: CountBatch, batch_idx: int) -> dict[str, Tensor]:
        """Mean losses of a batch, "loss" being the one that is minimised.

        Raises:
            LikewiseError: it is not finite.
        """
        losses = {name: value.mean() for name, value in self._losses(batch)[1].items()}
        total = losses.pop("total")
        if not bool(total.isfinite()):
            raise LikewiseError(
                f"the loss became {total.item()} at step {self.global_step}; a lower lr, or clip, may help"
            )
        size = len(batch.points)
        self.log("loss", total, prog_bar=True, batch_size=size)
        self.log_dict({f"loss/{n}": v for n, v in losses.items()}, batch_size=size)
        return {"loss": total} | {n: v.detach() for n, v in losses.items()}

    def on_validation_epoch_start(self) -> None:
        """Forgets the last validation."""
        self.errors = CountErrors()

    def validation_step(self, batch: CountBatch, batch_idx: int) -> None:
        """Adds a batch's counts to the errors."""
        density, losses = self._losses(batch)
        self.log("val/loss", losses["total"].mean(), batch_size=len(batch.points))
        for count, points in zip(density.double().sum(dim=(1, 2, 3)).tolist(), batch.points, strict=True):
            self.errors.add(count, len(points))

    def on_validation_epoch_end(self) -> None:
        """Logs the errors."""
        for name, value in self.errors.summary().items():
            self.log(f"val/{name}", value, prog_bar=name == "mae")

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with the run's schedule, changed every step."""
        groups = getattr(self.model, "parameter_groups", None)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        parameters = trained if groups is None else groups(self.config.lr)
        config = self.config
        betas = (0.9, config.beta2)
        optimizer = AdamW(parameters, lr=config.lr, betas=betas, weight_decay=config.weight_decay)
        schedule = LambdaLR(optimizer, self.config.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _losses(self, batch: CountBatch) -> tuple[Tensor, dict[str, Tensor]]:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        density = self.model(batch.image.contiguous(memory_format=layout), batch.prompt)
        return density, self.model.loss(density, batch)  # type: ignore[operator]  # a TrainableCounter


class Batches(LightningDataModule):
    """Batch i of a run: positions i B .. (i + 1) B of endless training data, shared out among the devices.

    Args:
        data: training samples in network pixels, of one size.
        val: validation samples in network pixels, or None.
        config: settings of the run.
        text: whether the network is told names.

    Raises:
        LikewiseError: `data` is shorter than the run.
    """

    def __init__(
        self,
        data: Dataset[CountSample],
        val: Dataset[CountSample] | None,
        config: TrainConfig,
        *,
        text: bool = False,
    ) -> None:
        super().__init__()
        self.collate = partial(collate, text=text)
        self.data = data
        self.val = val
        self.config = config
        needed = config.steps * config.batch_size * config.accumulate
        length = len(data)  # type: ignore[arg-type]  # map-style sets have a length
        if length < needed:
            raise LikewiseError(
                f"the run needs {needed} samples in order, the data has {length}; "
                "wrap it in likewise.data.streams.ShuffledDataset or MixedDataset"
            )

    def train_dataloader(self) -> DataLoader[CountSample]:
        """Batches from the step the run is at."""
        trainer = self.trainer
        if trainer is None:
            raise LikewiseError("batches are given to a trainer, which tells the step the run is at")
        steps = StepBatches(
            self.config.steps * self.config.accumulate,
            self.config.batch_size,
            start=trainer.global_step * self.config.accumulate,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )
        return _Loader(self.data, batch_sampler=steps, collate_fn=self.collate, **self._workers())

    def val_dataloader(self) -> DataLoader[CountSample] | list[Any]:
        """The validation samples in order, all on every device."""
        if self.val is None:
            return []
        return DataLoader(self.val, batch_size=self.config.val_batch_size, collate_fn=self.collate)

    def transfer_batch_to_device(self, batch: CountBatch, device: torch.device, dataloader_idx: int) -> CountBatch:
        """Lightning itself moves no frozen dataclasses."""
        return batch.to(device, non_blocking=True)

    def _workers(self) -> dict[str, Any]:
        if not self.config.workers:
            return {}
        return {
            "num_workers": self.config.workers,
            "prefetch_factor": self.config.prefetch,
            "persistent_workers": True,
            "worker_init_fn": _leave_signals_to_the_trainer,
        }


class StepBatches(Sampler[list[int]]):
    """Positions of the batches of a run, from any of its batches on.

    Args:
        batches: batches of the whole run.
        batch_size: positions a batch on each device.
        start: the first batch that is given.
        rank: which device this is.
        world: how many there are.
    """

    def __init__(self, batches: int, batch_size: int, *, start: int = 0, rank: int = 0, world: int = 1) -> None:
        self.batches = batches
        self.batch_size = batch_size
        self.start = start
        self.rank = rank
        self.world = world

    def __len__(self) -> int:
        # of the whole run: a run that goes on at batch i compares its batches done, i, with this
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        for batch in range(self.start, self.batches):
            first = (batch * self.world + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))


class _Loader(DataLoader[CountSample]):
    """A loader that tells Lightning it can go on in the middle: it is made at the step the run is at."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


def _leave_signals_to_the_trainer(worker: int) -> None:
    # ctrl-C reaches every process of the terminal; the main one decides when to stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
