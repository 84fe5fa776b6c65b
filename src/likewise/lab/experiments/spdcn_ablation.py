"""What each part of SPDCN adds: the scale prior's two embeddings, and the loss, with everything else the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Dataset

from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.data.counting.transforms import Crop, TrainCrop
from likewise.data.development import imagenet_trunk
from likewise.data.infinite import MixedDataset
from likewise.engine.config import Precision, TrainConfig
from likewise.engine.count_eval import evaluate
from likewise.engine.train import train
from likewise.lab.experiments.error_table import write_error_table
from likewise.predict import Counter
from likewise.registry import preset

#: Row of the table -> what differs from spdcn-lite; no row uses the count terms that the paper does not have.
ROWS: dict[str, dict[str, Any]] = {
    "no scale prior, scale-sensitive loss": {"scale_prior": "none"},
    "local offsets only, scale-sensitive loss": {"scale_prior": "local"},
    "local and global offsets, scale-sensitive loss": {},
    "local and global offsets, generalised loss": {"scale_sensitive": False},
    "local and global offsets, L2 loss": {"loss": "l2", "loss_stride": 2},
}


@dataclass(frozen=True, kw_only=True)
class SpdcnAblation(TrainConfig):
    """Settings of every row.

    Attributes:
        data: folder with ``weights/mobilenetv2_100.safetensors``.
        scenes: rendered training scenes of 4x scale variation.
        val_scenes: the same of kinds never trained on.
        out: gets a folder a row, and ``table.md``.
        limit: how many val scenes are counted.
        crop_size: side of the training crops.
    """

    data: Path
    scenes: Path
    val_scenes: Path
    out: Path = Path("runs/spdcn-ablation")
    limit: int = 100
    crop_size: int = 192
    steps: int = 300
    batch_size: int = 8
    lr: float = 1e-3
    warmup: int = 20
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    clip: float = 1.0
    ema: float = 0.98
    precision: Precision = "auto"
    channels_last: bool = True


def spdcn_ablation(config: SpdcnAblation) -> Path:
    """Train spdcn-lite five times with the same budget and count scenes of 4x scale variation with each.

    Command:
        likewise data synth -n 400 -o wide --preset wide-scale --seed 3
        likewise data synth -n 100 -o wide-val --preset wide-scale --seed 4 --split val
        likewise train spdcn-ablation --data DATA --scenes wide --val-scenes wide-val
    Time: about 20 minutes on two CPU cores.
    Score: the table in docs/results.md.
    """
    scenes = CountingFolder(config.scenes, targets="all")
    val = CountingFolder(config.val_scenes)
    rows = []
    trained = f"{config.steps} steps of {config.batch_size} crops, seed {config.seed}"
    remark = f"{trained}; {config.limit} val scenes at most."
    for name, changes in ROWS.items():
        folder = config.out / name.replace(", ", "-").replace(" ", "-")
        weights = _train(config, scenes, changes, folder)
        rows.append((name, evaluate(Counter.load(weights), val, config.limit).summary()))
        write_error_table(config.out / "table.md", remark, "spdcn-lite with", rows)
    return config.out / "table.md"


def _train(config: SpdcnAblation, scenes: Dataset[CountSample], changes: dict[str, Any], folder: Path) -> Path:
    lite = preset("spdcn-lite")
    base = replace(
        lite.config,
        negatives=False,
        loss="generalized",
        loss_solver="log",
        loss_stride=4,
        reach=5.0,
        count_weight=0.0,
        block_weight=0.0,
    )
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    model = lite.model(replace(base, **changes))
    model.load_trunk(imagenet_trunk(config.data))
    transform = TrainCrop(Crop(size=config.crop_size, object_size=base.inference.preprocess.object_size))
    return train(model, MixedDataset([scenes], None, config.seed, transform), None, config, folder)
