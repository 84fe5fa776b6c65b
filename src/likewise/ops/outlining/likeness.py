"""How like some pixels of a picture all others are: colours at two scales, weighed by what tells the two apart.

Source: the features are weighed as Nguyen & Todorovic, "Feature Weighting and Boosting for Few-Shot Segmentation",
ICCV 2019, weigh channels, by how well each tells inside from ground on the example itself; the sum is an additive
logistic regression by Newton steps (Friedman, Hastie & Tibshirani, "Additive logistic regression", Annals of Statistics
28, 2000, algorithm 3), whose learners are tables over one feature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

#: Each feature is cut into so many bins, between quantiles of the picture's values, which a table gives a log odds.
BINS, TAILS = 32, (0.002, 0.998)
#: The quantiles are read from about so many pixels, and a table is learnt from at most so many of each side.
SAMPLED, LEARNT = 4_000, 2_000
#: Newton steps, and the share of each that is taken.
STEPS, RATE = 24, 0.5
#: Sides of the windows of texture and of surroundings, in object sizes.
COARSE, WIDE = 0.25, 2.0


def opponent_colours(pixels: NDArray[np.uint8]) -> Floats:
    """Pixels (H, W, 3) as (3, H, W): grey, red less blue, and green less the mean of both; grey ones as (1, H, W).

    Example:
        >>> opponent_colours(np.uint8([[[90, 60, 30]]])).ravel().tolist()
        [60.0, 60.0, 0.0]
        >>> opponent_colours(np.uint8([[[40, 40, 40]]])).ravel().tolist()
        [40.0]
    """
    if all(np.array_equal(pixels[..., 0], pixels[..., channel]) for channel in (1, 2)):
        return pixels[None, ..., 0].astype(np.float32)
    red, green, blue = np.moveaxis(pixels.astype(np.float32), -1, 0)
    return np.stack([(red + green + blue) / 3, red - blue, green - (red + blue) / 2])


def smoothed(image: Floats) -> Floats:
    """An image (H, W) blurred by 1 2 1 along both sides, about a Gaussian of 0.7 pixels."""
    rows = np.pad(image, 1, mode="edge")
    rows = rows[:-2] + 2 * rows[1:-1] + rows[2:]
    found: Floats = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) * np.float32(1 / 16)
    return found


def averaged(image: Floats, side: float) -> Floats:
    """The mean over a square of odd side around each pixel, of an image (H, W) or of each of several (C, H, W)."""
    window = (1,) * (image.ndim - 2) + (int(side) | 1,) * 2
    found: Floats = ndimage.uniform_filter(image, window)
    return found


def pixel_features(colours: Floats, side: float) -> Floats:
    """What each pixel is judged by: (F, H, W).

    Args:
        colours: (C, H, W), lightly blurred.
        side: of an object, pixels.

    Returns:
        The colours, their means over a quarter of an object, how much grey differs there, and from what is around.
    """
    grey, near = colours[0], max(3.0, COARSE * side)
    coarse = averaged(colours, near)
    spread = np.sqrt(np.maximum(averaged(grey * grey, near) - coarse[0] ** 2, 0))
    return np.concatenate([colours, coarse, spread[None], (grey - averaged(grey, WIDE * side))[None]])


def binned(features: Floats) -> NDArray[np.uint8]:
    """Features (F, H, W) as the numbers of bins."""
    flat = features.reshape(len(features), -1)
    low, high = np.quantile(flat[:, :: max(1, flat.shape[1] // SAMPLED)], TAILS, axis=1).astype(np.float32)
    scale = BINS / np.maximum(high - low, 1e-3)
    found = np.empty(features.shape, np.uint8)
    for each, into, least, times in zip(features, found, low, scale, strict=True):
        into[...] = np.clip((each - least) * times, 0, BINS - 1)
    return found


def learn_tables(bins: NDArray[np.uint8], inside: Ints, ground: Ints) -> Floats:
    """Tables (F, BINS) whose sum over the features is the log odds that a pixel is inside.

    Both sides weigh the same, however many pixels each has. Each step goes to the feature that gains most.

    Args:
        bins: (F, H, W), from `binned`.
        inside: flat indices of pixels that are, at least one.
        ground: of pixels that are not, at least one.

    Example:
        >>> dark_and_bright = np.uint8([[[2, 2, 30, 30]]])
        >>> table = learn_tables(dark_and_bright, inside=np.array([2, 3]), ground=np.array([0, 1]))
        >>> bool(table[0, 30] > 2), bool(table[0, 2] < -2)
        (True, True)
    """
    sides = [each[:: max(1, len(each) // LEARNT)] for each in (inside, ground)]
    values = bins.reshape(len(bins), -1)[:, np.concatenate(sides)]
    truth = np.concatenate([np.full(len(each), share) for each, share in zip(sides, (1.0, 0.0), strict=True)])
    weight = np.concatenate([np.full(len(each), 0.5 / len(each)) for each in sides])
    cells = (values + np.arange(len(bins))[:, None] * BINS).ravel()
    tables = np.zeros((len(bins), BINS), np.float32)
    odds = np.zeros(len(truth))
    for _ in range(STEPS):
        sure = 1 / (1 + np.exp(-odds))
        slope = _by_bin(cells, weight * (truth - sure), len(bins))
        curve = _by_bin(cells, weight * np.maximum(sure * (1 - sure), 1e-4), len(bins))
        step = slope / (curve + 0.01 / BINS)
        best = int((slope * step).sum(1).argmax())
        tables[best] += RATE * step[best]
        odds += RATE * step[best][values[best]]
    return tables


def log_odds(bins: NDArray[np.uint8], tables: Floats) -> Floats:
    """(H, W): what the tables (F, BINS) say of each pixel of ``bins`` (F, H, W)."""
    found = np.zeros(bins.shape[1:], np.float32)
    for values, table in zip(bins, tables, strict=True):
        if table.any():
            found += np.take(table, values)
    return found


def _by_bin(cells: Ints, weights: NDArray[np.float64], features: int) -> NDArray[np.float64]:
    """Sums (F, BINS) of weights (n,), each shared with the bins next to it: tables are smooth."""
    sums = np.bincount(cells, np.tile(weights, features), features * BINS).reshape(features, BINS)
    found: NDArray[np.float64] = ndimage.gaussian_filter1d(sums, 1.0, axis=1, mode="nearest")
    return found
