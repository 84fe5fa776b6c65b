"""Training a network: ``train(model, data, val, config, out_dir)``.

The folder of a run holds ``model.safetensors`` (the network so far), ``best.safetensors`` (that of the best
validation), ``last.ckpt`` (all that is needed to go on; ``previous.ckpt`` is the one before), ``losses.csv`` (every
step), ``val.csv`` (every validation), ``config.json`` and TensorBoard's events in ``logs``.
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import Dataset

from likewise.engine.best_weights import BEST, KeepBest
from likewise.engine.callbacks import Checkpoints, LossLog, MovingAverage, Progress, StopWhenAsked, write_weights
from likewise.engine.config import TrainConfig
from likewise.engine.last_checkpoint import LAST, PREVIOUS, forget, usable
from likewise.engine.task import Batches, Training
from likewise.errors import LikewiseError
from likewise.json_text import json_text

CONFIG = "config.json"


def train(
    model: nn.Module,
    data: Dataset[Any],
    val: Dataset[Any] | None,
    config: TrainConfig,
    out_dir: str | Path,
    resume: bool = True,
) -> Path:
    """Train a network and write it to a folder; a run that was stopped or killed goes on where it was.

    Step i takes samples i B .. (i + 1) B of `data` and draws whatever it draws from the seed and i, so a run that was
    interrupted computes exactly what an uninterrupted one does (on the same machine).

    Args:
        model: the network (`likewise.engine.contract`), changed in place; it ends with the weights that are written.
        data: training samples in network pixels, all of one size, endless: `MixedDataset` or `ShuffledDataset`.
        val: validation samples in network pixels, or None.
        config: settings.
        out_dir: the run's folder, made where there is none.
        resume: go on from the folder's ``last.ckpt`` where there is one, from the one before where that is damaged;
            False: start anew and replace them.

    Returns:
        The folder's ``model.safetensors``.

    Raises:
        LikewiseError: the folder holds a run with other settings, or damaged checkpoints alone; too little data; a loss
            that is not finite; a metric for the best weights that is not measured.
        KeyboardInterrupt: ctrl-C; the step was finished and saved.
        SystemExit: the same for a termination signal.

    Example:
        >>> import tempfile
        >>> from likewise.data.counting.transforms import Crop, TrainCrop
        >>> from likewise.data.infinite import MixedDataset
        >>> from likewise.registry import preset
        >>> from likewise.scenes import SceneConfig, SyntheticScenes
        >>> scenes = SyntheticScenes(SceneConfig(side=(96, 128), objects=(6, 12), settings=("paper",), emoji=False), 1)
        >>> crops = MixedDataset([scenes], transform=TrainCrop(Crop(size=64)))
        >>> config = TrainConfig(steps=1, batch_size=1, workers=0, accelerator="cpu", progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train(preset("spdcn-lite").build(), crops, None, config, folder).name
        'model.safetensors'
    """
    folder = Path(out_dir)
    last = _prepared(folder, config, resume)
    if last is not None and _steps_done(last) >= config.steps:
        return write_weights(folder, _finished(model, config, last))
    average = MovingAverage(config.ema) if config.ema else None
    stop = StopWhenAsked()
    # the order matters: average, then stop, then save what is average and known to be the last
    saving = Checkpoints(folder, config.checkpoint_every, average)
    bar = Progress() if config.progress else None
    best = KeepBest(folder, config.best, average)
    callbacks: list[Callback] = [c for c in (average, stop, LossLog(folder), saving, best, bar) if c is not None]
    with _quiet(), _listening_as_before():
        trainer = _trainer(config, folder, callbacks, validated=val is not None)
        task = Training(model, config)
        batches = Batches(data, val, config, task.contract.collate)
        trainer.fit(task, datamodule=batches, ckpt_path=last, weights_only=True)
    if stop.asked == signal.SIGINT:
        raise KeyboardInterrupt
    if stop.asked is not None:
        raise SystemExit(128 + stop.asked)
    return write_weights(folder, model)


def _prepared(folder: Path, config: TrainConfig, resume: bool) -> Path | None:
    """The checkpoint to go on from, if any; the folder is made and the settings are written."""
    record = folder / CONFIG
    if resume and record.exists() and any((folder / name).exists() for name in (LAST, PREVIOUS)):
        before = json.loads(record.read_text(encoding="utf-8"))
        changed = config.changed(before)
        if changed:
            raise LikewiseError(
                f"{folder} holds a run with other settings ({'; '.join(changed)}); "
                "choose another folder, the same settings, or start anew without resuming"
            )
    if not resume:
        forget(folder)
        for old in ("losses.csv", "val.csv", BEST):
            (folder / old).unlink(missing_ok=True)
    last = usable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(
        json_text(asdict(config), what="the settings of the run", indent=2, default=str) + "\n", encoding="utf-8"
    )
    return last


def _steps_done(last: Path) -> int:
    return int(torch.load(last, weights_only=True, mmap=True, map_location="cpu")["global_step"])


def _finished(model: nn.Module, config: TrainConfig, last: Path) -> nn.Module:
    """The network of a run whose last step was done, though it may have been killed before it wrote it."""
    state = torch.load(last, weights_only=True, map_location="cpu")["state_dict"]
    Training(model, config).load_state_dict(state)
    return model


def _trainer(config: TrainConfig, folder: Path, callbacks: list[Callback], *, validated: bool) -> Trainer:
    validating = validated and config.val_every > 0
    return Trainer(
        max_steps=config.steps,
        max_epochs=-1,
        accelerator=config.accelerator,
        devices=config.devices,
        strategy=config.strategy,
        precision=config.precision,  # type: ignore[arg-type]  # "auto" was made one of Lightning's
        gradient_clip_val=config.clip or None,
        accumulate_grad_batches=config.accumulate,
        callbacks=callbacks,
        logger=TensorBoardLogger(save_dir=folder, name="", version="logs"),
        log_every_n_steps=config.log_every,
        check_val_every_n_epoch=None,
        val_check_interval=config.val_every * config.accumulate if validating else None,
        limit_val_batches=None if validating else 0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=config.progress,
    )


@contextmanager
def _listening_as_before() -> Iterator[None]:
    """Whatever listened to signals does so again afterwards: a run that fails leaves Lightning's handlers behind."""
    alone = threading.current_thread() is threading.main_thread()  # which alone may listen
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if alone else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice on things that were decided here."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
