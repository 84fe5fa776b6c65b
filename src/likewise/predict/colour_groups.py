"""Things of another kind, told by their colours: where what was found falls into two groups and one holds no example.

A density does not say red from silver where a bottle's shape is all that it goes by. Colours do, where they leave no
doubt: the distances of all things from the examples' colours have a gap, wide beside how much the things on either side
of it differ (Ashman's D), and beside how much the examples do.

Convention
----------
Colours are mean CIE L*a*b* of a disc in the middle of a thing, lightness at half its weight: light differs more than
things do. Points and sides are in pixels of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from likewise.boxes import mean_side
from likewise.preprocess.scaled_view import Pixels, View
from likewise.types import Box

#: Pixels that a thing's side has where its colour is looked at, and radius of the disc as a share of that side.
SIDE, DISC = 8.0, 0.34
#: Weight of lightness beside 1 for the two colours.
LIGHTNESS = 0.5
#: Two groups are apart from this Ashman's D on ...
GAP = 4.0
#: ... if the farther one is this many times as far from the examples as these are from each other ...
FAR = 1.5
#: ... which is taken to be at least this much: below it, nobody would call it another colour.
ALIKE = 10.0
#: Things with less density than this do not decide where a gap is.
CLEAR = 0.3
#: Fewer things fall into no groups.
FEWEST = 4

Colours = NDArray[np.float32]


def colours_at(pixels: Pixels, points: NDArray[np.floating], side: float) -> Colours:
    """(N, 3): the colours in the middle of things.

    Args:
        pixels: of the picture, (H, W, 3) uint8.
        points: (N, 2) x y, the middles.
        side: of a thing.
    """
    view = View.of(pixels, min(1.0, SIDE / side))
    picture = view.cut()
    factor = np.array([view.width / pixels.shape[1], view.height / pixels.shape[0]])
    reach = max(DISC * side * float(factor.mean()), 0.5)
    steps = np.arange(-math.floor(reach), math.floor(reach) + 1)
    across, down = (each.ravel() for each in np.meshgrid(steps, steps))
    inside = across**2 + down**2 <= reach**2
    places = np.floor(np.asarray(points, np.float64).reshape(-1, 2) * factor).astype(int)
    x = (places[:, :1] + across[inside]).clip(0, view.width - 1)
    y = (places[:, 1:] + down[inside]).clip(0, view.height - 1)
    lab = rgb2lab(picture[y, x]).mean(axis=1) if len(places) else np.zeros((0, 3))
    return (lab * (LIGHTNESS, 1.0, 1.0)).astype(np.float32)


def colours_of(pixels: Pixels, boxes: Sequence[Box]) -> Colours:
    """(K, 3): the colours of examples, of which no more is read than their surroundings."""
    side, found = mean_side(boxes), []
    for x0, y0, x1, y1 in boxes:
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        left, top = max(0, math.floor(x - side)), max(0, math.floor(y - side))
        around = pixels[top : math.ceil(y + side), left : math.ceil(x + side)]
        found.append(colours_at(around, np.array([[x - left, y - top]]), side))
    return np.concatenate(found)


def of_another_colour(
    colours: Colours, masses: NDArray[np.floating], examples: Colours, shown: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(N,): which things are of a group of colours of their own, in which no example is; none where there is no gap.

    Args:
        colours: (N, 3).
        masses: (N,) the density of each.
        examples: (K, 3), K >= 1.
        shown: (N,) which things are examples: they stay.

    Example:
        >>> red, grey = np.array([[25, 60, 40.0]] * 5), np.array([[30, 2, 1.0]] * 4)
        >>> found = np.concatenate([red, grey]).astype(np.float32)
        >>> of_another_colour(found, np.ones(9), found[:2], np.arange(9) < 2).astype(int)
        array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    """
    none = np.zeros(len(colours), bool)
    away = np.linalg.norm(colours[:, None] - examples[None], axis=-1).min(axis=1)
    distances = np.sort(away[masses > CLEAR]).astype(np.float64)
    if len(distances) < FEWEST:
        return none
    split = _best_split(distances)
    near, far = distances[:split], distances[split:]
    alike = max(ALIKE, float(np.linalg.norm(examples[:, None] - examples[None], axis=-1).max()))
    gap = (far.mean() - near.mean()) * math.sqrt(2) / math.sqrt(near.var() + far.var() + 1e-6)
    if gap < GAP or far.min() < alike or far.mean() < FAR * alike:
        return none
    return np.asarray((away > (near.max() + far.min()) / 2) & ~shown)


def _best_split(values: NDArray[np.float64]) -> int:
    """How many of at least two sorted values are in the lower of two groups (Otsu, 1979)."""
    lower = np.arange(1, len(values))
    upper, sums = len(values) - lower, np.cumsum(values)
    apart = sums[:-1] / lower - (sums[-1] - sums[:-1]) / upper
    return int(np.argmax(lower * upper * apart**2)) + 1
