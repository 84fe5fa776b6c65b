"""SPDCN-lite, the bundled counter: rendered scenes and licensed microscopy, from ImageNet's MobileNetV2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import ConcatDataset, Dataset

from likewise import registry
from likewise.data.counting.folder import CountingFolder
from likewise.data.counting.sample import CountSample
from likewise.data.counting.transforms import Crop, TrainCrop
from likewise.data.development import blood, imagenet_trunk, nuclei, orchard, red_cells
from likewise.data.infinite import MixedDataset, Transform
from likewise.engine.config import LiteConfig
from likewise.engine.train import train
from likewise.errors import LikewiseError
from likewise.nn.trunks import with_new_inputs
from likewise.weights import load_strict, save_checkpoint

#: Real pictures that weights may be made from, by folder.
REAL = {"nuclei": nuclei, "blood": blood, "red_cells": red_cells, "orchard": orchard}


@dataclass(frozen=True, kw_only=True)
class SpdcnLite(LiteConfig):
    """Settings of the bundled weights.

    Attributes:
        data: folder with the counting sets ``nuclei``, ``blood``, ``red_cells`` and ``orchard``, and
            ``weights/mobilenetv2_100.safetensors``.
        scenes: rendered training scenes, from ``likewise data synth``; the option may be repeated.
        out: the run's folder.
        weights: of an earlier run, to go on from rather than from ImageNet's.
        earlier: share of those earlier weights in the average with the trained ones that is written in the end: less
            of what they knew is forgotten (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
        shares: how often scenes and the real sets are drawn, in the order of `REAL`; a set with a share of 0 need not
            be there.
        held_out: those of the real sets that are not trained on, to see what is made of pictures of a new sort; their
            share goes to the scenes. Render scenes without their cut-outs for it.
        crop_size: side of the training crops.
        negatives: probability that things of other kinds in a crop, if there are any, are shown as negatives; 0 and
            ``ground`` 0: the weights take none.
        ground: probability, where none are shown, that boxes of empty ground are.
        box_jitter: how unsteadily boxes are drawn, see `Crop`.
        box_growth: how loosely, likewise.
    """

    data: Path
    scenes: tuple[Path, ...]
    out: Path = Path("runs/spdcn-lite")
    weights: Path | None = None
    earlier: float = 0.0
    shares: tuple[float, float, float, float, float] = (0.79, 0.08, 0.05, 0.03, 0.05)
    held_out: tuple[str, ...] = ()
    crop_size: int = 256
    negatives: float = 0.4
    ground: float = 0.05
    box_jitter: float = Crop.box_jitter
    box_growth: tuple[float, float] = Crop.box_growth
    steps: int = 3600


def spdcn_lite(config: SpdcnLite) -> Path:
    """Train spdcn-lite on rendered scenes and on the train splits of nuclei, blood, red_cells and orchard.

    Command:
        likewise data synth -n 4000 -o scenes --seed 1 --workers 2 --backgrounds DATA/grocery
        --backgrounds DATA/clothing --cutouts DATA/grocery_iconic --cutouts DATA/clothing --cutouts DATA/nuclei
        likewise train spdcn-lite --data DATA --scenes scenes
    Time: ten minutes to render and about 65 minutes to train, on two CPU cores.
    Score: on the weights' card (``likewise models spdcn-lite``). Those were made in six stages (docs/results.md), the
        last by ``--weights FIFTH.safetensors --earlier 0.65 --steps 2600 --warmup 50 --lr 8e-4 --seed 6
        --box-growth 0.85 1.4 --box-jitter 0.06 --precision 32-true --shares 0.76 0.08 0.07 0.04 0.05`` on fourteen
        folders of scenes, in 55 minutes of two cores.

    Pictures are rescaled so that the exemplars measure 36 pixels times a jitter, cropped, and changed in colour from
    place to place, so that objects of a kind differ as they do in the world.
    """
    lite = registry.preset("spdcn-lite")
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    model = lite.model(replace(lite.config, negatives=config.negatives > 0 or config.ground > 0))
    if config.weights is None:
        model.load_trunk(imagenet_trunk(config.data))
    else:
        go_on_from(model, config.weights)
    crop = Crop(
        size=config.crop_size,
        object_size=lite.config.inference.preprocess.object_size,
        negatives=config.negatives,
        ground=config.ground,
        box_jitter=config.box_jitter,
        box_growth=config.box_growth,
    )
    data = mixture(config, TrainCrop(crop))
    trained = train(model, data, _validation(config), config, config.out)
    return (
        trained if config.weights is None or not config.earlier else averaged(trained, config.weights, config.earlier)
    )


def go_on_from(model: nn.Module, weights: Path) -> None:
    """Load earlier weights; where they were never shown negatives, the decoder begins by making nothing of them."""
    state = registry.load_model(weights, task="count")[1].state_dict()
    first = "decoder.0.0.weight"
    state[first] = with_new_inputs(state[first], model.state_dict()[first])  # what is made of negatives comes last
    load_strict(model, state, str(weights))


def averaged(trained: Path, earlier: Path, share: float) -> Path:
    """Write over a file its average with an earlier one's weights, which have this share in it."""
    model = registry.load_model(trained, task="count")[1]
    before = registry.load_model(earlier, task="count")[1].state_dict()
    for name, tensor in model.state_dict().items():  # which share their memory with the model
        if tensor.is_floating_point():
            tensor.lerp_(before[name].to(tensor), share)
    return save_checkpoint(trained, model)


def mixture(config: SpdcnLite, transform: Transform | None = None) -> MixedDataset:
    """Scenes and real pictures, drawn as often as the settings say, and never what is held out."""
    unknown = set(config.held_out) - set(REAL)
    if unknown:
        raise LikewiseError(f"held_out = {sorted(unknown)}: expected any of {', '.join(map(repr, REAL))}")
    scenes: Dataset[CountSample] = ConcatDataset([CountingFolder(path, targets="all") for path in config.scenes])
    real = {name: share for name, share in zip(REAL, config.shares[1:], strict=True) if name not in config.held_out}
    drawn = {name: share for name, share in real.items() if share}
    shares = (sum(config.shares) - sum(drawn.values()), *drawn.values())
    return MixedDataset([scenes, *(REAL[n](config.data, "train") for n in drawn)], shares, config.seed, transform)


def _validation(config: SpdcnLite) -> MixedDataset:
    """Crops of the val splits of those real sets that there are."""
    there = [REAL[name](config.data, "val") for name in REAL if (config.data / name).is_dir()]
    return MixedDataset(there, None, 1, TrainCrop(Crop(size=config.crop_size, look=None)), length=64)
