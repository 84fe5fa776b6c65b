"""SPDCN on FSC-147 with the published settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from likewise.data.counting.canvas import FSC147Canvas
from likewise.data.counting.fsc147 import FSC147
from likewise.data.infinite import ShuffledDataset, TransformedDataset
from likewise.engine.config import TrainConfig
from likewise.engine.train import train
from likewise.registry import preset
from likewise.weights import read_foreign

#: Batches of 16 in the 3 659 training pictures.
EPOCH = 229


@dataclass(frozen=True, kw_only=True)
class SpdcnFsc147(TrainConfig):
    """Settings as published (Lin et al., BMVC 2022).

    Attributes:
        data: the FSC-147 folder.
        out: the run's folder.
        trunk: VGG-19's ImageNet weights, torchvision's ``vgg19`` file; None: the network starts from nothing, which
            is not what was published.
        train_split: what is trained on.
        val_split: what is validated on.
    """

    data: Path
    out: Path = Path("runs/spdcn-fsc147")
    trunk: Path | None = None
    train_split: str = "train"
    val_split: str = "val"
    steps: int = 100 * EPOCH
    batch_size: int = 16
    seed: int = 0
    lr: float = 5e-5
    weight_decay: float = 0.95  # as published; AdamW's usual value is 0.01
    schedule: Literal["constant", "cosine", "exponential"] = "exponential"
    decay: float = 0.95
    decay_every: int = EPOCH
    clip: float = 5.0
    workers: int = 4
    checkpoint_every: int = EPOCH
    val_every: int = EPOCH


def spdcn_fsc147(config: SpdcnFsc147) -> Path:
    """Train SPDCN (VGG-19) on FSC-147's train split as its authors did, validating on val every epoch.

    Command: likewise train spdcn-fsc147 --data FSC147 --trunk vgg19-dcbb9e9d.pth --out runs/spdcn-fsc147
    Time: not measured.
    Score: published val MAE 14.59, RMSE 49.97 (14.31 and 48.91 in the authors' log); not repeated.

    Published numbers are of the epoch with the best validation MAE, whose weights are ``best.safetensors``.

    Each picture is shrunk to fit 384 x 576 and centred on black; its three exemplars are the prompt.
    """
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    model = preset("spdcn").build()
    if config.trunk is not None:
        model.load_trunk(read_foreign(config.trunk))  # type: ignore[operator]  # every SPDCN has it
    canvas = FSC147Canvas()
    data = ShuffledDataset(FSC147(config.data, config.train_split), config.seed, canvas)
    val = TransformedDataset(FSC147(config.data, config.val_split), config.seed, canvas)
    return train(model, data, val, config, config.out)
