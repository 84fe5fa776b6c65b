"""Bringing a coarse map to the edges of a picture: around each place the map is taken for a linear function of colour.

Source: He, Sun & Tang, "Guided Image Filtering", ECCV 2010, section 3.5 for guides in colour; that the coefficients,
which are smooth, can be worked out in a reduced picture and used in the whole one: He & Sun, "Fast Guided Filter",
arXiv:1505.00996, 2015.

Convention
----------
Maps are (h, w), guides (h, w, 3), both of values of about one; a window has 2 ``radius`` + 1 pixels a side, and beyond
the border the outermost pixels go on.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def guided_filter(
    values: Floats, guide: Floats, radius: int, smoothness: float, whole: NDArray[np.uint8] | None = None
) -> Floats:
    """Smooth a map where the guide is smooth, and let it change where the guide's colours do.

    In every window a map q = a . colour + b is fitted to the values, by least squares with ``smoothness`` times a^2 on
    top; what comes out at a pixel is the mean over all windows that hold it. So what is alike in colour and close
    gets alike values: an edge moves to where the colours change, and a hole stays only where there is another colour.

    Args:
        values: (h, w).
        guide: (h, w, 3), the picture's colours in [0, 1].
        radius: of the windows, in pixels of the map.
        smoothness: colours that vary by less than its root count as one colour.
        whole: (H, W, 3) uint8, the picture that ``guide`` is a reduced copy of; None: there is none.

    Returns:
        (h, w), or (H, W) where the whole picture is given.

    Example:
        >>> picture = np.zeros((20, 20, 3), np.uint8)
        >>> picture[:, 8:] = 255
        >>> coarse = np.tile(np.linspace(0, 1, 20, dtype=np.float32), (20, 1))
        >>> fine = guided_filter(coarse, picture / np.float32(255), 4, 1e-4)
        >>> (fine[10, [3, 7, 8, 12]] > fine.mean()).tolist()
        [False, False, True, True]
    """
    slope, offset = _coefficients(values, np.moveaxis(guide, -1, 0), radius, smoothness)
    if whole is None:
        return _applied(slope, offset, guide)
    shape = (whole.shape[0], whole.shape[1])
    return _applied(_enlarged(slope, shape), _enlarged(offset[None], shape)[0], whole * np.float32(1 / 255))


def _applied(slope: Floats, offset: Floats, guide: Floats) -> Floats:
    found: Floats = np.einsum("chw,hwc->hw", slope, guide) + offset
    return found


def _coefficients(values: Floats, colours: Floats, radius: int, smoothness: float) -> tuple[Floats, Floats]:
    """The mean a (3, h, w) and b (h, w) of the windows around each pixel; colours are (3, h, w)."""
    there, shown = values.astype(np.float64), colours.astype(np.float64)  # spreads are differences of large means
    around, mean = _mean(shown, radius), _mean(there, radius)
    shared = _mean(shown * there, radius) - around * mean
    spread = _mean(shown[:, None] * shown[None], radius) - around[:, None] * around[None]
    first, second, third = spread + smoothness * np.eye(3)[..., None, None]
    inverse = np.stack(  # by its columns, but for the determinant
        [np.cross(second, third, axis=0), np.cross(third, first, axis=0), np.cross(first, second, axis=0)]
    )
    slope = (shared[:, None] * inverse).sum(0) / (first * inverse[0]).sum(0)
    found = _mean(np.concatenate([slope, (mean - (slope * around).sum(0))[None]]), radius).astype(np.float32)
    return found[:3], found[3]


def _mean(values: Doubles, radius: int) -> Doubles:
    """The mean over the window around each pixel, of the last two axes."""
    window = (1,) * (values.ndim - 2) + (2 * radius + 1,) * 2
    found: Doubles = ndimage.uniform_filter(values, window, mode="nearest")
    return found


def _enlarged(maps: Floats, shape: tuple[int, int]) -> Floats:
    """Maps (C, h, w) at another size (height, width)."""
    found: Floats = F.interpolate(torch.from_numpy(maps)[None], shape, mode="bilinear", align_corners=False)[0].numpy()
    return found
