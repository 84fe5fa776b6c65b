"""A picture, whatever a caller has it in, and what networks prepared of it: no counter is known here."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.data.images import ImageSource, read_image
from likewise.errors import LikewiseError
from likewise.ops.density.tiling import TileBox
from likewise.placement import Placement
from likewise.predict.protocols import Preparable, Prepared
from likewise.preprocess.scaled_view import Pixels, View
from likewise.sources import GIANT, PictureSource, open_source

Picture = ImageSource | Tensor | PictureSource

#: Longest side of the copy of a picture that a result carries to draw on.
PREVIEW = 1600
#: Bytes of prepared features that a picture keeps where it will be asked about again.
KEPT_BYTES = 1 << 28


class PreparedImage:
    """A picture's pixels, and what networks prepared of them at the scales at which it was seen.

    What no prompt changes of looking at a picture is worked out once for a network and a scale, and kept.

    Args:
        image: a path, a Pillow picture, an array (H, W), (H, W, 3) or (H, W, 4), a tensor (3, H, W), or a source.
        kept_bytes: prepared features are kept up to here, the ones used last first; 0: nothing is prepared.
        lazy: the pixels of a source are read where they are needed, not all at once.

    Attributes:
        pixels: (H, W, 3) uint8; of a lazy one, what is read where it is cut.
        valid: (H, W) bool, where anything was recorded; None: everywhere.
        source: the picture's file name, where it has one.
        placement: how large a pixel is, or where on earth, where that is known.

    Raises:
        LikewiseError: an unreadable picture.
    """

    def __init__(self, image: Picture, kept_bytes: int = 0, *, lazy: bool = False) -> None:
        self.valid: NDArray[np.bool_] | None = None
        self.placement: Placement | None = None
        self.pixels: Pixels
        self.source = source_of(image)
        self._thumbnail: Callable[[], NDArray[np.uint8]] | None = None
        if isinstance(image, PictureSource):
            self.placement = image.placement
            self.pixels, self.valid = (image.pixels(), None) if lazy else image.whole()
            self._thumbnail = image.thumbnail if lazy else None
        else:
            self.pixels = pixels_of(image)
        self._most = kept_bytes
        self._preview: NDArray[np.uint8] | None = None
        self._prepared: OrderedDict[tuple[Preparable, TileBox, TileBox], Prepared] = OrderedDict()

    @property
    def width(self) -> int:
        """Of the picture, pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Of the picture, pixels."""
        return int(self.pixels.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture, pixels."""
        return self.width, self.height

    def preview(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8, the picture or a reduced copy of it, to draw on."""
        if self._preview is None:
            self._preview = self._thumbnail() if self._thumbnail else preview_of(np.asarray(self.pixels))
        return self._preview

    def mirrored(self) -> PreparedImage:
        """The picture's mirror image, of which nothing is kept."""
        turned = PreparedImage(np.ascontiguousarray(np.asarray(self.pixels)[:, ::-1]))
        turned.valid = None if self.valid is None else self.valid[:, ::-1]
        return turned

    def tile(self, network: Preparable, view: View, box: TileBox, device: torch.device) -> Tensor | Prepared:
        """What a network is shown of a view of this picture: (1, 3, h, w) RGB in [0, 1], or what it prepared of that.

        Args:
            network: what is shown it.
            view: of this picture.
            box: (y0, x0, y1, x1) of the view.
            device: of the network.
        """
        if self._most == 0:
            return view.tensor(box).to(device)
        key = (network, view.part, box)  # views of one canvas differ by where the picture lies
        if key not in self._prepared:
            self._prepared[key] = network.prepare(view.tensor(box).to(device))
        self._prepared.move_to_end(key)
        while len(self._prepared) > 1 and sum(kept.nbytes for kept in self._prepared.values()) > self._most:
            self._prepared.popitem(last=False)
        return self._prepared[key]


def pixels_of(image: Picture) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, RGB, of a path, a Pillow picture, an array, a tensor (3, H, W) or a source.

    Raises:
        LikewiseError: it cannot be read, or is of another shape.
    """
    if isinstance(image, PictureSource):
        return image.whole()[0]
    if isinstance(image, (str, os.PathLike)):
        with open_source(image) as source:
            return source.whole()[0]
    if not isinstance(image, Tensor):
        return read_image(image)
    if image.ndim != 3 or image.shape[0] != 3:
        raise LikewiseError(f"the tensor has shape {tuple(image.shape)}; expected (3, H, W), RGB")
    return read_image(image.detach().cpu().permute(1, 2, 0).numpy())


def source_of(image: Picture) -> str | None:
    """The picture's file name, where it has one."""
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "")) or None  # only pictures read from a file have one
    if isinstance(image, PictureSource):
        return image.name or None
    return str(image) if isinstance(image, (str, os.PathLike)) else None


def is_giant(image: Picture) -> bool:
    """Whether it is a source of a picture that is too large to be read whole."""
    return isinstance(image, PictureSource) and image.width * image.height > GIANT


def preview_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3), or a reduced copy of it whose longest side is `PREVIEW`."""
    return View.of(pixels, min(1.0, PREVIEW / max(pixels.shape[:2]))).cut()
