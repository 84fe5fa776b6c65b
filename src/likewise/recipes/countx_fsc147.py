"""CounTX on FSC-147 and FSC-147-D with the published settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from likewise.data.counting.countr_augment import Augmentation, AugmentedDataset
from likewise.data.counting.fsc147 import FSC147
from likewise.engine.config import TrainConfig
from likewise.engine.train import train
from likewise.registry import preset

#: Batches of 8 in the 3 659 training pictures.
EPOCH = 457


@dataclass(frozen=True, kw_only=True)
class CountxFsc147(TrainConfig):
    """Settings as published (Amini-Naieni et al., BMVC 2023).

    Attributes:
        data: the FSC-147 folder, with FSC-147-D.json.
        out: the run's folder.
        pretrained: start from LAION's CLIP, downloaded on first use; without it the network starts from nothing, which
            is not what was published.
        prompts: what is asked for: FSC-147-D's descriptions ("the strawberries"), or the classes' names.
        train_split: what is trained on.
        val_split: what is validated on.
    """

    data: Path
    out: Path = Path("runs/countx-fsc147")
    pretrained: bool = True
    prompts: Literal["texts", "classes"] = "texts"
    train_split: str = "train"
    val_split: str = "val"
    steps: int = 1000 * EPOCH
    batch_size: int = 8
    seed: int = 0
    lr: float = 6.25e-6
    weight_decay: float = 0.05
    beta2: float = 0.95
    warmup: int = 10 * EPOCH
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    final: float = 0.0
    workers: int = 4
    checkpoint_every: int = EPOCH
    val_every: int = EPOCH


def countx_fsc147(config: CountxFsc147) -> Path:
    """Train CounTX on FSC-147's train split as its authors did, validating on val every epoch.

    Command: likewise train countx-fsc147 --data FSC147 --out runs/countx-fsc147
    Time: not measured.
    Score: published val MAE 17.10, RMSE 65.61, test 15.88 and 106.29 with descriptions (test 15.73 and 106.88 with
        ``--prompts classes``); not repeated.

    Published numbers are of the epoch with the best validation MAE, whose weights are ``best.safetensors``.

    Pictures are augmented as CounTR's are (`likewise.data.counting.countr_augment`); CLIP's text tower stays as it is.
    How the rate falls after the warm-up is not published: a cosine here.
    """
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    found = preset("countx")
    model = found.build()
    if config.pretrained:
        model.load_clip()  # type: ignore[operator]  # every CounTX has it
    learnt = FSC147(config.data, config.train_split, prompts=config.prompts)
    data = AugmentedDataset(learnt, config.seed, Augmentation(side=found.config.window))
    val = FSC147(config.data, config.val_split, prompts=config.prompts)
    return train(model, data, val, config, config.out)
