"""The pixels that a result is drawn on at the picture's own size, which results carry a reduced copy of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from likewise.results import CountResult, SegmentResult
    from likewise.sources import Choice


def own_pixels(result: CountResult | SegmentResult, choice: Choice | None = None) -> np.ndarray | None:
    """The picture of a result at its own size, read again; None: the result carries it, or it does not fit."""
    if result.source is None or result.image.shape[1::-1] == result.size:
        return None
    from likewise.sources import GIANT, PLAIN, open_source

    if result.size[0] * result.size[1] > GIANT:
        return None
    with open_source(result.source, choice or PLAIN) as source:
        pixels = source.whole()[0]
    return pixels if pixels.shape[1::-1] == result.size else None  # it was replaced meanwhile
