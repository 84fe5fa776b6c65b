"""FWB on PASCAL-5i and COCO-20i with the published settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torchvision.models import get_model_weights

from likewise.data.fewshot.coco20i import Coco20i
from likewise.data.fewshot.crops import EpisodeCrop, EpisodeCrops
from likewise.data.fewshot.episodes import Episodes
from likewise.data.fewshot.labelled import Labelled
from likewise.data.fewshot.pascal5i import Pascal5i
from likewise.engine.config import TrainConfig
from likewise.engine.train import train
from likewise.methods.fwb import FWB
from likewise.registry import preset

#: Model -> torchvision's name of its trunk.
TRUNKS = {"fwb": "resnet101", "fwb-vgg16": "vgg16_bn"}


@dataclass(frozen=True, kw_only=True)
class FwbBenchmark(TrainConfig):
    """Settings as published (Nguyen & Todorovic, ICCV 2019).

    Attributes:
        data: the set's folder.
        fold: which of the four folds is kept for testing.
        model: "fwb" (ResNet-101) or "fwb-vgg16".
        shots: examples of a training episode.
        out: the run's folder.
        pretrained: start the trunk from torchvision's ImageNet weights, downloaded on first use; without them the
            network starts from nothing, which is not what was published.
        crop_size: side of the training crops.
    """

    data: Path
    fold: int = 0
    model: Literal["fwb", "fwb-vgg16"] = "fwb"
    shots: int = 1
    out: Path = Path("runs/fwb")
    pretrained: bool = True
    crop_size: int = 512
    steps: int = 10_000
    batch_size: int = 8
    optimizer: Literal["adamw", "sgd"] = "sgd"
    lr: float = 7e-3
    weight_decay: float = 5e-4
    schedule: Literal["constant", "cosine", "exponential"] = "constant"
    workers: int = 4


def fwb_pascal5i(config: FwbBenchmark) -> Path:
    """Train FWB on the 15 base classes of a fold of PASCAL-5i.

    Command: likewise train fwb-pascal5i --data PASCAL --fold 0 --out runs/fwb-pascal5i-0
    Time: not measured.
    Score: published mean IoU over the folds 56.2 with one shot, 59.9 with five (ResNet-101), with experts weighed by
    the query's own truth.

    Published are learning rate, batch, iterations and crops; momentum 0.9, weight decay 5e-4, the constant rate and how
    crops are cut are this recipe's.
    """
    return _train(config, Pascal5i(config.data, "train", config.fold, "base"))


def fwb_coco20i(config: FwbBenchmark) -> Path:
    """Train FWB on the 60 base classes of a fold of COCO-20i.

    Command: likewise train fwb-coco20i --data COCO --fold 0 --out runs/fwb-coco20i-0
    Time: not measured.
    Score: published mean IoU over the folds 21.2 with one shot, 23.7 with five, with experts weighed by the query's own
    truth.

    What was published and what is this recipe's is as for fwb-pascal5i.
    """
    return _train(config, Coco20i(config.data, "train", config.fold, "base"))


def _train(config: FwbBenchmark, labelled: Labelled) -> Path:
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    found = preset(config.model)
    model: FWB = found.model(found.config)
    if config.pretrained:
        model.load_trunk(get_model_weights(TRUNKS[config.model]).DEFAULT.get_state_dict(progress=True, check_hash=True))
    episodes = Episodes(labelled, config.shots, seed=config.seed)
    return train(model, EpisodeCrops([episodes], EpisodeCrop(size=config.crop_size)), None, config, config.out)
