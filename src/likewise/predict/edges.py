"""Scores brought to the edges of a picture: what the network sees coarsely, its own colours tell finely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.special import expit, logit

from likewise.ops.guided_filter import guided_filter
from likewise.ops.outlining.likeness import binned, learn_tables, log_odds, opponent_colours, pixel_features

Floats = NDArray[np.float32]

#: Of what scores more than the second the colours of the thing are learnt, of what scores less than the first the
#: ground's, where each has so many pixels.
SURE, FEW = (0.3, 0.7), 50
#: Pixels of the network's over which colours are smoothed, and then their log odds.
BLUR = 0.6
#: The windows of texture and surroundings are those of a thing at most so large, as a share of the longer side.
LARGEST = 0.25
#: Colours that vary by less than the root of this are one colour to the guided filter.
SMOOTHNESS = 1e-4


def refined(score: Floats, pixels: NDArray[np.uint8], reach: float) -> Floats:
    """A score at a picture's own size, its edges where the picture's are.

    What is surely the thing and what surely is not teach what their colours are, in this very picture, as GrabCut does
    (Rother, Kolmogorov & Blake, SIGGRAPH 2004); what that says of each pixel is added to the network's log odds, so
    that a shadow goes and a hole closes where colours speak for it. A guided filter then moves edges to where colours
    change.

    Args:
        score: (h, w) in [0, 1].
        pixels: (H, W, 3), the picture.
        reach: of the guided filter's windows, as a share of the longer side.

    Returns:
        (H, W) in [0, 1].
    """
    height, width = score.shape
    small = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))
    odds = logit(score.clip(1e-3, 1 - 1e-3)) + _likeness(small, score)
    radius = max(1, round(reach * max(height, width)))
    share = expit(odds).astype(np.float32, copy=False)
    return guided_filter(share, small * np.float32(1 / 255), radius, SMOOTHNESS, pixels).clip(0, 1)


def _likeness(pixels: NDArray[np.uint8], score: Floats) -> Floats:
    """(h, w): log odds of each pixel, by the colours of those of which the score is sure; 0 where too few are."""
    ground, inside = np.flatnonzero(score < SURE[0]), np.flatnonzero(score > SURE[1])
    if min(len(ground), len(inside)) < FEW:
        return np.zeros_like(score)
    side = min(float(np.sqrt(np.count_nonzero(score > 0.5))), LARGEST * max(score.shape))
    colours = np.stack([_blurred(colour) for colour in opponent_colours(pixels)])
    bins = binned(pixel_features(colours, side))
    return _blurred(log_odds(bins, learn_tables(bins, inside, ground)))


def _blurred(image: Floats) -> Floats:
    found: Floats = ndimage.gaussian_filter(image, BLUR, truncate=2.5)
    return found
