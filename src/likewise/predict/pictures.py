"""Whatever a caller has that holds a picture, as pixels."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.data.images import ImageSource, read_image
from likewise.errors import LikewiseError

Picture = ImageSource | Tensor


def pixels_of(image: Picture) -> NDArray[Any]:
    """(H, W, 3) uint8, RGB, of a path, a Pillow picture, an array or a tensor (3, H, W).

    Raises:
        LikewiseError: it cannot be read, or is of another shape.
    """
    if not isinstance(image, Tensor):
        return read_image(image)
    if image.ndim != 3 or image.shape[0] != 3:
        raise LikewiseError(f"the tensor has shape {tuple(image.shape)}; expected (3, H, W), RGB")
    return read_image(image.detach().cpu().permute(1, 2, 0).numpy())


def source_of(image: Picture) -> str | None:
    """The picture's file name, where it has one."""
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "")) or None
    return str(image) if isinstance(image, (str, os.PathLike)) else None
