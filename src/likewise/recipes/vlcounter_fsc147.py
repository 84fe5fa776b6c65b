"""VLCounter on FSC-147 with the published settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from likewise.data.counting.fsc147 import FSC147
from likewise.data.counting.transforms import Crop, SceneCrop
from likewise.data.infinite import ShuffledDataset, TransformedDataset
from likewise.engine.config import TrainConfig
from likewise.engine.train import train
from likewise.methods.vlcounter import VLCounter, ablated

#: Pictures in the train split: one a step.
EPOCH = 3659
#: A window of the picture at its published height, as it is.
WINDOW = Crop(size=384, jitter=(1.0, 1.0), turns=False, reflect=0.0, look=None)


@dataclass(frozen=True, kw_only=True)
class VlcounterFsc147(TrainConfig):
    """Settings as published (Kang et al., AAAI 2024).

    Attributes:
        data: the FSC-147 folder.
        out: the run's folder.
        row: of the paper's ablation: M1, VPT, M2, M3, M4, "M5" (all of VLCounter) or "M5 singular".
        pretrained: whether CLIP starts from OpenAI's weights, downloaded on first use; without them nothing can be
            learned, since CLIP is frozen.
        train_split: what is trained on.
        val_split: what is validated on.
    """

    data: Path
    out: Path = Path("runs/vlcounter-fsc147")
    row: str = "M5"
    pretrained: bool = True
    train_split: str = "train"
    val_split: str = "val"
    steps: int = 300 * EPOCH
    batch_size: int = 1
    seed: int = 42
    lr: float = 1e-4
    weight_decay: float = 1e-2
    schedule: Literal["constant", "cosine", "exponential"] = "constant"
    workers: int = 4
    checkpoint_every: int = EPOCH
    val_every: int = EPOCH


def vlcounter_fsc147(config: VlcounterFsc147) -> Path:
    """Train VLCounter on FSC-147's train split by class names, validating on val every epoch.

    Command: likewise train vlcounter-fsc147 --data FSC147 --out runs/vlcounter-fsc147
    Time: not measured.
    Score: published val MAE 18.06, RMSE 65.13, test MAE 17.05, RMSE 106.16; not repeated.

    Published numbers are of the epoch with the best validation MAE, whose weights are ``best.safetensors``.

    A picture, 384 pixels high, is shown as a random 384 x 384 window, a narrow one filled up with its edge or its mean
    colour; validation counts whole pictures. The published settings say nothing of colours, so they are left alone.
    """
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    model = VLCounter(ablated(config.row))
    if config.pretrained:
        model.load_clip()
    data = ShuffledDataset(FSC147(config.data, config.train_split), config.seed, SceneCrop(WINDOW))
    val = TransformedDataset(FSC147(config.data, config.val_split), config.seed, lambda sample, _: sample)
    return train(model, data, val, config, config.out)
