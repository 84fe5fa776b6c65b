"""The weights of the best validation, kept beside the last ones: published numbers are those of the best epoch."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from safetensors import SafetensorError, safe_open
from torch import nn

from likewise.engine.callbacks import MovingAverage
from likewise.engine.config import METRICS
from likewise.errors import LikewiseError
from likewise.json_text import json_text
from likewise.weights import save_checkpoint

BEST = "best.safetensors"
#: Where the file's metadata says what it is the best of.
_NOTE = "best"


@dataclass(frozen=True)
class Best:
    """The best validation of a run so far.

    Attributes:
        metric: which is compared, one of `likewise.engine.config.METRICS`.
        value: of it.
        step: after which it was measured.
    """

    metric: str
    value: float
    step: int

    def beaten_by(self, other: Best) -> bool:
        """Whether another validation is better; a measure of another metric always is."""
        if self.metric != other.metric:
            return True
        return other.value > self.value if METRICS[self.metric] == "higher" else other.value < self.value

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4g} at step {self.step}"


def best_of(folder: Path) -> Best | None:
    """What the ``best.safetensors`` of a run's folder is the best of; None: there is none that can be read."""
    try:
        with safe_open(folder / BEST, framework="pt") as file:
            return Best(**json.loads((file.metadata() or {})[_NOTE]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None


class KeepBest(Callback):
    """Writes ``best.safetensors`` after every validation that is better than all before it, those of earlier runs too.

    Args:
        folder: gets the file.
        metric: name of the metric; "": the first that is measured, which is the task's own.
        average: the moving average whose weights are validated and kept, or None.
    """

    def __init__(self, folder: Path, metric: str, average: MovingAverage | None) -> None:
        self.folder = folder
        self.metric = metric
        self.average = average

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares what was measured with the best so far.

        Raises:
            LikewiseError: the metric is none of those that are measured.
        """
        measured = {n[4:]: float(v) for n, v in trainer.callback_metrics.items() if n.startswith("val/")}
        metric = self.metric or next((name for name in measured if name != "loss"), "loss")
        if metric not in measured:
            raise LikewiseError(f"best = {metric!r} is not measured here; expected one of {', '.join(measured)}")
        found, before = Best(metric, measured[metric], trainer.global_step), best_of(self.folder)
        better = before is None or before.beaten_by(found)
        if trainer.is_global_zero and better and math.isfinite(found.value):
            network: nn.Module = self.average.model if self.average else pl_module.model  # type: ignore[assignment]
            note = {_NOTE: json_text(asdict(found), what="the best validation")}
            save_checkpoint(self.folder / BEST, network, notes=note)  # type: ignore[arg-type]  # it is Configured
