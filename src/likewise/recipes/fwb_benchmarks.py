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
from likewise.engine.config import Schedule, TrainConfig
from likewise.engine.published import Setting, default
from likewise.engine.train import train
from likewise.methods.fwb import FWB, Config
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
        crop_size: side of the training crops: of pictures in their own size, in the middle of their mean colour where
            those are smaller.
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
    weight_decay: float = 1e-4
    schedule: Schedule = "poly"
    power: float = 0.9
    workers: int = 4


def crop_of(config: FwbBenchmark) -> EpisodeCrop:
    """How training crops are cut: padded, and neither rescaled nor mirrored; of an example a pixel is enough."""
    mean = Config().preprocess.mean
    colour = (round(255 * mean[0]), round(255 * mean[1]), round(255 * mean[2]))  # 0 for the network
    return EpisodeCrop(size=config.crop_size, scale=None, mirror=False, least=0.0, outside=colour, centred=True)


_PAPER, _CODE = "Nguyen & Todorovic, ICCV 2019", "the authors' repository"

PUBLISHED = (
    Setting("optimiser", "sgd", _PAPER, default(FwbBenchmark, "optimizer")),
    Setting("learning rate", 7e-3, _PAPER, default(FwbBenchmark, "lr")),
    Setting(
        "rate's factor half way", 0.5**0.9, f"{_CODE}: (1 - i / n)^0.9", lambda: FwbBenchmark(data=Path()).rate(5000)
    ),
    Setting("weight decay", 1e-4, "main_official.py", default(FwbBenchmark, "weight_decay")),
    Setting("episodes a batch", 8, _PAPER, default(FwbBenchmark, "batch_size")),
    Setting("iterations", 10_000, _PAPER, default(FwbBenchmark, "steps")),
    Setting("pixels a crop's side", 512, _PAPER, default(FwbBenchmark, "crop_size")),
    Setting("crops' scale", None, _CODE, lambda: crop_of(FwbBenchmark(data=Path())).scale),
    Setting(
        name="crops mirrored",
        published=False,
        source="pascal.py, coco.py",
        ours=lambda: crop_of(FwbBenchmark(data=Path())).mirror,
    ),
    Setting(
        name="smaller pictures in the crop's middle",
        published=True,
        source="utils.py",
        ours=lambda: crop_of(FwbBenchmark(data=Path())).centred,
    ),
    Setting("colour round them", (124, 116, 104), "utils.py", lambda: crop_of(FwbBenchmark(data=Path())).outside),
    Setting("momentum", 0.9, "main_official.py", default(FwbBenchmark, "momentum")),
    Setting("batch norms", "batch", "train_official.sh, which has no --freeze_bn", lambda: Config().norms),
    Setting("pixels labelled 255", "background", _CODE, lambda: Config().unlabelled),
    Setting(
        name="gradient by way of the support",
        published=False,
        source="few_shot_model.py, forward_train",
        ours=lambda: Config().support_gradient,
    ),
    Setting("standard deviation of the head's first weights", 0.042, _CODE, lambda: Config().head_std),
    Setting("standard deviation of its last weights", 1.0, _CODE, lambda: Config().logit_std),
    Setting("shots", "sum", _CODE, lambda: Config().shots),
    Setting("steps of boosting", 10, _PAPER, lambda: Config().boosting),
    Setting("rate of boosting", 1e-2, _PAPER, lambda: Config().boosting_lr),
    Setting(
        "experts weighed by",
        "the query's truth",
        "the authors' evaluation script",
        lambda: "the support",
        "nobody has the query's truth outside of an evaluation",
    ),
)


def fwb_pascal5i(config: FwbBenchmark) -> Path:
    """Train FWB on the 15 base classes of a fold of PASCAL-5i.

    Command: likewise train fwb-pascal5i --data PASCAL --fold 0 --out runs/fwb-pascal5i-0
    Time: not measured.
    Score: published mean IoU over the folds 56.2 with one shot, 59.9 with five (ResNet-101), with experts weighed by
    the query's own truth.

    What was published and what this does: likewise train fwb-pascal5i --published, and docs/methods/fwb.md.
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
        weights = get_model_weights(TRUNKS[config.model])["IMAGENET1K_V1"]  # there were no others in 2019
        model.load_trunk(weights.get_state_dict(progress=True, check_hash=True))
    episodes = Episodes(labelled, config.shots, seed=config.seed)
    return train(model, EpisodeCrops([episodes], crop_of(config)), None, config, config.out)
