"""What happens between the steps of a training run: averaging, saving, logging, stopping."""

from __future__ import annotations

import csv
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar, WeightAveraging
from torch import Tensor, nn

from likewise.engine.last_checkpoint import LAST, keep
from likewise.errors import LikewiseError
from likewise.weights import save_checkpoint

WEIGHTS = "model.safetensors"
LOSSES = "losses.csv"
VALIDATION = "val.csv"


class MovingAverage(WeightAveraging):
    """An exponential moving average of the weights, which Lightning validates and ends with.

    The decay of step n is min(decay, (1 + n) / (10 + n)): at first the average follows the weights closely.

    Args:
        decay: what it grows to.
    """

    def __init__(self, decay: float) -> None:
        def average(old: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
            share = 1.0 - min(decay, (1.0 + float(count)) / (10.0 + float(count)))
            for a, b in zip(old, new, strict=True):
                # counters, such as batch norm's, are no quantities to average
                a.lerp_(b, share) if a.is_floating_point() else a.copy_(b)

        super().__init__(multi_avg_fn=average)

    @property
    def model(self) -> nn.Module:
        """The network with the average weights."""
        if self._average_model is None:
            raise LikewiseError("there is no average before training begins")
        return self._average_model.module.model  # type: ignore[return-value]  # of a Training


class Checkpoints(Callback):
    """Writes everything a run needs to go on, and the network by itself, each in one indivisible move.

    Args:
        folder: gets ``last.ckpt``, of which the one before stays as ``previous.ckpt``, and ``model.safetensors``.
        every: steps between two of them; there is one at the last step and at a stop too.
        average: the moving average whose weights are the network's, or None.
    """

    def __init__(self, folder: Path, every: int, average: MovingAverage | None) -> None:
        self.folder = folder
        self.every = every
        self.average = average
        self.saved = -1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves when it is time to."""
        step = trainer.global_step
        due = step % self.every == 0 or step == trainer.max_steps or trainer.should_stop
        if due and step != self.saved and step:
            self.saved = step
            self._save(trainer, pl_module)

    def _save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        partial = self.folder / f"{LAST}.partial"
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            keep(partial, self.folder)
            write_weights(self.folder, self.average.model if self.average else pl_module.model)  # type: ignore[arg-type]


def write_weights(folder: Path, model: nn.Module) -> Path:
    """``model.safetensors`` of a folder."""
    return save_checkpoint(folder / WEIGHTS, model)  # type: ignore[arg-type]  # every network here is Configured


class LossLog(Callback):
    """``losses.csv``: one line a step; ``val.csv``: one a validation.

    Lines after the step a run goes on from, written before it was killed, are dropped.

    Args:
        folder: gets the two files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.step = 0
        self._batches: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cuts off what a killed run had written after its last checkpoint."""
        self.step = trainer.global_step
        for name in (LOSSES, VALIDATION) if trainer.is_global_zero else ():
            path = self.folder / name
            if path.exists():
                with path.open(encoding="utf-8", newline="") as file:
                    head, *rows = [row for row in csv.reader(file) if row]
                _write(path, [head, *(r for r in rows if int(r[0]) <= self.step)], "w")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One line when a step is done: its number, counted from 1, and its mean losses."""
        self._batches.append({name: float(value.detach()) for name, value in outputs.items()})
        if trainer.global_step > self.step:
            self.step = trainer.global_step
            losses = {n: sum(b[n] for b in self._batches) / len(self._batches) for n in self._batches[0]}
            self._add(trainer, LOSSES, {"step": self.step, **losses})
            self._batches = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One line: the step and what was measured."""
        values = {n[4:]: float(v) for n, v in trainer.callback_metrics.items() if n.startswith("val/")}
        self._add(trainer, VALIDATION, {"step": trainer.global_step, **values})

    def _add(self, trainer: Trainer, name: str, row: dict[str, Any]) -> None:
        if trainer.is_global_zero:
            path = self.folder / name
            head = [] if path.exists() else [list(row)]
            _write(path, [*head, [repr(v) for v in row.values()]], "a")


def _write(path: Path, rows: Sequence[Sequence[str]], mode: str) -> None:
    with path.open(mode, encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


class StopWhenAsked(Callback):
    """Ctrl-C or a termination signal ends the run after the step it is in; a second ctrl-C ends it at once.

    A second termination signal says nothing new: ``timeout`` sends one to the process and one to its group.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens, in the main thread, which alone may."""
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops if any device's process was asked to, all of them at the same step."""
        if trainer.strategy.reduce_boolean_decision(self.asked is not None, all=False):
            self.asked = self.asked or signal.SIGTERM
            trainer.should_stop = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listens no more."""
        self._listen_no_more()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        if signal.SIGINT in self._before:
            signal.signal(signal.SIGINT, self._before.pop(signal.SIGINT))

    def _listen_no_more(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class Progress(RichProgressBar):
    """Lightning's bar without the words that mean nothing here: a run is one epoch, its logs have one version."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> Any:
        """Lightning's, without the version."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
