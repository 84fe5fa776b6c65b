"""Which way up a picture is, by EXIF's numbers 1 to 8."""

from __future__ import annotations

import warnings
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

_T = TypeVar("_T", bound=np.generic)
#: The number that undoes a number; of all others it is the number itself.
_UNDOES = {6: 8, 8: 6}


def orientation_of(image: Image.Image) -> int:
    """EXIF's number for how a picture is stored; 1, upright, where its EXIF is missing, broken or says no number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken EXIF only the orientation is lost, which is 1 nearly always
        try:
            found = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
        except Exception:  # noqa: BLE001  # a parser of broken tags raises nearly anything
            return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(pixels: NDArray[_T], orientation: int) -> NDArray[_T]:
    """A view of pixels (H, W, ...) as they were stored, turned as EXIF's number says."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def as_stored(pixels: NDArray[_T], orientation: int) -> NDArray[_T]:
    """A view of upright pixels in the order in which a picture of that number stores them."""
    return upright(pixels, _UNDOES.get(orientation, orientation))
