"""Regions without hairs, in one piece each and without holes: of all at once, however many touch."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

Labels = NDArray[np.int32]


def tidied(labels: Labels) -> Labels:
    """Regions (H, W) opened by one pixel, of each only the largest piece, and that without holes.

    A region that nothing is left of when it is opened stays as it is. What other regions share in enclosing is no hole.

    Example:
        >>> ring = np.zeros((7, 9), np.int32)
        >>> ring[:, :7], ring[3, 3], ring[0, 8] = 5, 0, 5
        >>> (tidied(ring) == 5).sum(axis=0).tolist()
        [7, 7, 7, 7, 7, 7, 7, 0, 0]
    """
    return _without_holes(_largest_pieces(_opened(labels)))


def _opened(labels: Labels) -> Labels:
    core = labels * np.logical_and.reduce([each == labels for each in _beside(labels)])
    near = np.logical_or.reduce([core > 0, *(each == labels for each in _beside(core))])
    opened = labels * near
    left = np.bincount(opened.ravel(), minlength=int(labels.max(initial=0)) + 1) > 0
    return np.where(left[labels], opened, labels)


def _largest_pieces(labels: Labels) -> Labels:
    pieces = label(labels, background=0, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    owner = np.zeros(len(sizes), np.int32)
    owner[pieces] = labels
    order = np.argsort(sizes, kind="stable")
    largest = np.zeros(int(labels.max(initial=0)) + 1, np.intp)
    largest[owner[order]] = order  # the last that is written stays
    return np.where(largest[owner] == np.arange(len(sizes)), owner, 0).astype(np.int32)[pieces]


def _without_holes(labels: Labels) -> Labels:
    """What is ground all round which lies one and the same region becomes that region's."""
    ground, count = ndimage.label(labels == 0)
    lowest, highest = np.full(count + 1, np.iinfo(np.int32).max), np.zeros(count + 1, np.int64)
    for beside in _beside(labels):
        rim = (ground > 0) & (beside > 0)
        np.minimum.at(lowest, ground[rim], beside[rim])
        np.maximum.at(highest, ground[rim], beside[rim])
    hole = lowest == highest
    hole[np.concatenate([ground[0], ground[-1], ground[:, 0], ground[:, -1]])] = False
    return np.where(hole[ground], lowest[ground], labels).astype(np.int32)


def _beside(image: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """An image (H, W) moved by one pixel down, up, right and left; at the border it goes on as it ends."""
    wide = np.pad(image, 1, mode="edge")
    parts = product((slice(0, -2), slice(2, None)), (slice(1, -1),))
    return [*(wide[part] for part in parts), wide[1:-1, :-2], wide[1:-1, 2:]]
