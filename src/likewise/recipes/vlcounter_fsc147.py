"""VLCounter on FSC-147 with the published settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from likewise.data.counting.countr_augment import Augmentation, AugmentedDataset
from likewise.data.counting.fsc147 import FSC147
from likewise.data.infinite import TransformedDataset
from likewise.engine.config import Schedule, TrainConfig
from likewise.engine.published import Setting, default
from likewise.engine.train import train
from likewise.methods.vlcounter import Config, VLCounter, ablated
from likewise.methods.vlcounter.prompts import SINGULAR_TEMPLATES, TEMPLATES
from likewise.ops.density.windows import WindowBlend

#: Pictures in the train split: one a step.
EPOCH = 3659


@dataclass(frozen=True, kw_only=True)
class VlcounterFsc147(TrainConfig):
    """Settings as published (Kang et al., AAAI 2024), as far as they were.

    Attributes:
        data: the FSC-147 folder.
        out: the run's folder.
        row: of the paper's ablation: M1, VPT, M2, M3, M4, "M5" (all of VLCounter) or "M5 singular".
        pretrained: whether CLIP starts from OpenAI's weights, downloaded on first use; without them nothing can be
            learned, since CLIP is frozen.
        varied: share of the pictures that get noise, other colours, blur, an affine map and perhaps a mirror image.
        blend: how the windows of a validated picture are put together; it stays with the weights.
        train_split: what is trained on.
        val_split: what is validated on.
    """

    data: Path
    out: Path = Path("runs/vlcounter-fsc147")
    row: str = "M5"
    pretrained: bool = True
    varied: float = 0.4
    blend: WindowBlend = "paper"
    train_split: str = "train"
    val_split: str = "val"
    steps: int = 300 * EPOCH
    batch_size: int = 1
    seed: int = 42
    lr: float = 1e-4
    weight_decay: float = 1e-2
    schedule: Schedule = "constant"
    workers: int = 4
    checkpoint_every: int = EPOCH
    val_every: int = EPOCH


def augmentation(config: VlcounterFsc147) -> Augmentation:
    """What is done to the training pictures: as for CounTX, without mosaics."""
    return Augmentation(side=384, mosaic=0.0, vary=config.varied)


_PAPER, _CODE = "Kang et al., AAAI 2024, and its repository", "the authors' repository"


def _shown() -> Augmentation:
    return augmentation(VlcounterFsc147(data=Path()))


PUBLISHED = (
    Setting("optimiser", "adamw", _PAPER, default(VlcounterFsc147, "optimizer")),
    Setting("rate", 1e-4, _PAPER, default(VlcounterFsc147, "lr")),
    Setting("weight decay", 1e-2, _PAPER, default(VlcounterFsc147, "weight_decay")),
    Setting("pictures a batch", 1, _PAPER, default(VlcounterFsc147, "batch_size")),
    Setting("epochs", 300, _PAPER, lambda: VlcounterFsc147.steps / EPOCH),
    Setting("seed", 42, _PAPER, default(VlcounterFsc147, "seed")),
    Setting("pixels a side", 384, _PAPER, lambda: _shown().side),
    Setting("share of pictures that are varied", 0.4, _CODE, lambda: _shown().vary),
    Setting("mosaics", 0.0, _CODE, lambda: _shown().mosaic),
    Setting("prompt tokens a block", 10, _PAPER, lambda: Config().prompt_tokens),
    Setting("prompt tokens begin within", 0.0625, _CODE, lambda: Config().prompt_init),
    Setting("dropout of prompts and of the name", 0.1, f"{_CODE}: ViT_Encoder_add.py", lambda: Config().prompt_dropout),
    Setting("density's unit", 60.0, _PAPER, lambda: Config().density_factor),
    Setting("sigma of the targets, pixels", 3.0, _PAPER, lambda: Config().sigma),
    Setting("bumps stand at the dots'", "pixels", _CODE, lambda: Config().dots),
    Setting("weight of the rank-aware loss", 1e-6, _PAPER, lambda: Config().rank_weight),
    Setting("rank-aware loss", "reference", _PAPER, lambda: Config().rank_form),
    Setting("sentences in the plural", 11, _PAPER, lambda: len(TEMPLATES)),
    Setting("sentences in the singular", 15, _CODE, lambda: len(SINGULAR_TEMPLATES)),
    Setting("windows' stride in validation", 128, _PAPER, lambda: Config().stride),
    Setting("windows' blend in validation", "paper", _PAPER, default(VlcounterFsc147, "blend")),
)


def vlcounter_fsc147(config: VlcounterFsc147) -> Path:
    """Train VLCounter on FSC-147's train split by class names, validating on val every epoch.

    Command: likewise train vlcounter-fsc147 --data FSC147 --out runs/vlcounter-fsc147
    Time: not measured.
    Score: published val MAE 18.06, RMSE 65.13, test MAE 17.05, RMSE 106.16; not repeated.

    Published numbers are of the epoch with the best validation MAE, whose weights are ``best.safetensors``.

    A picture is shown as a random 384 x 384 window of it, 384 pixels high; validation counts whole pictures. What was
    published and what this does: likewise train vlcounter-fsc147 --published, and docs/methods/vlcounter.md.
    """
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    model = VLCounter(replace(ablated(config.row), blend=config.blend))
    if config.pretrained:
        model.load_clip()
    data = AugmentedDataset(FSC147(config.data, config.train_split), config.seed, augmentation(config))
    val = TransformedDataset(FSC147(config.data, config.val_split), config.seed, lambda sample, _: sample)
    return train(model, data, val, config, config.out)
