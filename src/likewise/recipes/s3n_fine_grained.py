"""S3N on CUB-200-2011, FGVC-Aircraft and Stanford Cars with the published settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from likewise.data.classification.dataset import FixedView, TrainView
from likewise.data.infinite import ShuffledDataset, TransformedDataset
from likewise.data.open_dataset import open_named
from likewise.engine.config import TrainConfig
from likewise.engine.recognize_train import epoch_steps
from likewise.engine.train import train
from likewise.methods.s3n import S3N, Branches, Config
from likewise.methods.s3n.trunk import imagenet_weights
from likewise.preprocess.square_view import SquareCrop
from likewise.weights import read_foreign

#: timm's name of the ImageNet weights that torchvision publishes for ResNet-50.
RESNET50 = "resnet50.tv_in1k"


@dataclass(frozen=True, kw_only=True)
class S3nCub(TrainConfig):
    """Settings as published (Ding et al., ICCV 2019).

    Attributes:
        data: the set's folder.
        out: the run's folder.
        trunk: ResNet-50's ImageNet weights, torchvision's file; None: downloaded on first use.
        train_split: what is trained on.
        val_split: what is validated on.
        branches: which sampled pictures are looked at; "none" is the plain trunk, the baseline.
        epochs: how often every training picture is seen; ``steps`` follows from it where it is not given.
    """

    data: Path
    out: Path = Path("runs/s3n-cub")
    trunk: Path | None = None
    train_split: str = "train"
    val_split: str = "test"
    branches: Branches = "both"
    epochs: float = 60
    steps: int = 0
    batch_size: int = 16
    optimizer: Literal["adamw", "sgd"] = "sgd"
    lr: float = 1e-2  # of what is new; the trunk's is a tenth
    weight_decay: float = 1e-4
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    workers: int = 8
    val_every: int = 1000
    val_batch_size: int = 16

    def __post_init__(self) -> None:
        """As in `TrainConfig`; steps that are not given are those of the epochs."""
        if not self.steps:
            steps = epoch_steps(self.epochs, self.data, self.train_split, self.batch_size)
            object.__setattr__(self, "steps", steps)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class S3nAircraft(S3nCub):
    """As `S3nCub`; trained on ``trainval``."""

    out: Path = Path("runs/s3n-aircraft")
    train_split: str = "trainval"


@dataclass(frozen=True, kw_only=True)
class S3nCars(S3nCub):
    """As `S3nCub`."""

    out: Path = Path("runs/s3n-cars")


def s3n_cub(config: S3nCub) -> Path:
    """Train S3N (ResNet-50, 448 pixels) on CUB-200-2011 as its authors did.

    Command: likewise train s3n-cub --data CUB_200_2011
    Time: not measured; it needs a GPU.
    Score: published top-1 on test 88.5 %, repeated by others at 87.4 to 87.8 % over a baseline of 85.9 %; not repeated
    here.

    With --branches none it is the plain trunk. The learning rates fall along a cosine; how they fell in the published
    runs is not known here.
    """
    return _train(config)


def s3n_aircraft(config: S3nAircraft) -> Path:
    """Train S3N (ResNet-50, 448 pixels) on FGVC-Aircraft's 100 variants as its authors did.

    Command: likewise train s3n-aircraft --data fgvc-aircraft-2013b
    Time: not measured; it needs a GPU.
    Score: published top-1 on test 92.8 %; not repeated here.

    See s3n-cub.
    """
    return _train(config)


def s3n_cars(config: S3nCars) -> Path:
    """Train S3N (ResNet-50, 448 pixels) on Stanford Cars as its authors did.

    Command: likewise train s3n-cars --data stanford_cars
    Time: not measured; it needs a GPU.
    Score: published top-1 on test 94.7 %; not repeated here.

    See s3n-cub.
    """
    return _train(config)


def _train(config: S3nCub) -> Path:
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    pictures = open_named(config.data, config.train_split)
    numbers = replace(Config(), classes=len(pictures.labels), labels=pictures.labels, branches=config.branches)
    model = S3N(numbers)
    model.load_trunk(imagenet_weights(RESNET50) if config.trunk is None else read_foreign(config.trunk))
    data = ShuffledDataset(pictures, config.seed, TrainView(SquareCrop(size=numbers.view.size)))
    held = open_named(config.data, config.val_split).relabelled(pictures.labels)
    return train(model, data, TransformedDataset(held, 0, FixedView(numbers.view)), config, config.out)
