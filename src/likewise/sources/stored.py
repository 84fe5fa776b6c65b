"""What a picture's file stores, channel by channel: what things are measured by, before anything was made 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.data.images import ImageSource, read_stored
from likewise.sources.base import PictureSource
from likewise.sources.opening import open_source
from likewise.sources.plain import PlainSource

#: What one channel without a name is called, and three of a picture with colours.
ALONE, COLOURS = ("grey",), ("red", "green", "blue")

Channel = tuple[str, NDArray[np.generic]]


def stored_channels(picture: ImageSource | PictureSource) -> Iterator[Channel]:
    """Every channel of a picture by name, (H, W) each, as its file or its array holds it, upright.

    Of a file with several channels, planes and frames, all channels of the plane and the frame that were chosen. What
    was not recorded is NaN.

    Args:
        picture: as of `likewise.open_source`; of at most `likewise.sources.GIANT` pixels.

    Raises:
        LikewiseError: as `likewise.open_source`.

    Example:
        >>> [(name, values.dtype.name) for name, values in stored_channels(np.zeros((4, 4), np.uint16))]
        [('grey', 'uint16')]
    """
    if not isinstance(picture, PictureSource):
        with open_source(picture) as source:
            yield from stored_channels(source)
    elif isinstance(picture, PlainSource):
        yield from _split(read_stored(picture.original))
    elif not picture.axes.channels:
        yield from _split(_whole(picture))
    else:
        yield from _named(picture)


def _named(picture: PictureSource) -> Iterator[Channel]:
    for number, name in enumerate(picture.axes.channels):
        with open_source(Path(picture.name), replace(picture.choice, channel=number)) as source:
            yield name, _whole(source)[..., 0]


def _whole(picture: PictureSource) -> NDArray[np.generic]:
    values = picture.values(0, (0, 0, picture.width, picture.height))
    if np.ma.is_masked(values):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return np.ma.getdata(values)


def _split(values: NDArray[np.generic]) -> Iterator[Channel]:
    """The channels of values (H, W, C): one, or colours; equal ones are one, and what is opaque is none."""
    colours = values[..., : values.shape[2] - (values.shape[2] in (2, 4))]
    same = colours.shape[2] == 1 or bool((colours == colours[..., :1]).all())
    for place, name in enumerate(ALONE if same else COLOURS):
        yield name, colours[..., place]
