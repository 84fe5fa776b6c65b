"""Resizing, moving and mirroring pictures with the boxes and points in them.

Convention: boxes xyxy and points x y in float pixels, the centre of the top left pixel is (0.5, 0.5); so a resize
by s multiplies coordinates by s and a flip maps x to W - x. (torchvision's own key points flip to W - 1 - x, which
is why the geometry here is not theirs.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.data.counting.sample import CountSample

Bytes = NDArray[np.uint8]


def moved(sample: CountSample, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> CountSample:
    """Coordinates p become scale * p + shift, x and y each; a negative scale mirrors. The others stay behind."""
    by, to = (torch.from_numpy(v.astype(np.float32)) for v in (scale, shift))
    points = sample.points * by + to
    boxes, exemplars, negatives = (
        ordered(v.view(-1, 2, 2) * by + to) for v in (sample.boxes, sample.exemplars, sample.negatives)
    )
    return replace(sample, points=points, boxes=boxes, exemplars=exemplars, negatives=negatives, others=None)


def ordered(corners: Tensor) -> Tensor:
    """Boxes (N, 4) from pairs of opposite corners (N, 2, 2); NaN stays NaN."""
    return torch.cat((corners.amin(dim=1), corners.amax(dim=1)), dim=1)


def resized(
    picture: Bytes,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    resample: Image.Resampling = Image.Resampling.BILINEAR,
) -> Bytes:
    """The part `box` of a picture (H, W, 3) at another (width, height), antialiased."""
    return np.asarray(Image.fromarray(picture).resize(size, resample, box=box, reducing_gap=3.0))


def to_bytes(image: Tensor) -> Bytes:
    """(3, H, W) as (H, W, 3), which Pillow and numpy work on."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def to_tensor(picture: Bytes) -> Tensor:
    """(H, W, 3) as (3, H, W), a copy."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
