"""S3N-lite: the bundled recogniser of groceries, and the same on anybody's folder of named pictures."""

# No `from __future__ import annotations` here, for the reason that likewise.engine.config gives.
import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import ConcatDataset, Dataset

from likewise import registry
from likewise.data.classification.dataset import NamedPictures, NamedSample
from likewise.data.development import IMAGENET, load_trunk
from likewise.data.open_dataset import open_named
from likewise.engine.config import Precision
from likewise.engine.recognize_train import LiteRecognizeConfig, train_recognizer
from likewise.methods.s3n import S3N, S3N_LITE, Branches
from likewise.weights import load_strict


@dataclass(frozen=True, kw_only=True)
class S3nLite(LiteRecognizeConfig):
    """Settings of a run on named pictures.

    Attributes:
        trunk: ImageNet weights of MobileNetV2 under timm's names; none: the trunk of the bundled ``s3n-lite``.
        weights: of an earlier run with the same names, to go on from, such as one on smaller pictures.
        dropout: on the pooled features of each look.
        branches: which sampled pictures are looked at; "none" is the plain trunk, the baseline.
    """

    out: Path = Path("runs/s3n-lite")
    trunk: Path | None = None
    weights: Path | None = None
    size: int = S3N_LITE.config.view.size
    dropout: float = 0.0
    branches: Branches = "both"

    @property
    def start(self) -> Path | None:
        """The weights the trunk starts from; None: the bundled ones."""
        return self.trunk

    def shown(self, pictures: NamedPictures) -> Dataset[NamedSample]:
        """What an epoch shows, of a training split."""
        return pictures


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
    return train_recognizer(model, model.config.view, config, pictures, config.shown(pictures))


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
        model.load_trunk(load_trunk(config.start))
    else:
        bundled = registry.load_model(S3N_LITE.name)[1]
        model.trunk.load_state_dict(bundled.trunk.state_dict(), strict=True)
    return model


def open_pack_shots(root: Path) -> NamedPictures:
    """The pictures of a folder whose ``index.json`` names one for each kind (images: image, text)."""
    shots = json.loads((root / "index.json").read_text(encoding="utf-8"))["images"]
    return NamedPictures(root, [s["image"] for s in shots], range(len(shots)), [s["text"] for s in shots])
