"""Any picture Pillow can open, as 8-bit RGB or as a mask."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from likewise.errors import LikewiseError, nearest

#: Files that are looked for in folders of pictures.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")

#: Pillow's names of formats that do not keep black black.
LOSSY = ("JPEG", "MPO")

#: Pictures with more pixels than this are refused before they are decoded: 3 bytes a pixel, so 1.5 GB.
MAX_PIXELS = 500_000_000

ImageSource = str | os.PathLike[str] | Image.Image | NDArray[np.generic]
#: What is made of an open picture of a name.
_Making = Callable[[Image.Image, str], NDArray[Any]]

# Pillow's own limit is a module variable, lower than MAX_PIXELS, read while a file is opened.
_opening = threading.Lock()


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8 RGB, whatever it was before.

    EXIF rotation is applied, transparency is laid on white, palettes and CMYK become RGB. Grey beyond 8 bits is
    scaled from the smallest of 8, 10, 12, 14 or 16 bits that holds its largest value, so that a 12-bit camera's
    picture in a 16-bit file is not black. Float values are taken as [0, 1], or [0, 255] where one is above 1.

    Args:
        source: a path, a Pillow picture, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) in RGB(A) order.
        max_pixels: larger pictures are refused before they are decoded.

    Returns:
        A new array (H, W, 3), contiguous.

    Raises:
        LikewiseError: no such file, not a picture, a damaged or too large one (its name is in the message), an
            array of another shape or with values that are not finite.
    """
    return _from_array(source, "the array") if isinstance(source, np.ndarray) else _read(source, max_pixels, _pixels)


def read_mask(source: str | os.PathLike[str] | Image.Image, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_]:
    """Where a picture is neither black nor transparent, (H, W); EXIF rotation is applied.

    JPEG's compression leaves traces round everything: there, where it is at least half as bright as anywhere.

    Args:
        source: a path or a Pillow picture of any kind: black and white, labels in any number of bits, a cut-out.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        LikewiseError: as `read_image`.
    """
    return _read(source, max_pixels, _marked)


def _read(source: str | os.PathLike[str] | Image.Image, max_pixels: int, make: _Making) -> NDArray[Any]:
    if isinstance(source, Image.Image):
        return _decode(source, getattr(source, "filename", "") or "the picture", max_pixels, make)
    path = Path(source)
    if not path.is_file():
        raise LikewiseError(_missing(path))
    return _read_file(path, max_pixels, make)


def _read_file(path: Path, max_pixels: int, make: _Making) -> NDArray[Any]:
    try:
        with _open(path) as image:
            return _decode(image, str(path), max_pixels, make)
    except LikewiseError:
        raise
    except Exception as error:  # decoders of damaged files raise nearly anything: OSError, SyntaxError, struct.error
        raise LikewiseError(f"{path} cannot be read as a picture: {error or type(error).__name__}") from error


def _open(path: Path) -> Image.Image:
    with _opening:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _decode(image: Image.Image, name: str, max_pixels: int, make: _Making) -> NDArray[Any]:
    width, height = image.size
    if width * height > max_pixels:
        raise LikewiseError(
            f"{name} is {width} x {height} pixels, more than the {max_pixels / 1e6:g} million this reads; "
            "cut or shrink it first"
        )
    try:
        turned = ImageOps.exif_transpose(image)
        turned.format = image.format
        return make(turned, name)
    except (OSError, SyntaxError, ValueError) as error:
        raise LikewiseError(f"{name} cannot be read as a picture: {error}") from error


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _pixels(image: Image.Image, name: str) -> NDArray[np.uint8]:
    return _from_array(np.asarray(image), name) if _is_deep(image) else np.array(_to_rgb(image))


def _marked(image: Image.Image, name: str) -> NDArray[np.bool_]:
    if _is_deep(image):  # scaled to 8 bits, the first of many labels would be 0
        return np.asarray(image) != 0
    if image.format in LOSSY:
        grey = np.asarray(image.convert("L"))
        bright: NDArray[np.bool_] = (grey >= grey.max() / 2) & (grey > 0)
        return bright
    values = np.asarray(image.convert("RGBA"))
    found: NDArray[np.bool_] = (values[..., :3] != 0).any(2) & (values[..., 3] != 0)
    return found


def _to_rgb(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    # Pillow fills transparent places with whatever colour is stored below them, often black
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def _from_array(values: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    channels = 1 if values.ndim == 2 else values.shape[-1] if values.ndim == 3 else 0
    if channels not in (1, 3, 4) or 0 in values.shape:
        raise LikewiseError(f"{name} has shape {values.shape}; expected (H, W), (H, W, 3) or (H, W, 4), RGB")
    eight = _eight_bits(values.reshape(*values.shape[:2], channels), name)
    if channels == 4:
        return np.array(_to_rgb(Image.fromarray(eight)))
    return np.array(np.broadcast_to(eight, (*eight.shape[:2], 3)))


def _eight_bits(values: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values.view(np.uint8)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
        raise LikewiseError(f"{name} has values of type {values.dtype}; expected integers or floats")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise LikewiseError(f"{name} has values that are not finite (NaN or infinite)")
    if low < 0 or high > 65535:
        raise LikewiseError(f"{name} has values from {low:g} to {high:g}; expected [0, 1], [0, 255] or 16 bits")
    scale = 255.0 / _full_scale(high, np.issubdtype(values.dtype, np.floating))
    return np.rint(values.astype(np.float32) * scale).astype(np.uint8)


def _full_scale(high: float, floating: bool) -> float:
    """The value that means white, from the largest value present."""
    if floating and high <= 1:
        return 1.0
    return next(float(2**bits - 1) for bits in (8, 10, 12, 14, 16) if high <= 2**bits - 1)


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder; expected a picture"
    there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"no such file: {path}{nearest(path.name, there)}"


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by that puts IMG_9 before IMG_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
