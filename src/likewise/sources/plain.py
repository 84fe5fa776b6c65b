"""Pictures that are read whole: photographs, arrays, and whatever else `likewise.data.images` reads."""

from __future__ import annotations

import os
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.data.images import ImageSource, read_image
from likewise.errors import LikewiseError
from likewise.sources.base import PictureSource, Window
from likewise.sources.choice import PLAIN, Choice


class PlainSource(PictureSource):
    """A picture in memory, as `read_image` gives it.

    Args:
        image: as of `read_image`.
        choice: of which only the contrast matters.

    Attributes:
        original: what it was made of.

    Raises:
        LikewiseError: as `read_image` does; or a channel, plane or frame is chosen where there is one.
    """

    def __init__(self, image: ImageSource, choice: Choice = PLAIN) -> None:
        self.choice, self.original = choice, image
        self.name = _name(image)
        self._pixels = read_image(image, contrast=choice.contrast)
        self.sizes = ((self._pixels.shape[1], self._pixels.shape[0]),)
        if choice.is_made() and choice.index(self.axes, self.name or "the picture")[0] is not None:
            raise LikewiseError(f"{self.name or 'the picture'} has colours, not channels")

    @cached_property
    def _as_is(self) -> bool:
        return True

    def stored(self, level: int, window: Window) -> NDArray[np.uint8]:  # there is one level
        """The colours of a window."""
        x0, y0, x1, y1 = window
        return self._pixels[y0:y1, x0:x1]

    def colours(self, level: int, window: Window) -> NDArray[np.uint8]:
        """The colours of a window: a view, not a copy."""
        return self.stored(level, window)

    def whole(self) -> tuple[NDArray[np.uint8], None]:
        """The picture itself."""
        return self._pixels, None

    def pixels(self, level: int = 0) -> NDArray[np.uint8]:  # there is one level
        """The picture itself."""
        return self._pixels


def _name(image: ImageSource) -> str:
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", ""))  # only pictures read from a file have one
    return str(image) if isinstance(image, (str, os.PathLike)) else ""
