"""Real pictures that come with an installed package, scikit-image, and whose things can be counted without a doubt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch.utils.data import Dataset

from likewise.data.images import read_image
from likewise.data.sample import CountSample
from likewise.types import Box

#: Boxes and counts, by eye.
TRUTH = Path(__file__).with_name("photographs.json")
#: Faces a mosaic; side of a patch in pixels, of which `scikit-image` has 100 with a face and 100 without.
FACES, _PATCH, _SIDE = (10, 25, 40, 60, 80, 100), 25, 50


class Photographs(Dataset[CountSample]):
    """scikit-image's photographs of things that can be counted by eye."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = json.loads(TRUTH.read_text(encoding="utf-8"))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> CountSample:
        record = self.records[index]
        image = read_image(Path(data.data_dir) / record["file"])
        return CountSample(
            image=torch.from_numpy(image).permute(2, 0, 1),
            points=torch.zeros(0, 2),
            boxes=torch.zeros(0, 4),
            exemplars=torch.tensor(record["boxes"], dtype=torch.float32),
            name=record["file"],
            prompt=record["things"],
            truth=float(record["count"]),
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
