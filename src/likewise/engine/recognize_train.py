"""Training small recognisers on folders of named pictures: the settings and the data that such runs share."""

# No `from __future__ import annotations` here, for the reason that likewise.engine.config gives.
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.utils.data import Dataset

from likewise.data.classification.dataset import FixedView, NamedPictures, NamedSample, TrainView
from likewise.data.infinite import ShuffledDataset, TransformedDataset
from likewise.data.open_dataset import open_named
from likewise.data.photometric import ColorJitter
from likewise.engine.config import LiteConfig
from likewise.engine.train import train
from likewise.errors import LikewiseError
from likewise.preprocess.square_view import SquareCrop, SquareView

#: Other light and another camera, mild: things keep the colours by which they are told apart.
OTHER_LIGHT = ColorJitter(
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


@dataclass(frozen=True, kw_only=True)
class LiteRecognizeConfig(LiteConfig):
    """Settings of a run on named pictures; a recipe's own settings extend this with its network's.

    Attributes:
        data: a folder of named pictures (docs/data.md): a folder a class is enough.
        out: the run's folder.
        size: side in pixels of what the network sees.
        area: least share of a picture's area that a training crop shows.
        light: how strongly light and colours differ in training, in units of what another camera would change.
        epochs: how often every training picture is seen; ``steps`` follows from it where it is not given.
    """

    data: Path
    out: Path
    size: int
    area: float = 0.3
    light: float = 1.0
    epochs: float = 6
    steps: int = 0
    weight_decay: float = 5e-2
    warmup: int = 50
    clip: float = 5.0
    ema: float = 0.99
    checkpoint_every: int = 100
    val_every: int = 200

    @property
    def pictures(self) -> Path:
        """The folder of named pictures."""
        return self.data

    def __post_init__(self) -> None:
        """As in `TrainConfig`; steps that are not given are those of the epochs."""
        if not self.steps:
            object.__setattr__(self, "steps", epoch_steps(self.epochs, self.pictures, "train", self.batch_size))
        super().__post_init__()


def epoch_steps(epochs: float, pictures: Path, split: str, batch_size: int) -> int:
    """The steps in which every picture of a split is seen so many times."""
    return max(1, round(epochs * len(open_named(pictures, split)) / batch_size))


def train_recognizer(
    model: nn.Module,
    view: SquareView,
    config: LiteRecognizeConfig,
    pictures: NamedPictures,
    shown: Dataset[NamedSample] | None = None,
) -> Path:
    """Train a recogniser of named pictures on random crops in other light; validated on the split val, if any.

    Args:
        model: knows the pictures' names, in their order.
        view: what it sees of a picture when it is used.
        config: settings.
        pictures: the training split.
        shown: what an epoch shows; None: the pictures.
    """
    crop = SquareCrop(size=config.size, area=(config.area, 1.0))
    seen: Dataset[NamedSample] = pictures if shown is None else shown
    data = ShuffledDataset(seen, config.seed, TrainView(crop, OTHER_LIGHT.stronger(config.light)))
    return train(model, data, _val(config, pictures, view), config, config.out)


def _val(config: LiteRecognizeConfig, pictures: NamedPictures, view: SquareView) -> TransformedDataset | None:
    """Pictures held out, where the set has any."""
    try:
        held = open_named(config.pictures, "val")
    except LikewiseError:
        return None
    return TransformedDataset(held.relabelled(pictures.labels), 0, FixedView(view))
