"""ShanghaiTech as published: people in crowds, each with a dot on the head.

Source: Zhang et al., "Single-image crowd counting via multi-column convolutional neural network", CVPR 2016. Each of
the two parts, ``part_A`` and ``part_B`` (or ``part_A_final``, ``part_B_final``), holds ``train_data`` and ``test_data``
with ``images/IMG_1.jpg`` and ``ground_truth/GT_IMG_1.mat`` (or ``ground-truth``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from likewise.data.counting.sample import CountSample
from likewise.data.images import read_image
from likewise.errors import LikewiseError, nearest

#: A split, and the folder it is in.
SPLITS = {"train": "train_data", "test": "test_data"}
#: Names of the folder with the dots.
TRUTHS = ("ground_truth", "ground-truth")
#: Where a part may be: it itself, or in a folder with one part.
PLACES = (".", "part_*", "ShanghaiTech/part_*")
PROMPT = "people"


class ShanghaiTech(Dataset[CountSample]):
    """The pictures of one part of ShanghaiTech with a point for every head.

    Convention: the files' coordinates are taken as they stand, as x y in pixels; a few lie on the border or beyond, and
    are brought inside. No box is known and no exemplar comes with the set: a counter is asked for "people".

    Args:
        root: a part, or a folder with one.
        split: "train" or "test"; None: both.

    Raises:
        LikewiseError: a folder or file is missing; both parts are there; an unknown split. Reading one sample: a broken
            picture, or dots that are not as published.
    """

    def __init__(self, root: str | Path, split: str | None = None) -> None:
        self.root = part_of(root)
        if split is not None and split not in SPLITS:
            raise LikewiseError(f"ShanghaiTech has no split {split!r}{nearest(split, SPLITS)}")
        chosen = [self.root / SPLITS[name] for name in (SPLITS if split is None else [split])]
        self.pictures = tuple(path for folder in chosen for path in _pictures(folder))
        if not self.pictures:
            raise LikewiseError(f"{' and '.join(map(str, chosen))} hold no images/IMG_1.jpg")

    @property
    def names(self) -> tuple[str, ...]:
        """The picture of every sample, with its split's folder."""
        return tuple(f"{path.parent.parent.name}/{path.name}" for path in self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> CountSample:
        path = self.pictures[index]
        image = torch.from_numpy(read_image(path)).permute(2, 0, 1)
        folders = [path.parent.parent / name for name in TRUTHS]
        found = next((folder for folder in folders if folder.is_dir()), folders[0])
        points = read_heads(found / f"GT_{path.stem}.mat")
        limit = torch.tensor([image.shape[2], image.shape[1]], dtype=torch.float32)
        return CountSample(
            image=image,
            points=torch.minimum(points.clamp(min=0.0), limit - 1e-3),
            boxes=torch.full((len(points), 4), torch.nan),
            exemplars=torch.zeros(0, 4),
            name=self.names[index],
            prompt=PROMPT,
        )


def part_of(root: str | Path) -> Path:
    """The part of the set that a folder is, or holds.

    Raises:
        LikewiseError: there is none, or both are there.
    """
    found = [
        part
        for place in PLACES
        for part in sorted(Path(root).glob(place) if place != "." else [Path(root)])
        if any((part / folder / "images").is_dir() for folder in SPLITS.values())
    ]
    if len(found) > 1:
        raise LikewiseError(
            f"{root} holds {' and '.join(str(part.relative_to(root)) for part in found)}; give one of them"
        )
    if not found:
        raise LikewiseError(f"{root} has no train_data/images and no test_data/images, which ShanghaiTech comes with")
    return found[0]


def read_heads(path: Path) -> Tensor:
    """Points (N, 2) float32 of a file of dots.

    Raises:
        LikewiseError: no such file, or one of another form.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise LikewiseError(f"no such file: {path}; expected the dots of every picture")
    try:
        held: dict[str, Any] = loadmat(path)
        points = np.asarray(held["image_info"][0, 0]["location"][0, 0], np.float32).reshape(-1, 2)
    except Exception as error:  # a damaged file makes it raise almost anything
        raise LikewiseError(f"{path} does not hold image_info with location, two numbers a head") from error
    if not np.isfinite(points).all():
        raise LikewiseError(f"{path} holds a point that is not finite")
    return torch.from_numpy(points)


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a split in the order of their numbers."""
    found = [path for path in (folder / "images").glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    return sorted(found, key=lambda path: (int("".join(re.findall(r"\d+", path.stem)) or 0), path.name))
