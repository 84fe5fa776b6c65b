"""Pictures that have one name each, and what becomes of them in training and testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from likewise.data.images import read_image
from likewise.data.photometric import ColorJitter, jitter_colours
from likewise.errors import LikewiseError, nearest
from likewise.preprocess.square_view import SquareCrop, SquareView
from likewise.types import ClassBatch


@dataclass(frozen=True, eq=False)
class NamedSample:
    """One picture and what it shows.

    Attributes:
        image: (3, H, W) uint8 RGB.
        target: index of its name among the data set's labels.
        name: of the picture, for reports.
    """

    image: Tensor
    target: int
    name: str = ""


class NamedPictures(Dataset[NamedSample]):
    """Picture files with one label each.

    Args:
        root: the folder that the reports' names are relative to.
        files: paths under it.
        targets: index into ``labels`` of each.
        labels: names of the classes, also of those without a picture here.

    Raises:
        LikewiseError: no picture at all, or fewer than two classes. Reading one sample: a missing or broken picture.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as name:
        ...     Image.new("RGB", (4, 4)).save(Path(name) / "1.png")
        ...     pictures = NamedPictures(Path(name), files=["1.png"], targets=[1], labels=["apple", "pear"])
        ...     pictures.labels[pictures[0].target]
        'pear'
    """

    def __init__(self, root: Path, files: Sequence[str], targets: Sequence[int], labels: Sequence[str]) -> None:
        if not files or len(labels) < 2:
            raise LikewiseError(
                f"{root} has {len(files)} pictures of {len(labels)} classes; expected pictures of at least two"
            )
        self.root = root
        self.names = tuple(files)
        self.targets = tuple(targets)
        self.labels = tuple(labels)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NamedSample:
        pixels = read_image(self.root / self.names[index])
        return NamedSample(torch.from_numpy(pixels).permute(2, 0, 1), self.targets[index], self.names[index])

    def relabelled(self, labels: Sequence[str]) -> NamedPictures:
        """The same pictures with their classes numbered as in ``labels``.

        Raises:
            LikewiseError: a class that has pictures is not among them; the nearest is named.
        """
        place = {label: i for i, label in enumerate(labels)}
        used = {self.labels[t] for t in self.targets}
        for label in sorted(used):
            if label not in place:
                raise LikewiseError(f"the model does not know {label!r}, which {self.root} has{nearest(label, place)}")
        return NamedPictures(self.root, self.names, [place[self.labels[t]] for t in self.targets], labels)


@dataclass(frozen=True)
class TrainView:
    """A random crop of each picture; called with a sample and a generator, as `likewise.data.infinite` does."""

    crop: SquareCrop
    look: ColorJitter | None = None

    def __call__(self, sample: NamedSample, rng: np.random.Generator) -> NamedSample:
        """The sample with a square picture, in other light where there is a ``look``."""
        image = _tensor(self.crop.of(_pixels(sample), rng))
        return replace(sample, image=image if self.look is None else jitter_colours(image, self.look, rng))


@dataclass(frozen=True)
class FixedView:
    """What a network sees of each picture when it is used; nothing is random."""

    view: SquareView

    def __call__(self, sample: NamedSample, rng: np.random.Generator) -> NamedSample:
        """The sample with a square picture."""
        return replace(sample, image=_tensor(self.view.of(_pixels(sample))))


def collate_named(samples: Sequence[NamedSample]) -> ClassBatch:
    """A batch of samples whose pictures have one size."""
    return ClassBatch(
        image=torch.stack([s.image for s in samples]).float() / 255,
        target=torch.tensor([s.target for s in samples]),
        names=tuple(s.name for s in samples),
    )


def _pixels(sample: NamedSample) -> np.ndarray:
    return np.ascontiguousarray(sample.image.permute(1, 2, 0).numpy())


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
