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
from likewise.engine.published import Setting, default
from likewise.engine.train import train
from likewise.methods.spdcn import SPDCN, Config
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
        to_pixels: exemplars and points are brought to whole pixels of the canvas, and two points in one are one, as
            published; see `FSC147Canvas`.
        exemplars: at most so many of a picture's exemplars are its prompt, the first ones; 0: all.
    """

    data: Path
    out: Path = Path("runs/spdcn-fsc147")
    trunk: Path | None = None
    train_split: str = "train"
    val_split: str = "val"
    to_pixels: bool = True
    exemplars: int = 3
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


def _decays() -> tuple[float, ...]:
    """The weight decays of parameters with one dimension, whatever the network's size."""
    config = SpdcnFsc147(data=Path())
    optimizer = config.optimizer_for(SPDCN(Config(channels=8, decoder=((64, 8),))).parameter_groups(config.lr))
    return tuple({group["weight_decay"] for group in optimizer.param_groups for p in group["params"] if p.dim() == 1})


_PAPER, _CODE = "Lin et al., BMVC 2022", "the authors' repository"

PUBLISHED = (
    Setting("canvas", (384, 576), f"{_CODE}: datasets/gendata384x576.py", lambda: FSC147Canvas().size),
    Setting("sides are multiples of", 16, f"{_CODE}: datasets/gendata384x576.py", lambda: FSC147Canvas().multiple),
    Setting(
        name="boxes and dots at whole pixels, merged",
        published=True,
        source=f"{_CODE}: datasets/gendata384x576.py",
        ours=default(SpdcnFsc147, "to_pixels"),
    ),
    Setting("optimiser", "adamw", _CODE, default(SpdcnFsc147, "optimizer")),
    Setting("rate", 5e-5, _CODE, default(SpdcnFsc147, "lr")),
    Setting("weight decay", 0.95, _CODE, default(SpdcnFsc147, "weight_decay")),
    Setting("weight decay of one-dimensional parameters", (0.0,), f"{_CODE}: optimizer.py", _decays),
    Setting("rate's factor an epoch", 0.95, _CODE, default(SpdcnFsc147, "decay")),
    Setting("largest norm of the gradient", 5.0, _CODE, default(SpdcnFsc147, "clip")),
    Setting("pictures a batch", 16, _CODE, default(SpdcnFsc147, "batch_size")),
    Setting("epochs", 100, _CODE, lambda: SpdcnFsc147(data=Path()).steps / EPOCH),
    Setting("seed", 0, _CODE, default(SpdcnFsc147, "seed")),
    Setting("mean colour", (0.5635, 0.5066, 0.4591), _CODE, lambda: Config().inference.preprocess.mean),
    Setting("its standard deviation", (0.2839, 0.2805, 0.3042), _CODE, lambda: Config().inference.preprocess.std),
    Setting("decoder's standard deviation at the start", 0.005, _CODE, default(Config, "decoder_std")),
    Setting("density is predicted times", 128.0, _CODE, default(Config, "density_factor")),
    Setting("transport solver", "reference", _CODE, default(Config, "loss_solver")),
    Setting("reach", 0.5, _CODE, default(Config, "reach")),
    Setting("dots of the loss", "pixels", _CODE, default(Config, "dots")),
    Setting("exemplars", 3, _PAPER, default(SpdcnFsc147, "exemplars")),
    Setting("exemplars in evaluation", 3, _PAPER, lambda: SPDCN.protocols[Config().inference.protocol].exemplars),
)


def spdcn_fsc147(config: SpdcnFsc147) -> Path:
    """Train SPDCN (VGG-19) on FSC-147's train split as its authors did, validating on val every epoch.

    Command: likewise train spdcn-fsc147 --data FSC147 --trunk vgg19-dcbb9e9d.pth --out runs/spdcn-fsc147
    Time: not measured.
    Score: published val MAE 14.59, RMSE 49.97 (14.31 and 48.91 in the authors' log); not repeated.

    Published numbers are of the epoch with the best validation MAE, whose weights are ``best.safetensors``. What was
    published and what this does: likewise train spdcn-fsc147 --published, and docs/methods/spdcn.md.

    Each picture is laid on the published canvas of 384 x 576; its exemplars, at most three, are the prompt.
    """
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    model = preset("spdcn").build()
    if config.trunk is not None:
        model.load_trunk(read_foreign(config.trunk))  # type: ignore[operator]  # every SPDCN has it
    canvas = FSC147Canvas(to_pixels=config.to_pixels, exemplars=config.exemplars)
    data = ShuffledDataset(FSC147(config.data, config.train_split), config.seed, canvas)
    val = TransformedDataset(FSC147(config.data, config.val_split), config.seed, canvas)
    return train(model, data, val, config, config.out)
