"""fwb-lite, the bundled segmenter: clothing and rendered scenes, on ImageNet's MobileNetV2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from likewise.data.development import imagenet_trunk
from likewise.data.fewshot.crops import EpisodeCrop, EpisodeCrops
from likewise.data.fewshot.episodes import Episodes
from likewise.data.fewshot.labelled import LabelFolder, Labelled
from likewise.engine.config import Precision, TrainConfig
from likewise.engine.train import train
from likewise.engine.unbatched import train_unbatched
from likewise.methods.fwb import FWB, FWB_LITE, Config
from likewise.methods.fwb.frozen_trunk import CachedEpisodes, CachedFeatures, start_projection
from likewise.scenes.config import SceneConfig
from likewise.scenes.episodes import SceneMasks
from likewise.weights import read_checkpoint, save_checkpoint


@dataclass(frozen=True, kw_only=True)
class FwbLite(TrainConfig):
    """Settings of the bundled weights.

    Attributes:
        data: folder with ``clothing`` and ``weights/mobilenetv2_100.safetensors``; ``grocery``'s pictures and
            ``grocery_iconic``'s cut-outs are used in scenes.
        out: gets ``model.safetensors``.
        fold: train on the 18 base classes of this fold alone, without scenes; None: on everything.
        baseline: without weighting and without boosting, to compare with; everything else is the same.
        scenes: rendered scenes, besides clothing's train split.
        head_steps: first, of what stands on the trunk alone, which stays as it is for them ...
        head_batch: ... with so many episodes each ...
        head_lr: ... and this learning rate.
        crop_size: side of the crops on which the whole network is trained afterwards.
    """

    data: Path
    out: Path = Path("runs/fwb-lite")
    fold: int | None = None
    baseline: bool = False
    scenes: int = 250
    head_steps: int = 1000
    head_batch: int = 4
    head_lr: float = 1e-2
    crop_size: int = 208
    steps: int = 120
    batch_size: int = 8
    lr: float = 5e-4
    warmup: int = 10
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    clip: float = 1.0
    precision: Precision = "auto"
    checkpoint_every: int = 20


def fwb_lite(config: FwbLite) -> Path:
    """Train fwb-lite, every layer of it: all 24 classes of clothing, and halves of rendered scenes.

    Command: likewise train fwb-lite --data DATA
    Time: about twelve minutes of one CPU core.
    Score: on the weights' card (``likewise models fwb-lite``).

    First what stands on the trunk, on whole pictures that the trunk has looked at once; then the whole network on
    crops, the trunk at a tenth of the rate. With ``--fold K`` on that fold's 18 base classes alone: the others stay
    unseen.
    """
    part: Literal["base", "all"] = "all" if config.fold is None else "base"
    sets: list[Labelled] = [LabelFolder(config.data / "clothing", "train", config.fold, part)]
    if config.fold is None and config.scenes:
        sets.append(SceneMasks(_scenes(config), config.scenes))
    model = FWB(_numbers(config))
    model.load_state_dict(read_checkpoint(_head(config, sets)).state)
    crop = EpisodeCrop(size=config.crop_size)
    data = EpisodeCrops([Episodes(each, seed=config.seed) for each in sets], crop)
    return train(model, data, None, config, config.out)


def _head(config: FwbLite, sets: list[Labelled]) -> Path:
    """A checkpoint of the network whose trunk is still ImageNet's; it is kept, and not made again."""
    path = config.out / "head.safetensors"
    if not path.is_file():
        torch.manual_seed(config.seed)
        model = FWB(replace(_numbers(config), trunk_rate=0.0))
        model.load_trunk(imagenet_trunk(config.data))
        cached = [CachedFeatures(each, model, progress=config.progress) for each in sets]
        settings = TrainConfig(
            steps=config.head_steps,
            batch_size=config.head_batch,
            lr=config.head_lr,
            seed=config.seed,
            warmup=20,
            progress=config.progress,
        )
        start_projection(model, cached)
        train_unbatched(model, CachedEpisodes(model, cached, config.seed).loss, settings, "head")
        save_checkpoint(path, model)
    return path


def _numbers(config: FwbLite) -> Config:
    numbers: Config = FWB_LITE.config
    return replace(numbers, weighting=False, boosting=0) if config.baseline else numbers


def _scenes(config: FwbLite) -> SceneConfig:
    """Rather few and large things, as a person would mask them."""
    return SceneConfig(
        seed=31,
        objects=(2, 40),
        size=(24.0, 240.0),
        cutouts=(str(config.data / "grocery_iconic"),),
        backgrounds=(str(config.data / "grocery"),),
    )
