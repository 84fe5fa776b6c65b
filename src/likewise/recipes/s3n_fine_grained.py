"""S3N on CUB-200-2011, FGVC-Aircraft and Stanford Cars, with the settings published for the first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from likewise.data.classification.dataset import FixedView, TrainView
from likewise.data.infinite import ShuffledDataset, TransformedDataset
from likewise.data.open_dataset import open_named
from likewise.engine.config import Schedule, TrainConfig
from likewise.engine.published import Setting, default
from likewise.engine.recognize_train import epoch_steps
from likewise.engine.train import train
from likewise.methods.s3n import S3N, Branches, Config
from likewise.nn.spatial_trunk import imagenet_weights
from likewise.preprocess.square_view import SquareCrop, SquareView
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
    lr: float = 1e-2  # of the classifiers; other parts have shares of it, in the network's config
    weight_decay: float = 1e-4
    schedule: Schedule = "multistep"
    milestones: tuple[float, ...] = (40 / 60,)
    decay: float = 0.1
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


def _rate(epoch: float) -> float:
    """The factor on the rates in an epoch of a run of 60."""
    return S3nCub(data=Path(), steps=6000).rate(round(100 * epoch))


def _share(name: str) -> float:
    """The learning rate of a part of the network."""
    share: float = getattr(Config(), name)
    return S3nCub.lr * share


_PAPER, _CODE, _YML = "Ding et al., ICCV 2019", "the authors' repository", "demo/cub_s3n.yml"

#: Of CUB; the other sets' recipes have the same settings.
PUBLISHED = (
    Setting("optimiser", "sgd", _PAPER, default(S3nCub, "optimizer")),
    Setting("momentum", 0.9, _PAPER, default(S3nCub, "momentum")),
    Setting("weight decay", 1e-4, _PAPER, default(S3nCub, "weight_decay")),
    Setting("pictures a batch", 16, _PAPER, default(S3nCub, "batch_size")),
    Setting("epochs", 60, _YML, default(S3nCub, "epochs")),
    Setting("rate of the classifiers", 1e-2, _CODE, default(S3nCub, "lr")),
    Setting("rate of the trunk", 1e-3, _CODE, lambda: _share("trunk_rate")),
    Setting("rate of the branches' 3x3 convolutions", 1e-3, f"{_CODE}: base_lr", lambda: _share("branch_rate")),
    Setting(
        "rate of the radii", 1e-7, f"{_CODE}: 0.0001 x 1e-3", lambda: _share("trunk_rate") / Config().radius_slowdown
    ),
    Setting("rates' factor in epoch 39", 1.0, _YML, lambda: _rate(39.5)),
    Setting("rates' factor in epoch 40", 0.1, _YML, lambda: _rate(40)),
    Setting("epochs of the first stage", 21, _CODE, lambda: 60 * Config().first_stage),
    Setting(
        name="early validation as in training",
        published=True,
        source=_CODE,
        ours=lambda: Config().early_validation,
    ),
    Setting("label smoothing", 0.15, _PAPER, lambda: Config().smoothing),
    Setting("radii at the start", (0.09, 0.3), _CODE, lambda: Config().radii),
    Setting("classes ranked by", "maps", _CODE, lambda: Config().ranking),
    Setting(
        name="grid's corners on pixels' centres",
        published=True,
        source="README (PyTorch 0.4.1)",
        ours=lambda: Config().aligned,
    ),
    Setting("crops' share of the area", (0.5, 1.0), _CODE, default(SquareCrop, "area")),
    Setting("pixels a side", 448, _PAPER, lambda: Config().view.size),
    Setting(
        name="test picture squeezed to 600 x 600",
        published=True,
        source=f"{_YML}, datasets.py",
        ours=default(SquareView, "squeezed"),
    ),
    Setting("test picture's middle", 448 / 600, f"{_YML}, datasets.py", default(SquareView, "share")),
)


def s3n_cub(config: S3nCub) -> Path:
    """Train S3N (ResNet-50, 448 pixels) on CUB-200-2011 with the published settings.

    Command: likewise train s3n-cub --data CUB_200_2011
    Time: not measured; it needs a GPU.
    Score: published top-1 on test 88.5 %, repeated by others at 87.4 to 87.8 % over a baseline of 85.9 %; not repeated
    here.

    With --branches none it is the plain trunk. What was published and what this does: likewise train s3n-cub
    --published, and docs/methods/s3n.md. A run of other --epochs has its stages at the same shares.
    """
    return _train(config)


def s3n_aircraft(config: S3nAircraft) -> Path:
    """Train S3N (ResNet-50, 448 pixels) on FGVC-Aircraft's 100 variants, with the settings published for CUB.

    Command: likewise train s3n-aircraft --data fgvc-aircraft-2013b
    Time: not measured; it needs a GPU.
    Score: published top-1 on test 92.8 %; not repeated here.

    See s3n-cub.
    """
    return _train(config)


def s3n_cars(config: S3nCars) -> Path:
    """Train S3N (ResNet-50, 448 pixels) on Stanford Cars, with the settings published for CUB.

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
