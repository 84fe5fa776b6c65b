"""Real pictures that were counted by eye: scikit-image's, and crates of fruit from the development sets.

In a crate much is hidden: a fruit counts where about a third of it can be seen. Its points and boxes were set from the
pictures alone, before any counter was asked.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch.utils.data import Dataset

from likewise.data.counting.sample import CountSample
from likewise.data.images import read_image
from likewise.types import Box

#: Boxes and counts or points, by eye: of scikit-image's photographs, and of some of grocery's val split.
OWN, GROCERIES = (Path(__file__).with_name(f"{name}.json") for name in ("photographs", "groceries"))
#: Faces a mosaic; side of a patch in pixels, of which `scikit-image` has 100 with a face and 100 without.
FACES, _PATCH, _SIDE = (10, 25, 40, 60, 80, 100), 25, 50


class Photographs(Dataset[CountSample]):
    """Photographs of things that were counted by eye.

    Args:
        truth: the file with the boxes and counts.
        folder: with the pictures it names; None: scikit-image's.
    """

    def __init__(self, truth: Path = OWN, folder: Path | None = None) -> None:
        self.records: list[dict[str, Any]] = json.loads(truth.read_text(encoding="utf-8"))
        self.folder = Path(data.data_dir) if folder is None else folder

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> CountSample:
        record = self.records[index]
        image, points = read_image(self.folder / record["file"]), record.get("points", [])
        return CountSample(
            image=torch.from_numpy(image).permute(2, 0, 1),
            points=torch.tensor(points, dtype=torch.float32).view(-1, 2),
            boxes=torch.full((len(points), 4), math.nan),
            exemplars=torch.tensor(record["boxes"], dtype=torch.float32),
            name=record["file"],
            prompt=record["things"],
            truth=float(record["count"]) if "count" in record else None,
        )


def many_coins(width: int, height: int, factor: float) -> tuple[NDArray[np.uint8], list[Box]]:
    """As many coins as there is room for, and boxes of three of them.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        factor: how many times as large the coins are as in the photograph.

    Returns:
        (height, width, 3), and boxes in its pixels.
    """
    sample = Photographs()[0]
    once = Image.fromarray(sample.image.permute(1, 2, 0).numpy())
    resized = np.asarray(once.resize((round(once.width * factor), round(once.height * factor))))
    repeats = (-(-height // resized.shape[0]), -(-width // resized.shape[1]), 1)
    boxes = (factor * sample.exemplars.double()).tolist()
    return np.tile(resized, repeats)[:height, :width], [(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes]


class FaceMosaics(Dataset[CountSample]):
    """Photographs of faces among photographs of other things, ten by ten: of the faces, none is like another."""

    def __init__(self) -> None:
        self.patches = data.lfw_subset()

    def __len__(self) -> int:
        return len(FACES)

    def __getitem__(self, index: int) -> CountSample:
        rng = np.random.default_rng([2026, index])
        faces = FACES[index]
        chosen = rng.permutation([*rng.permutation(100)[:faces], *(100 + rng.permutation(100)[: 100 - faces])])
        corners = np.stack([np.arange(100) % 10, np.arange(100) // 10], axis=1) * _SIDE
        boxes = np.concatenate([corners, corners + _SIDE], axis=1)[chosen < 100]
        return CountSample(
            image=torch.from_numpy(_mosaic(self.patches[chosen])).permute(2, 0, 1),
            points=torch.from_numpy((boxes[:, :2] + _SIDE / 2).astype(np.float32)),
            boxes=torch.from_numpy(boxes.astype(np.float32)),
            exemplars=torch.from_numpy(boxes[rng.permutation(faces)[:3]].astype(np.float32)),
            name=f"{faces} faces",
            prompt="faces",
        )


def _mosaic(patches: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(100, 25, 25) grey patches in [0, 1] as one picture (500, 500, 3), each pixel enlarged."""
    sheet = patches.reshape(10, 10, _PATCH, _PATCH).transpose(0, 2, 1, 3).reshape(10 * _PATCH, 10 * _PATCH)
    enlarged = np.kron(sheet, np.ones((_SIDE // _PATCH, _SIDE // _PATCH)))
    return np.repeat((enlarged * 255 + 0.5).astype(np.uint8)[..., None], 3, axis=2)
