"""A network as Lightning trains it, and the order its data comes in."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset, Sampler

from likewise.engine.config import TrainConfig
from likewise.engine.contract import Batch, contract_of
from likewise.errors import LikewiseError


class Training(LightningModule):
    """One training or validation step of any network.

    Args:
        model: a network that the engine can train (`likewise.engine.contract`).
        config: settings of the run.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last) if config.channels_last else model
        self.config = config
        self.contract = contract_of(model)
        self.meter = self.contract.meter()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Whatever a network draws (dropout) depends on the step alone, not on what was drawn before."""
        position = self.global_step * self.config.accumulate + batch_idx % self.config.accumulate
        torch.manual_seed(self.config.seed * 1_000_003 + position * self.trainer.world_size + self.global_rank)
        begin = getattr(self.model, "begin_step", None)
        if begin is not None:
            begin(self.global_step / self.config.steps)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
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
        self.log("loss", total, prog_bar=True, batch_size=len(batch))
        self.log_dict({f"loss/{n}": v for n, v in losses.items()}, batch_size=len(batch))
        return {"loss": total} | {n: v.detach() for n, v in losses.items()}

    def on_validation_epoch_start(self) -> None:
        """Forgets the last validation, and tells a network that asks for it how far the run is."""
        self.meter = self.contract.meter()
        begin = getattr(self.model, "begin_validation", None)
        if begin is not None:
            begin(self.global_step / self.config.steps)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds what a batch gives to the meter."""
        output, losses = self._losses(batch)
        self.log("val/loss", losses["total"].mean(), batch_size=len(batch))
        self.meter.add(output, batch)

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics, and tells a network that asks for it that it is used again."""
        end = getattr(self.model, "end_validation", None)
        if end is not None:
            end()
        for index, (name, value) in enumerate(self.meter.summary().items()):
            self.log(f"val/{name}", value, prog_bar=index == 0)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The run's optimiser with its schedule, changed every step."""
        groups = getattr(self.model, "parameter_groups", None)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = self.config.optimizer_for(trained if groups is None else groups(self.config.lr))
        schedule = LambdaLR(optimizer, self.config.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _losses(self, batch: Batch) -> tuple[Any, dict[str, Tensor]]:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        output = self.contract.output(self.model, batch, layout)
        return output, self.model.loss(output, batch)  # type: ignore[operator]  # a trainable network


class Batches(LightningDataModule):
    """Batch i of a run: positions i B .. (i + 1) B of endless training data, shared out among the devices.

    Args:
        data: training samples in network pixels, of one size.
        val: validation samples in network pixels, or None.
        config: settings of the run.
        collate: makes a batch of samples.

    Raises:
        LikewiseError: `data` is shorter than the run.
    """

    def __init__(
        self,
        data: Dataset[Any],
        val: Dataset[Any] | None,
        config: TrainConfig,
        collate: Callable[[Sequence[Any]], Batch],
    ) -> None:
        super().__init__()
        self.collate = collate
        self.data = data
        self.val = val
        self.config = config
        needed = config.steps * config.batch_size * config.accumulate
        length = len(data)  # type: ignore[arg-type]  # map-style sets have a length
        if length < needed:
            raise LikewiseError(
                f"the run needs {needed} samples in order, the data has {length}; "
                "wrap it in likewise.data.infinite.ShuffledDataset or MixedDataset"
            )

    def train_dataloader(self) -> DataLoader[Any]:
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

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """The validation samples in order, all on every device."""
        if self.val is None:
            return []
        return DataLoader(self.val, batch_size=self.config.val_batch_size, collate_fn=self.collate)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
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


class _Loader(DataLoader[Any]):
    """A loader that tells Lightning it can go on in the middle: it is made at the step the run is at."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


def _leave_signals_to_the_trainer(worker: int) -> None:
    # ctrl-C reaches every process of the terminal, and a termination signal often the whole group (``timeout``, SLURM);
    # the main one decides when to stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_trainer_says, args=(os.getppid(),), daemon=True).start()


def _end_when_the_trainer_says(trainer: int) -> None:
    """Ends a worker by a termination signal that its trainer sent, and by no other."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != trainer:
        pass
    os._exit(0)
