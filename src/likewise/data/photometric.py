"""How a training crop may look: one kind of thing seen under other light, in other colours, by a worse camera.

The strongest part is `colour_field`: a gain and an offset that change slowly over the crop, each channel its own
way, so that the objects of one crop differ from each other as things of one kind do in the world.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from likewise.data.decoders import open_image

#: Rec. 601 luma, what a grey picture shows of RGB.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class ColorJitter:
    """Strengths and probabilities of what `jitter_colours` changes; every strength is the largest, drawn from 0 up.

    Attributes:
        field: probability of a colour field.
        gain: its largest |log gain| common to the three channels.
        tint: its largest further |log gain| of each channel alone.
        offset: its largest |offset|, of each channel alone.
        cells: fewest and most cells a side of the coarse grid the field is drawn on.
        brightness: |log| of the gain over the whole crop.
        contrast: |log| of the contrast.
        saturation: |log| of the saturation.
        hue: rotation about the grey axis, radians.
        grey: probability of no colour at all.
        invert: probability of the negative.
        blur: probability of a Gaussian blur, of sigma up to `blur_sigma` pixels.
        blur_sigma: see `blur`.
        noise: probability of sensor noise, of standard deviation up to `noise_sigma`.
        noise_sigma: see `noise`.
        jpeg: probability of JPEG compression, of quality `jpeg_quality` to 95.
        jpeg_quality: see `jpeg`.
    """

    field: float = 0.8
    gain: float = 0.6
    tint: float = 0.3
    offset: float = 0.1
    cells: tuple[int, int] = (2, 9)
    brightness: float = 0.25
    contrast: float = 0.35
    saturation: float = 0.6
    hue: float = 0.4
    grey: float = 0.1
    invert: float = 0.04
    blur: float = 0.2
    blur_sigma: float = 1.6
    noise: float = 0.25
    noise_sigma: float = 0.05
    jpeg: float = 0.15
    jpeg_quality: int = 35

    def stronger(self, times: float) -> ColorJitter:
        """The same with every strength of light and colour multiplied; what happens how often stays."""
        return replace(self, **{name: times * getattr(self, name) for name in LIGHT})


#: The strengths of a `ColorJitter` that are about light and colour.
LIGHT = ("gain", "tint", "offset", "brightness", "contrast", "saturation", "hue")


def jitter_colours(image: Tensor, look: ColorJitter, rng: np.random.Generator) -> Tensor:
    """A picture (3, H, W) uint8 as it might have looked; nothing in it moves.

    Args:
        image: (3, H, W) uint8 RGB.
        look: what may change, and how much.
        rng: decides.

    Returns:
        (3, H, W) uint8.
    """
    values = image.float().div_(255.0)
    if rng.random() < look.field:
        gain, offset = colour_field(image.shape[1:], look, rng)
        values.mul_(gain).add_(offset)
    values = _exposed(_recolour(values, look, rng))
    if rng.random() < look.invert:
        values = 1.0 - values
    values = _worsen(values, look, rng)
    eight = values.clamp_(0.0, 1.0).mul_(255.0).round_().to(torch.uint8)
    return _compressed(eight, int(rng.integers(look.jpeg_quality, 96))) if rng.random() < look.jpeg else eight


def colour_field(size: Sequence[int], look: ColorJitter, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A gain and an offset for every pixel and channel that change slowly over the picture.

    Args:
        size: (H, W).
        look: `gain`, `tint`, `offset` and `cells` are read.
        rng: decides on the strength, from none to the largest, and the field.

    Returns:
        (3, H, W) gain, within exp(+-(gain + tint)), and (3, H, W) offset, within +-offset.
    """
    cells = int(rng.integers(look.cells[0], look.cells[1] + 1))
    common, own, shift = (rng.uniform(0.0, 1.0, 3) * (look.gain, look.tint, look.offset)).astype(np.float32)
    nodes = rng.uniform(-1.0, 1.0, (7, cells, cells)).astype(np.float32)
    coarse = torch.from_numpy(np.concatenate((common * nodes[:1] + own * nodes[1:4], shift * nodes[4:])))
    down, across = (_spread(cells, length) for length in size)
    fine = down @ coarse @ across.T
    return fine[:3].exp_(), fine[3:]


def _spread(nodes: int, length: int) -> Tensor:
    """(length, nodes): smooth weights of the two nodes next to each pixel, which stand at even distances, end to end.

    They are positive and sum to one, so a field made with them never leaves its nodes' range.
    """
    place = torch.linspace(0.0, nodes - 1.0, length)
    far = (place[:, None] - torch.arange(nodes)).abs().clamp_(max=1.0)
    return 1.0 - far.square() * (3.0 - 2.0 * far)


def _recolour(values: Tensor, look: ColorJitter, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast, saturation and hue as one affine map of the three channels."""
    gain, contrast, saturation = np.exp(rng.uniform(-1.0, 1.0, 3) * (look.brightness, look.contrast, look.saturation))
    turned = _hue_rotation(float(rng.uniform(-look.hue, look.hue)))
    saturation = 0.0 if rng.random() < look.grey else saturation
    to_grey = np.broadcast_to(LUMA, (3, 3))
    matrix = gain * contrast * (saturation * turned + (1.0 - saturation) * to_grey)
    pivot = gain * (1.0 - contrast) * float(values.mean())
    mixed = torch.from_numpy(matrix.astype(np.float32)) @ values.flatten(1)
    return mixed.add_(pivot).view_as(values)


def _exposed(values: Tensor) -> Tensor:
    """Within [0, 1] and, as a camera's exposure would have it, with no more than a few values cut off.

    Without this a picture on white loses its objects in most of its changes.
    """
    low, high = values[:, ::8, ::8].quantile(torch.tensor([0.02, 0.98])).tolist()
    low, high = min(low, 0.0), max(high, 1.0)
    return values.sub_(low).div_(high - low).clamp_(0.0, 1.0)


def _hue_rotation(angle: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Rotation of RGB about the grey axis (Rodrigues' formula)."""
    axis = np.full(3, 1.0 / math.sqrt(3.0))
    cross = np.cross(np.eye(3), -axis)
    return math.cos(angle) * np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * np.outer(axis, axis)


def _worsen(values: Tensor, look: ColorJitter, rng: np.random.Generator) -> Tensor:
    if rng.random() < look.blur:
        sigma = float(rng.uniform(0.3, look.blur_sigma))
        values = TF.gaussian_blur(values, [2 * math.ceil(2.5 * sigma) + 1] * 2, [sigma, sigma])
    if rng.random() < look.noise:
        sigma = float(rng.uniform(0.0, look.noise_sigma))
        values = values + torch.from_numpy(rng.standard_normal(values.shape, dtype=np.float32)) * sigma
    return values


def _compressed(image: Tensor, quality: int) -> Tensor:
    # Pillow, because torchvision's own codecs are going away
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy())).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(open_image(file))).permute(2, 0, 1)
