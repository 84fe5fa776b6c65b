"""The pixels that a result is drawn on at the picture's own size, which results carry a reduced copy of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from likewise.results import CountResult, SegmentResult


def own_pixels(result: CountResult | SegmentResult) -> np.ndarray | None:
    """The picture of a result at its own size, read again; None: the result carries it."""
    if result.source is None or result.image.shape[1::-1] == result.size:
        return None
    from likewise.data.images import read_image

    pixels = read_image(result.source)
    return pixels if pixels.shape[1::-1] == result.size else None  # it was replaced meanwhile
