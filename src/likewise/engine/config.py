"""How long, how fast and on what a network is trained."""

# No `from __future__ import annotations` here: the command line resolves the types of inherited fields in the
# module of the recipe that extends this, where names such as Literal may be missing.
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch.optim import SGD, AdamW, Optimizer

from likewise.errors import LikewiseError, nearest

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"]
#: Metrics of a validation, and which way is better.
METRICS: dict[str, Literal["higher", "lower"]] = {
    **dict.fromkeys(("loss", "mae", "rmse", "nae", "sre"), "lower"),
    **dict.fromkeys(("iou", "fb_iou", "top1", "top5"), "higher"),
}
#: Most of a run's steps over which the learning rate may rise: a tenth.
WARMUP_SHARE = 10
Schedule = Literal["constant", "cosine", "exponential", "multistep", "poly", "half-cosine"]

#: What may be different when a run is continued: it changes how long and where a run goes on, not what is learnt.
MAY_CHANGE = (
    "steps",
    "workers",
    "prefetch",
    "accelerator",
    "checkpoint_every",
    "val_every",
    "val_batch_size",
    "best",
    "log_every",
    "progress",
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one training run; a recipe's own configuration extends this with its data.

    Attributes:
        steps: optimiser steps of the whole run.
        batch_size: pictures a step, on each device.
        seed: of everything random; step i of a run depends on it and i alone.
        optimizer: "adamw" or "sgd".
        lr: learning rate; groups of a model with `parameter_groups` have their own.
        weight_decay: the optimiser's.
        momentum: SGD's.
        beta2: AdamW's decay of the squared gradients' average; that of the gradients' is 0.9.
        warmup: steps over which the learning rate rises from 0, a tenth of the run's at most.
        schedule: "constant"; "cosine", down to `final` of it at the last step; "exponential", times `decay` every
            `decay_every` steps; "multistep", times `decay` at each of the `milestones`; "poly", times
            (1 - step / steps) ^ `power`; "half-cosine", which rises from 0 at the first step and falls, down to `final`
            of it at the run's end, only after the warm-up (Masked Autoencoders, He et al., CVPR 2022).
        final: see `schedule`.
        decay: see `schedule`.
        decay_every: see `schedule`.
        milestones: see `schedule`; shares of the run, from 0 to 1.
        power: see `schedule`.
        clip: largest norm of the gradient; 0: no limit.
        accumulate: batches a step.
        ema: decay of the weights' moving average, which is what is validated and kept in the end; 0: none. It
            starts at a tenth and grows to this, so that the first steps are forgotten.
        precision: Lightning's name of it; "bf16-mixed" also on a CPU. "auto" becomes what the machine computes fast in
            when the settings are made, see `fast_precision`.
        channels_last: whether pictures and weights are stored channels last.
        accelerator: Lightning's name: "auto", "cpu", "gpu", ...
        devices: how many; "auto": all there are.
        strategy: Lightning's name: "auto", "ddp", ...
        workers: processes that prepare batches.
        prefetch: batches each of them prepares ahead.
        checkpoint_every: steps between two checkpoints.
        val_every: steps between two validations; 0: none.
        val_batch_size: pictures a batch of a validation.
        best: metric whose best validation's weights are kept (`METRICS`); "": the task's own, which is "mae" of
            counters, "iou" of segmenters and "top1" of recognisers.
        log_every: steps between two lines in TensorBoard; the losses' CSV has every step.
        progress: whether a progress bar is shown.

    Raises:
        LikewiseError: a number outside its range.

    Example:
        >>> TrainConfig(steps=100, schedule="poly", power=1.0).rate(50)  # half of the learning rate in the middle
        0.5
    """

    steps: int = 10_000
    batch_size: int = 8
    seed: int = 0
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-4
    momentum: float = 0.9
    beta2: float = 0.999
    warmup: int = 0
    schedule: Schedule = "cosine"
    final: float = 0.01
    decay: float = 0.95
    decay_every: int = 1000
    milestones: tuple[float, ...] = ()
    power: float = 0.9
    clip: float = 0.0
    accumulate: int = 1
    ema: float = 0.0
    precision: Precision = "32-true"
    channels_last: bool = False
    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    strategy: str = "auto"
    workers: int = 1
    prefetch: int = 4
    checkpoint_every: int = 500
    val_every: int = 0
    val_batch_size: int = 1
    best: str = ""
    log_every: int = 20
    progress: bool = True

    def __post_init__(self) -> None:
        if self.precision == "auto":
            object.__setattr__(self, "precision", fast_precision(self.accelerator))
        if self.best and self.best not in METRICS:
            raise LikewiseError(f"best = {self.best!r} is no metric{nearest(self.best, METRICS)}")
        at_least_one = ("steps", "batch_size", "decay_every", "accumulate", "prefetch", "checkpoint_every")
        for name in (*at_least_one, "val_batch_size", "log_every"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("lr", "weight_decay", "warmup", "power", "clip", "workers", "val_every"):
            self._check(name, 0 <= getattr(self, name) < math.inf, "at least 0")
        for name in ("final", "decay"):
            self._check(name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        for name in ("ema", "beta2", "momentum"):
            self._check(name, 0 <= getattr(self, name) < 1, "from 0 to below 1")

    def rate(self, step: int) -> float:
        """The factor on every learning rate at a step, counted from 0."""
        warmup = min(self.warmup, self.steps // WARMUP_SHARE)
        if self.schedule == "half-cosine":
            return step / warmup if step < warmup else self._half_cosine((step - warmup) / (self.steps - warmup))
        return min(1.0, (step + 1) / (warmup + 1)) * self._fall(step)

    def _half_cosine(self, done: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(1.0, done))) / 2

    def _fall(self, step: int) -> float:
        if self.schedule == "exponential":
            return self.decay ** (step // self.decay_every)
        if self.schedule == "cosine":
            return self._half_cosine(step / max(self.steps - 1, 1))
        if self.schedule == "multistep":
            return self.decay ** sum(step / self.steps >= share for share in self.milestones)
        if self.schedule == "poly":
            return max(0.0, 1 - step / self.steps) ** self.power
        return 1.0

    def optimizer_for(self, parameters: Any) -> Optimizer:
        """The optimiser of parameters or groups of them."""
        if self.optimizer == "sgd":
            return SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        return AdamW(parameters, lr=self.lr, betas=(0.9, self.beta2), weight_decay=self.weight_decay)

    def changed(self, before: dict[str, object]) -> list[str]:
        """What a run that was started with other settings may not continue with, each as "name: before -> now"."""
        fixed = [f.name for f in fields(TrainConfig) if f.name not in MAY_CHANGE and f.name in before]
        # JSON, from which it may have been read, knows lists only
        now = {n: list(v) if isinstance(v := getattr(self, n), tuple) else v for n in fixed}
        then = {n: list(v) if isinstance(v := before[n], tuple) else v for n in fixed}
        return [f"{n}: {then[n]} -> {now[n]}" for n in fixed if then[n] != now[n]]

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise LikewiseError(f"{name} = {getattr(self, name)}: expected {expected}")


@dataclass(frozen=True, kw_only=True)
class LiteConfig(TrainConfig):
    """Settings that the small bundled networks share, which are trained on a CPU in about an hour."""

    batch_size: int = 16
    lr: float = 1e-3
    warmup: int = 100
    clip: float = 1.0
    ema: float = 0.998
    precision: Precision = "auto"
    channels_last: bool = True
    checkpoint_every: int = 200
    val_every: int = 400
    val_batch_size: int = 16


def fast_precision(accelerator: str) -> Precision:
    """What a device trains fast in: "bf16-mixed" where it multiplies bfloat16 itself, else "32-true".

    A GPU does from compute capability 8 on, a CPU with AMX or AVX512-BF16. PyTorch also computes bfloat16 on CPUs that
    have neither, several times slower than float32.

    Args:
        accelerator: Lightning's name of the device; "auto" is a GPU where there is one.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "32-true"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and _cpu_multiplies_bfloat16() else "32-true"


def _cpu_multiplies_bfloat16() -> bool:
    # PyTorch's own words for what a CPU has have no public names yet; one that is gone counts as a no
    asked: list[Callable[[], bool] | None] = [
        getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    ]
    return any(has is not None and has() for has in asked)
