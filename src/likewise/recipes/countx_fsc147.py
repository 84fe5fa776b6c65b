"""CounTX on FSC-147 and FSC-147-D with the published settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from likewise.data.counting.countr_augment import Augmentation, AugmentedDataset
from likewise.data.counting.fsc147 import FSC147
from likewise.engine.config import Schedule, TrainConfig
from likewise.engine.published import Setting, default
from likewise.engine.train import train
from likewise.methods.countx import Config, CounTX
from likewise.ops.density.windows import WindowBlend
from likewise.registry import preset

#: Batches of 8 in the 3 659 training pictures.
EPOCH = 457


@dataclass(frozen=True, kw_only=True)
class CountxFsc147(TrainConfig):
    """Settings as published (Amini-Naieni et al., BMVC 2023), as far as they were.

    Attributes:
        data: the FSC-147 folder, with FSC-147-D.json.
        out: the run's folder.
        pretrained: start from LAION's CLIP, downloaded on first use; without it the network starts from nothing, which
            is not what was published.
        prompts: what is asked for: FSC-147-D's descriptions ("the strawberries"), or the classes' names.
        blend: how the windows of a validated picture are put together; it stays with the weights.
        train_split: what is trained on.
        val_split: what is validated on.
    """

    data: Path
    out: Path = Path("runs/countx-fsc147")
    pretrained: bool = True
    prompts: Literal["texts", "classes"] = "texts"
    blend: WindowBlend = "paper"
    train_split: str = "train"
    val_split: str = "val"
    steps: int = 1000 * EPOCH
    batch_size: int = 8
    seed: int = 0
    lr: float = 6.25e-6
    weight_decay: float = 0.05
    beta2: float = 0.95
    warmup: int = 10 * EPOCH
    schedule: Schedule = "half-cosine"
    final: float = 0.0
    workers: int = 4
    checkpoint_every: int = EPOCH
    val_every: int = EPOCH


_PAPER, _CODE = "Amini-Naieni et al., BMVC 2023, and its repository", "the authors' repository"


def _rate(epoch: float) -> float:
    """The factor on the rate in an epoch of 1000."""
    return CountxFsc147(data=Path()).rate(round(EPOCH * epoch))


def _decay_of_vectors() -> float:
    return CountxFsc147.weight_decay if Config().decay_vectors else 0.0


PUBLISHED = (
    Setting("optimiser", "adamw", _PAPER, default(CountxFsc147, "optimizer")),
    Setting("second beta", 0.95, _PAPER, default(CountxFsc147, "beta2")),
    Setting("rate", 6.25e-6, _PAPER, default(CountxFsc147, "lr")),
    Setting("weight decay", 0.05, _PAPER, default(CountxFsc147, "weight_decay")),
    Setting("weight decay of one-dimensional parameters", 0.0, _CODE, _decay_of_vectors),
    Setting("pictures a batch", 8, _PAPER, default(CountxFsc147, "batch_size")),
    Setting("epochs", 1000, _PAPER, lambda: CountxFsc147.steps / EPOCH),
    Setting("rate's factor at the first step", 0.0, _CODE, lambda: _rate(0)),
    Setting("rate's factor after 5 epochs", 0.5, f"{_PAPER}: 10 epochs of warm-up", lambda: _rate(5)),
    Setting("rate's factor after 10 epochs", 1.0, _CODE, lambda: _rate(10)),
    Setting("rate's factor after 505 epochs", 0.5, f"{_CODE}: half a cosine", lambda: _rate(505)),
    Setting("share of the pixels in the loss", 0.8, _CODE, lambda: Config().loss_share),
    Setting("density's unit", 60.0, _PAPER, lambda: Config().density_factor),
    Setting("bumps stand at the dots'", "pixels", _CODE, lambda: Config().dots),
    Setting("pixels a side", 384, _PAPER, lambda: Config().window),
    Setting("pixels a side that CLIP sees", 224, _PAPER, lambda: Config().clip.image_size),
    Setting("smallest share in mosaics, below 70 objects", 0.65, _CODE, default(Augmentation, "sparse_piece")),
    Setting("objects from which mosaics are of one picture", 70, _CODE, default(Augmentation, "crowded")),
    Setting("prompts", "texts", _PAPER, default(CountxFsc147, "prompts")),
    Setting("windows' stride in validation", 128, _PAPER, lambda: Config().stride),
    Setting("windows' blend in validation", "paper", _PAPER, default(CountxFsc147, "blend")),
)


def countx_fsc147(config: CountxFsc147) -> Path:
    """Train CounTX on FSC-147's train split with the published settings, validating on val every epoch.

    Command: likewise train countx-fsc147 --data FSC147 --out runs/countx-fsc147
    Time: not measured.
    Score: published val MAE 17.10, RMSE 65.61, test 15.88 and 106.29 with descriptions (test 15.73 and 106.88 with
        ``--prompts classes``); not repeated.

    Published numbers are of the epoch with the best validation MAE, whose weights are ``best.safetensors``.

    Pictures are augmented as CounTR's are (`likewise.data.counting.countr_augment`); CLIP's text tower stays as it is.
    What was published and what this does: likewise train countx-fsc147 --published, and docs/methods/countx.md.
    """
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    found = preset("countx")
    model = CounTX(replace(found.config, blend=config.blend))
    if config.pretrained:
        model.load_clip()
    learnt = FSC147(config.data, config.train_split, prompts=config.prompts)
    data = AugmentedDataset(learnt, config.seed, Augmentation(side=found.config.window))
    val = FSC147(config.data, config.val_split, prompts=config.prompts)
    return train(model, data, val, config, config.out)
