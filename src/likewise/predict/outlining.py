"""From counted points to outlines: what is grown at a size good to grow at is brought to the picture's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from likewise.boxes import mean_width_height
from likewise.draw import nearest_distances
from likewise.errors import LikewiseError
from likewise.ops.outlining.growing import SHARE, Grown, grow
from likewise.ops.outlining.parting import Labels
from likewise.predict.prepared_image import Picture, PreparedImage
from likewise.results import CountResult
from likewise.results.measures import channel_means
from likewise.results.outlines import Outlines
from likewise.sources.stored import stored_channels
from likewise.types import Box

#: Things are grown in a copy of the picture in which they are at most so large, pixels.
GROWN_AT = 24.0


def check_outlined(picture: object) -> None:
    """See, before a picture is counted, that its things can be outlined.

    Raises:
        LikewiseError: it is a giant, which is never in memory whole.
    """
    if not isinstance(picture, PreparedImage):
        raise LikewiseError(
            "outlines are made of pictures that fit into memory, and this one is counted window by window; "
            "cut out the part that matters, or count it without outlines"
        )


def outlined(result: CountResult, picture: PreparedImage, original: Picture | PreparedImage) -> CountResult:
    """A count with the outline of each thing.

    Args:
        result: of a picture.
        picture: whose pixels they are.
        original: what the picture was made of, by whose stored values things are measured; a picture that was prepared
            is measured by its 8 bits.

    Raises:
        LikewiseError: the original cannot be read again.
    """
    size = _thing_size(result)
    pixels = np.asarray(picture.pixels)
    labels, likeness = outline_points(pixels, result.points, size, result.prompt.exemplars)
    channels = stored_channels(pixels if isinstance(original, PreparedImage | Tensor) else original)
    means = {name: channel_means(labels, values, len(result.points)) for name, values in channels}
    return replace(result, outlines=Outlines(labels, likeness, means))


def outline_points(
    pixels: NDArray[np.uint8],
    points: NDArray[np.floating],
    size: tuple[float, float],
    exemplars: Sequence[Box] = (),
) -> tuple[Labels, NDArray[np.float32]]:
    """The region of each point, and how sure it is.

    Args:
        pixels: (H, W, 3) uint8.
        points: (N, 2) x y.
        size: (width, height) of the examples, pixels.
        exemplars: boxes of those in this picture.

    Returns:
        Labels (H, W) int32, 1 + the point's index or 0 for the ground; and (N,) float32 in [0, 1], the mean over each
        region of the odds that its pixels are like the examples; 0 where there is none.
    """
    height, width = pixels.shape[:2]
    if len(points) == 0:
        return np.zeros((height, width), np.int32), np.zeros(0, np.float32)
    side = float(np.sqrt(size[0] * size[1]))
    shown = (max(1, round(width * min(1.0, GROWN_AT / side))), max(1, round(height * min(1.0, GROWN_AT / side))))
    scale = np.array(shown) / (width, height)
    small = pixels
    if shown != (width, height):
        small = np.asarray(Image.fromarray(pixels).resize(shown, Image.Resampling.BOX))
    boxes = np.array(exemplars, np.float64).reshape(-1, 4) * np.tile(scale, 2)
    grown = grow(small, points * scale, (size[0] * scale[0], size[1] * scale[1]), boxes)
    sure = 1 / (1 + np.exp(-grown.likeness))
    means = np.nan_to_num(channel_means(grown.labels, sure, len(points)))
    return _enlarged(grown, (width, height)), means.astype(np.float32)


def _enlarged(grown: Grown, size: tuple[int, int]) -> Labels:
    """Labels at another size, their edges where what grew says; where two meet, the lower number has the pixel."""
    labels = grown.labels
    height, width = labels.shape
    if size == (width, height):
        return labels
    found = np.zeros(size[::-1], np.int32)
    across, down = size[0] / width, size[1] / height
    for number, part in enumerate(ndimage.find_objects(labels), start=1):
        if part is None:
            continue
        y0, x0 = (max(0, each.start - 1) for each in part)
        y1, x1 = min(height, part[0].stop + 1), min(width, part[1].stop + 1)
        left, top, right, bottom = round(x0 * across), round(y0 * down), round(x1 * across), round(y1 * down)
        mask = Image.fromarray(_softened(labels[y0:y1, x0:x1], grown.level[y0:y1, x0:x1], number))
        box = (left / across - x0, top / down - y0, right / across - x0, bottom / down - y0)
        box = (max(0.0, box[0]), max(0.0, box[1]), min(float(x1 - x0), box[2]), min(float(y1 - y0), box[3]))
        larger = np.asarray(mask.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)) >= 128
        place = found[top:bottom, left:right]
        place[larger & (place == 0)] = number
    return found


def _softened(labels: Labels, level: NDArray[np.float32], number: int) -> NDArray[np.uint8]:
    """A region as grey levels: at least 128 inside, less outside, by how far inside the edge each pixel's colour is."""
    inside, share = labels == number, 0.5 + SHARE * level
    soft = np.where(inside, np.maximum(share, 0.51), np.minimum(share, 0.49) * (labels == 0))
    return (soft.clip(0, 1) * 255).astype(np.uint8)


def _thing_size(result: CountResult) -> tuple[float, float]:
    """(width, height) of a thing: of the examples, or of what a name found, or as far as things are apart."""
    if result.object_size is not None:
        return result.object_size
    if result.found:
        return mean_width_height(result.found)
    apart = nearest_distances(result.points)
    side = float(np.median(apart)) if len(apart) > 1 else min(result.size) / 4
    return side, side
