"""PASCAL-5i: VOC 2012 with SBD's further labels, 20 classes in four folds of five novel ones.

Source: Shaban et al., "One-Shot Learning for Semantic Segmentation", BMVC 2017: fold i's novel classes are 5 i + 1 to
5 i + 5. Trained on are VOC's and SBD's pictures that are not of VOC's val list, tested is on VOC's val list.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import loadmat
from torch import Tensor

from likewise.data.fewshot.labelled import Label, Part, as_tensors, choose_part, fold_of, read_label
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
FOLDS = 4
#: Where the two sets may lie in the folder, as their archives unpack.
VOC_PLACES = ("VOC2012", "VOCdevkit/VOC2012")
SBD_PLACES = ("SBD", "benchmark_RELEASE/dataset", "SBD/dataset", "SBD/benchmark_RELEASE/dataset")


class Pascal5i:
    """Labelled pictures of a fold of PASCAL-5i.

    The folder holds ``VOC2012`` (or ``VOCdevkit/VOC2012``) with ``JPEGImages``, ``SegmentationClass`` and
    ``ImageSets/Segmentation``, and for training ``SBD`` (or ``benchmark_RELEASE/dataset``) with ``img`` and ``cls``.

    Args:
        root: the folder.
        split: "train" or "val".
        fold: 0 to 3; None: the classes of all folds.
        part: of a fold's classes, the "base" ones, the "novel" ones, or both.

    Raises:
        LikewiseError: a folder or list is missing; an unknown split or fold.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as name:
        ...     voc = Path(name) / "VOC2012"
        ...     for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        ...         (voc / folder).mkdir(parents=True)
        ...     Image.new("RGB", (4, 4)).save(voc / "JPEGImages" / "1.jpg")
        ...     Image.new("L", (4, 4), 3).save(voc / "SegmentationClass" / "1.png")  # birds all over
        ...     written = (voc / "ImageSets" / "Segmentation" / "val.txt").write_text("1")
        ...     fold = Pascal5i(name, "val", fold=0, part="novel")
        ...     fold.classes[3], fold.pictures[3]
        ('bird', (0,))
    """

    folds = FOLDS

    def __init__(self, root: str | Path, split: str = "val", fold: int | None = None, part: Part = "all") -> None:
        if split not in ("train", "val"):
            raise LikewiseError(f"PASCAL-5i has no split {split!r}{nearest(split, ('train', 'val'))}")
        self.voc = _found(Path(root), VOC_PLACES)
        self.sbd = _found(Path(root), SBD_PLACES) if split == "train" else None
        self.ids = _ids(self.voc, self.sbd, split)
        named = {i + 1: name for i, name in enumerate(CLASSES)}
        novel = named if fold is None else {k: n for k, n in named.items() if (k - 1) // 5 == fold_of(fold, FOLDS)}
        self.classes = choose_part(novel, {k: n for k, n in named.items() if k not in novel}, part)
        there = [set(np.unique(self._label(name)).tolist()) for name in self.ids]
        self.pictures = {kind: tuple(i for i, held in enumerate(there) if kind in held) for kind in self.classes}

    def name(self, index: int) -> str:
        """The picture's file name."""
        return f"{self.ids[index]}.jpg"

    def read(self, index: int, kind: int) -> tuple[Tensor, Tensor]:
        """A picture and where it shows a class; 255 along the outlines in VOC's own labels.

        Raises:
            LikewiseError: a picture or label that cannot be read, or that do not fit each other.
        """
        name = self.ids[index]
        own = self.voc / "JPEGImages" / f"{name}.jpg"
        image = read_image(own if own.is_file() or self.sbd is None else self.sbd / "img" / f"{name}.jpg")
        return as_tensors(image, self._label(name), kind)

    def _label(self, name: str) -> Label:
        png = self.voc / "SegmentationClass" / f"{name}.png"
        if png.is_file() or self.sbd is None:
            return read_label(png)
        path = self.sbd / "cls" / f"{name}.mat"
        try:
            return np.asarray(loadmat(path)["GTcls"][0, 0]["Segmentation"], np.uint8)
        except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
            raise LikewiseError(f"{path} cannot be read as an SBD label: {error}") from error


def _found(root: Path, places: tuple[str, ...]) -> Path:
    for place in places:
        if (root / place).is_dir():
            return root / place
    there = [p.name for p in root.iterdir()] if root.is_dir() else []
    raise LikewiseError(f"{root} has no {' or '.join(places[:2])}{nearest(places[0], there)}")


def _ids(voc: Path, sbd: Path | None, split: str) -> list[str]:
    lists = voc / "ImageSets" / "Segmentation"
    held_out = _listed(lists / "val.txt")
    if sbd is None:
        return held_out
    more = [_listed(path) for path in (sbd / "train.txt", sbd / "val.txt") if path.is_file()]
    names = set(_listed(lists / "train.txt")).union(*more) - set(held_out)
    return sorted(names)


def _listed(path: Path) -> list[str]:
    if not path.is_file():
        raise LikewiseError(f"no such file: {path}; expected a list of picture names")
    return path.read_text(encoding="utf-8").split()
