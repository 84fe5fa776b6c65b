"""S3N-lite: the bundled recogniser of groceries, and the same on anybody's folder of named pictures."""

# No `from __future__ import annotations` here, for the reason that likewise.engine.config gives.
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch.utils.data import ConcatDataset, Dataset

from likewise import registry
from likewise.data.classification.dataset import FixedView, NamedPictures, NamedSample, TrainView
from likewise.data.infinite import ShuffledDataset, TransformedDataset
from likewise.data.open_dataset import open_named
from likewise.data.photometric import Look
from likewise.engine.config import Precision, TrainConfig
from likewise.engine.train import train
from likewise.errors import LikewiseError
from likewise.methods.s3n import S3N, S3N_LITE, Branches
from likewise.preprocess.square_view import SquareCrop, SquareView
from likewise.weights import load_strict

#: Other light and another camera, mild: things keep the colours by which they are told apart.
OTHER_LIGHT = Look(
    field=0.4,
    gain=0.3,
    tint=0.06,
    offset=0.03,
    brightness=0.25,
    contrast=0.25,
    saturation=0.25,
    hue=0.04,
    grey=0.0,
    invert=0.0,
    blur=0.15,
    noise=0.15,
    jpeg=0.1,
)
#: Where the recipes that are given a folder of data sets find ImageNet weights under timm's names.
IMAGENET = Path("weights") / "mobilenetv2_100.safetensors"


@dataclass(frozen=True, kw_only=True)
class S3nLite(TrainConfig):
    """Settings of a run on named pictures.

    Attributes:
        data: a folder of named pictures (docs/data.md): a folder a class is enough.
        out: the run's folder.
        trunk: ImageNet weights of MobileNetV2 under timm's names; none: the trunk of the bundled ``s3n-lite``.
        weights: of an earlier run with the same names, to go on from, such as one on smaller pictures.
        size: side in pixels of what the network sees.
        area: least share of a picture's area that a training crop shows.
        light: how strongly light and colours differ in training, in units of what another camera would change.
        dropout: on the pooled features of each look.
        branches: which sampled pictures are looked at; "none" is the plain trunk, the baseline.
        epochs: how often every training picture is seen; ``steps`` follows from it where it is not given.
    """

    data: Path
    out: Path = Path("runs/s3n-lite")
    trunk: Path | None = None
    weights: Path | None = None
    size: int = S3N_LITE.config.view.size
    area: float = 0.3
    light: float = 1.0
    dropout: float = 0.0
    branches: Branches = "both"
    epochs: float = 6
    steps: int = 0
    batch_size: int = 16
    lr: float = 1e-3
    weight_decay: float = 5e-2
    warmup: int = 50
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    clip: float = 5.0
    ema: float = 0.99
    precision: Precision = "bf16-mixed"
    channels_last: bool = True
    checkpoint_every: int = 100
    val_every: int = 200
    val_batch_size: int = 16

    @property
    def pictures(self) -> Path:
        """The folder of named pictures."""
        return self.data

    @property
    def start(self) -> Path | None:
        """The weights the trunk starts from; None: the bundled ones."""
        return self.trunk

    def shown(self, pictures: NamedPictures) -> Dataset[NamedSample]:
        """What an epoch shows, of a training split."""
        return pictures

    def __post_init__(self) -> None:
        """As in `TrainConfig`; steps that are not given are those of the epochs."""
        if not self.steps:
            pictures = len(open_named(self.pictures, "train"))
            object.__setattr__(self, "steps", max(1, round(self.epochs * pictures / self.batch_size)))
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class S3nLiteGrocery(S3nLite):
    """Settings of the bundled weights.

    Attributes:
        data: folder with the set ``grocery`` and ``weights/mobilenetv2_100.safetensors``.
        out: the run's folder.
        pack_shots: how often an epoch shows each picture of the set ``grocery_iconic``, one a kind, on white.
    """

    out: Path = Path("runs/s3n-lite-grocery")
    area: float = 0.2
    light: float = 2.0
    dropout: float = 0.3
    pack_shots: int = 2
    epochs: float = 9
    ema: float = 0.998
    precision: Precision = "32-true"
    val_every: int = 250

    @property
    def pictures(self) -> Path:
        """The set among the others."""
        return self.data / "grocery"

    @property
    def start(self) -> Path | None:
        """ImageNet weights, where no others are given."""
        return self.trunk or self.data / IMAGENET

    def shown(self, pictures: NamedPictures) -> Dataset[NamedSample]:
        """Photographs and pack shots."""
        if not self.pack_shots:
            return pictures
        shots = open_pack_shots(self.data / "grocery_iconic").relabelled(pictures.labels)
        return ConcatDataset([pictures, *[shots] * self.pack_shots])


def s3n_lite(config: S3nLite) -> Path:
    """Train S3N-lite on your own named pictures, a folder a class; every layer of it.

    Command: likewise train s3n-lite --data FOLDER --out runs/mine
    Time: not measured; it grows with the pictures times the epochs.
    Score: ``likewise eval runs/mine/model.safetensors --data FOLDER --split val``.

    It starts from the trunk of the bundled s3n-lite. A fixed fifth of the pictures is held out as the split val, unless
    the folder has its own splits.
    """
    return train_lite(config)


def s3n_lite_grocery(config: S3nLiteGrocery) -> Path:
    """Train the bundled s3n-lite: 81 kinds of groceries, from ImageNet's MobileNetV2.

    Command: likewise train s3n-lite-grocery --data DATA
    Time: about an hour of one CPU core.
    Score: on the weights' card (``likewise models s3n-lite``).

    With --branches none it is the plain trunk, the baseline.
    """
    return train_lite(config)


def train_lite(config: S3nLite) -> Path:
    """Train S3N-lite as some settings say; the path of its weights."""
    torch.manual_seed(config.seed)  # of the weights that are not pretrained
    pictures = open_named(config.pictures, "train")
    model = lite_network(config, pictures.labels)
    crop = SquareCrop(size=config.size, area=(config.area, 1.0))
    view = TrainView(crop, OTHER_LIGHT.stronger(config.light))
    data = ShuffledDataset(config.shown(pictures), config.seed, view)
    return train(model, data, _val(config, pictures, model.config.view), config, config.out)


def lite_network(config: S3nLite, labels: tuple[str, ...]) -> S3N:
    """The network of a run at its start.

    Raises:
        LikewiseError: no trunk was given and none is bundled.
    """
    view = replace(S3N_LITE.config.view, size=config.size)
    chosen = {"branches": config.branches, "dropout": config.dropout, "view": view}
    numbers = replace(S3N_LITE.config, classes=len(labels), labels=labels, **chosen)
    model = S3N(numbers)
    if config.weights is not None:
        load_strict(model, registry.load_model(config.weights, task="recognize")[1].state_dict(), str(config.weights))
    elif config.start is not None:
        if not config.start.is_file():
            raise LikewiseError(f"no trunk at {config.start}; expected a safetensors file of timm's mobilenetv2_100")
        model.load_trunk(load_file(config.start))
    else:
        bundled = registry.load_model(S3N_LITE.name)[1]
        model.trunk.load_state_dict(bundled.trunk.state_dict(), strict=True)
    return model


def open_pack_shots(root: Path) -> NamedPictures:
    """The pictures of a folder whose ``index.json`` names one for each kind (images: image, text)."""
    shots = json.loads((root / "index.json").read_text(encoding="utf-8"))["images"]
    return NamedPictures(root, [s["image"] for s in shots], range(len(shots)), [s["text"] for s in shots])


def _val(config: S3nLite, pictures: NamedPictures, view: SquareView) -> TransformedDataset | None:
    """Pictures held out, where the set has any."""
    try:
        held = open_named(config.pictures, "val")
    except LikewiseError:
        return None
    return TransformedDataset(held.relabelled(pictures.labels), 0, FixedView(view))
