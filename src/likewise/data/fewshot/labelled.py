"""Pictures whose pixels are labelled by class, as few-shot segmentation asks for them: class by class.

A fold of such a set keeps some classes, the novel ones, for testing; the others are the base classes. Every pixel that
is not of the class asked for is background, whatever else it shows; 255 is where nobody says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data.decoders import open_image
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest

Part = Literal["base", "novel", "all"]
Label = NDArray[np.uint8]
#: Label of pixels of which nobody says what they show.
IGNORED = 255


class Labelled(Protocol):
    """Labelled pictures, found by class."""

    @property
    def classes(self) -> Mapping[int, str]:
        """Id -> name of the classes that episodes are made of."""

    @property
    def pictures(self) -> Mapping[int, tuple[int, ...]]:
        """Id -> indices of the pictures that show the class."""

    def name(self, index: int) -> str:
        """A picture's name, for reports."""

    def read(self, index: int, kind: int) -> tuple[Tensor, Tensor]:
        """A picture (3, H, W) uint8 RGB and where it shows a class, (H, W) uint8: 1, 0, or 255 where nobody says."""


class InFolds(Labelled, Protocol):
    """Labelled pictures whose classes are novel in one fold each.

    Attributes:
        folds: how many folds there are.
    """

    folds: int


@dataclass(frozen=True)
class LabelledPicture:
    """One picture of a `LabelFolder`, and the share of its pixels that each class covers."""

    image: str
    label: str
    shares: Mapping[int, float]


class LabelFolder:
    """A folder with ``index.json`` and ``folds.json``: pictures, and as PNG a class number for every pixel.

    Args:
        root: the folder.
        split: only pictures whose ``split`` this is.
        fold: which of the folds; None: the classes of all folds.
        part: of a fold's classes, the "base" ones, the "novel" ones, or both. Pictures of base classes are labelled 255
            where they show novel ones: who learns that those are background will not find them afterwards.
        least: a picture shows a class where it covers at least this share of it; None: the folder's own rule.

    Raises:
        LikewiseError: a file is missing or is no JSON, an unknown split or fold, a part without a fold.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as name:
        ...     root, record = Path(name), {"image": "1.png", "label": "1_label.png", "class_fraction": {"7": 0.25}}
        ...     Image.new("RGB", (4, 4)).save(root / "1.png")
        ...     Image.fromarray(np.repeat(np.uint8([[7, 0, 0, 0]]), 4, axis=0)).save(root / "1_label.png")
        ...     written = (root / "index.json").write_text(json.dumps({"images": [record]}))
        ...     written = (root / "folds.json").write_text('{"folds": [{"novel": [{"id": 7, "name": "coin"}]}]}')
        ...     labelled = LabelFolder(root)
        ...     labelled.classes, labelled.read(0, kind=7)[1][0].tolist()
        ({7: 'coin'}, [1, 0, 0, 0])
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        fold: int | None = None,
        part: Part = "all",
        least: float | None = None,
    ) -> None:
        self.root = Path(root)
        index, folds = _json(self.root / "index.json"), _json(self.root / "folds.json")
        records = index["images"]
        splits = {str(r["split"]) for r in records if "split" in r}
        if split is not None and split not in splits:
            raise LikewiseError(f"{self.root} has no split {split!r}{nearest(split, splits)}")
        chosen = [r for r in records if split is None or r.get("split") == split]
        self.shown = tuple(
            LabelledPicture(r["image"], r["label"], {int(k): float(v) for k, v in r["class_fraction"].items()})
            for r in chosen
        )
        self.folds = len(folds["folds"])
        self.classes = _part(folds["folds"], fold, part)
        self._hidden = list(_part(folds["folds"], fold, "novel")) if part == "base" else []
        threshold = folds.get("min_fraction", 0.0) if least is None else least
        self.pictures = {
            kind: tuple(i for i, p in enumerate(self.shown) if p.shares.get(kind, 0.0) >= max(threshold, 1e-9))
            for kind in self.classes
        }

    def name(self, index: int) -> str:
        """The picture's file name."""
        return self.shown[index].image

    def read(self, index: int, kind: int) -> tuple[Tensor, Tensor]:
        """A picture and where it shows a class.

        Raises:
            LikewiseError: a picture that cannot be read, or a label of another size.
        """
        picture = self.shown[index]
        label = read_label(self.root / picture.label)
        label[np.isin(label, self._hidden)] = IGNORED
        return as_tensors(read_image(self.root / picture.image), label, kind)


def as_tensors(image: NDArray[np.uint8], label: Label, kind: int) -> tuple[Tensor, Tensor]:
    """A picture (H, W, 3) and its label (H, W) as `Labelled.read` gives them.

    Raises:
        LikewiseError: they differ in size.
    """
    if label.shape != image.shape[:2]:
        raise LikewiseError(f"the label is {label.shape}, its picture {image.shape[:2]} (height, width)")
    mask = np.where(label == IGNORED, IGNORED, label == kind).astype(np.uint8)
    return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask)


def read_label(path: Path) -> Label:
    """A PNG's palette indices or grey values, (H, W) uint8.

    Raises:
        LikewiseError: it cannot be read, or has colours.
    """
    try:
        with open_image(path) as image:
            if image.mode not in ("P", "L", "1"):
                raise LikewiseError(f"{path} has colours ({image.mode}); expected a class number a pixel")
            return np.array(image.convert("L") if image.mode == "1" else image)
    except OSError as error:
        raise LikewiseError(f"{path} cannot be read as a label: {error}") from error


def fold_of(fold: int, count: int) -> int:
    """A fold's number, checked.

    Raises:
        LikewiseError: there is no such fold.
    """
    if not 0 <= fold < count:
        raise LikewiseError(f"fold = {fold}: expected 0 to {count - 1}")
    return fold


def choose_part(novel: Mapping[int, str], base: Mapping[int, str], part: Part) -> dict[int, str]:
    """The classes of a part of a fold, by id.

    Raises:
        LikewiseError: an unknown part.
    """
    parts = {"base": dict(base), "novel": dict(novel), "all": dict(base) | dict(novel)}
    if part not in parts:
        raise LikewiseError(f"no part {part!r} of a fold{nearest(part, parts)}")
    return dict(sorted(parts[part].items()))


def _part(folds: list[dict[str, Any]], fold: int | None, part: Part) -> dict[int, str]:
    names = [{int(c["id"]): str(c["name"]) for c in each["novel"]} for each in folds]
    whole = {kind: name for each in names for kind, name in each.items()}
    if fold is None:
        if part != "all":
            raise LikewiseError(f"part = {part!r} without a fold; expected a fold from 0 to {len(folds) - 1}")
        return dict(sorted(whole.items()))
    novel = names[fold_of(fold, len(names))]
    return choose_part(novel, {kind: name for kind, name in whole.items() if kind not in novel}, part)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise LikewiseError(f"no such file: {path}{nearest(path.name, there)}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LikewiseError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise LikewiseError(f"{path} is a JSON {type(content).__name__}; expected an object")
    return content
